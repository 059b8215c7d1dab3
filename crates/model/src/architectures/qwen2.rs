//! Qwen 2 and 2.5: biases on query, key and value only. Sliding windows are refused until the family that needs them comes.

use super::{Architecture, Config};
use crate::error::Result;
use crate::{DecoderSpec, ModelError};

pub(super) const QWEN2: Architecture = Architecture { name: "qwen2", read };

fn read(config: &Config) -> Result<DecoderSpec> {
    if config.flag("use_sliding_window") {
        let (file, key) = ("config.json".to_owned(), "use_sliding_window".to_owned());
        return Err(ModelError::Configuration {
            file,
            key,
            found: "is true, which this version cannot run".to_owned(),
        });
    }
    Ok(DecoderSpec { qkv_bias: true, ..config.common("qwen2")? })
}
