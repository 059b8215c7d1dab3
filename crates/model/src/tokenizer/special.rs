//! The special tokens that a model folder names: `bos_token` and its like, and names of the model's own (`image_token`).
//! Chat templates read them under these names; a token that is not named is undefined to them, not empty.

use super::read_json;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Names that every tokenizer may give.
const STANDARD: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
/// Key of the model's own names.
const OWN: [&str; 2] = ["extra_special_tokens", "model_specific_special_tokens"];

/// Name and spelling of every special token that `tokenizer_config.json` names, or the older `special_tokens_map.json`
/// where the first does not list the added tokens.
pub(super) fn named(folder: &Path) -> BTreeMap<String, String> {
    let config = read_json(&folder.join("tokenizer_config.json"));
    let mut found = config.as_object().map(names).unwrap_or_default();
    if config.get("added_tokens_decoder").is_none()
        && let Some(map) = read_json(&folder.join("special_tokens_map.json")).as_object()
    {
        found.extend(names(map));
    }
    found
}

fn names(config: &Map<String, Value>) -> BTreeMap<String, String> {
    let own = OWN.iter().filter_map(|key| config.get(*key)?.as_object()).flatten();
    let plain = config.iter().filter(|(name, _)| STANDARD.contains(&name.as_str()) || name.ends_with("_token"));
    plain.chain(own).filter_map(|(name, value)| Some((name.clone(), spelling(value)?))).collect()
}

/// A token is given as its text, or as an object with more about it.
fn spelling(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(files: &[(&str, Value)]) -> BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in files {
            std::fs::write(folder.path().join(name), value.to_string()).unwrap();
        }
        named(folder.path())
    }

    #[test]
    fn standard_and_own_names_are_found_and_absent_ones_are_not() {
        let config = json!({
            "bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "pad_token": null,
            "image_token": "<image>", "add_bos_token": true, "extra_special_tokens": {"boi": "<boi>"},
        });
        let found = written(&[("tokenizer_config.json", config)]);
        let expected = [("boi", "<boi>"), ("bos_token", "<s>"), ("eos_token", "</s>"), ("image_token", "<image>")];
        assert_eq!(found, expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
    }

    #[test]
    fn the_older_file_counts_where_the_newer_lists_no_added_tokens() {
        let older = ("special_tokens_map.json", json!({"bos_token": "<old>", "unk_token": "<unk>"}));
        let found = written(&[("tokenizer_config.json", json!({"bos_token": "<s>"})), older.clone()]);
        assert_eq!((found["bos_token"].as_str(), found["unk_token"].as_str()), ("<old>", "<unk>"));
        let newer = json!({"bos_token": "<s>", "added_tokens_decoder": {}});
        assert_eq!(written(&[("tokenizer_config.json", newer), older])["bos_token"], "<s>");
    }
}
