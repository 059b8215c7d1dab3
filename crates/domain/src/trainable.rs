//! What a run trains: exactly one of a fresh adapter, an adapter that is continued, or every weight of the model. A plan file
//! holds it as the four keys `adapter_dir`, `lora`, `prefix` and `full`, as plans always have.

use crate::{LoraSpec, PrefixSpec, Recipe};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The shape of a fresh adapter.
#[derive(Debug, Clone, PartialEq)]
pub enum AdapterShape {
    /// Low-rank updates of layers.
    Lora(LoraSpec),
    /// Learned keys and values in front of every row.
    Prefix(PrefixSpec),
}

impl AdapterShape {
    /// The shape that a recipe gives, or the default.
    pub fn of(recipe: &Recipe) -> Self {
        match &recipe.prefix {
            Some(prefix) => Self::Prefix(prefix.clone()),
            None => Self::Lora(recipe.lora.clone().unwrap_or_default()),
        }
    }
}

/// What a run trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub enum Trainable {
    /// A fresh adapter.
    Fresh(AdapterShape),
    /// An existing adapter, which keeps its shape.
    Continued {
        /// Its PEFT folder.
        folder: PathBuf,
    },
    /// Every weight; the result is a model instead of an adapter.
    Full,
}

impl Trainable {
    /// The PEFT folder of an adapter that is continued.
    pub fn continued(&self) -> Option<&Path> {
        match self {
            Self::Continued { folder } => Some(folder),
            Self::Fresh(_) | Self::Full => None,
        }
    }

    /// True if the result is a model instead of an adapter.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }

    /// The shape of a fresh LoRA adapter.
    pub fn lora(&self) -> Option<&LoraSpec> {
        match self {
            Self::Fresh(AdapterShape::Lora(spec)) => Some(spec),
            _ => None,
        }
    }

    /// The shape of a fresh prefix.
    pub fn prefix(&self) -> Option<&PrefixSpec> {
        match self {
            Self::Fresh(AdapterShape::Prefix(spec)) => Some(spec),
            _ => None,
        }
    }
}

/// The form in a plan file.
#[derive(Clone, Serialize, Deserialize)]
struct Keys {
    adapter_dir: Option<PathBuf>,
    lora: Option<LoraSpec>,
    #[serde(default)]
    prefix: Option<PrefixSpec>,
    #[serde(default)]
    full: bool,
}

impl TryFrom<Keys> for Trainable {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        match keys {
            // Plans of earlier versions name the shape of an adapter beside `full`, which trains none.
            Keys { adapter_dir: None, prefix: None, full: true, .. } => Ok(Self::Full),
            Keys { adapter_dir: Some(folder), lora: None, prefix: None, full: false } => Ok(Self::Continued { folder }),
            Keys { adapter_dir: None, lora: None, prefix: Some(prefix), full: false } => {
                Ok(Self::Fresh(AdapterShape::Prefix(prefix)))
            }
            Keys { adapter_dir: None, lora, prefix: None, full: false } => {
                Ok(Self::Fresh(AdapterShape::Lora(lora.unwrap_or_default())))
            }
            _ => Err("the plan names more than one of adapter_dir, lora, prefix and full".to_owned()),
        }
    }
}

impl From<Trainable> for Keys {
    fn from(trainable: Trainable) -> Self {
        let none = Self { adapter_dir: None, lora: None, prefix: None, full: false };
        match trainable {
            Trainable::Fresh(AdapterShape::Lora(spec)) => Self { lora: Some(spec), ..none },
            Trainable::Fresh(AdapterShape::Prefix(spec)) => Self { prefix: Some(spec), ..none },
            Trainable::Continued { folder } => Self { adapter_dir: Some(folder), ..none },
            Trainable::Full => Self { full: true, ..none },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_survives_writing_and_two_at_once_are_refused() {
        let choices = [
            Trainable::Fresh(AdapterShape::Lora(LoraSpec { r: 3, ..LoraSpec::default() })),
            Trainable::Fresh(AdapterShape::Prefix(PrefixSpec::default())),
            Trainable::Continued { folder: "a/b".into() },
            Trainable::Full,
        ];
        for choice in choices {
            let text = serde_json::to_string(&choice).unwrap();
            assert_eq!(serde_json::from_str::<Trainable>(&text).unwrap(), choice, "{text}");
        }
        let read = |text: &str| serde_json::from_str::<Trainable>(text);
        let shape = r#"{"adapter_dir": null, "lora": {"r": 3}, "full": true}"#;
        assert_eq!(read(shape).unwrap(), Trainable::Full);
        for wrong in [
            r#"{"adapter_dir": "a", "lora": {"r": 3}}"#,
            r#"{"adapter_dir": null, "lora": {"r": 3}, "prefix": {"num_virtual_tokens": 4}}"#,
            r#"{"adapter_dir": "a", "lora": null, "full": true}"#,
        ] {
            assert!(read(wrong).unwrap_err().to_string().contains("more than one"), "{wrong}");
        }
    }
}
