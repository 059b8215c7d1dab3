//! Limits on `tokenizer.json`, checked before it is loaded: a chain of replacements can grow a text without bound, and the
//! library would carry it out. Models in use stay far below these limits.

use alidade_domain::{Wording, Words, wording};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Most steps of a normaliser, a splitter, a decoder or what is added.
const STEPS: usize = 64;
/// How many times longer the replacements of a chain may make a text.
const GROWTH: usize = 64;
/// Most characters that one step may put in.
const INSERTED: usize = 1024;
/// Ids lie below this; the largest known vocabulary has 262,144 tokens.
const LARGEST_ID: u64 = 1 << 24;

/// The parts that are looked at; the vocabulary is passed over.
#[derive(serde::Deserialize)]
struct Outline {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(default)]
    added_tokens: Vec<Value>,
    #[serde(default)]
    model: Model,
}

#[derive(Default, serde::Deserialize)]
struct Model {
    #[serde(default)]
    vocab: LargestId,
}

/// Refuses what would take unbounded time or memory.
///
/// # Errors
/// Why, as a clause.
pub(super) fn check(bytes: &[u8]) -> Result<(), Wording> {
    let outline: Outline = serde_json::from_slice(bytes).map_err(|error| {
        wording!("tokenizer.json is no valid tokenizer: {error}", "tokenizer.json 不是有效的分词器：{error}")
    })?;
    let parts = [
        ("normalizer", &outline.normalizer),
        ("pre_tokenizer", &outline.pre_tokenizer),
        ("post_processor", &outline.post_processor),
        ("decoder", &outline.decoder),
    ];
    for (name, part) in parts {
        let mut steps = Vec::new();
        flatten(part, &mut steps);
        if steps.len() > STEPS {
            return Err(wording!(
                "its {name} has {steps} steps; the most is {STEPS}",
                "它的 {name} 有 {steps} 个步骤，上限为 {STEPS}",
                steps = steps.len()
            ));
        }
        let mut growth = 1_usize;
        for step in steps {
            growth = growth.saturating_mul(
                grows(step).map_err(|reason| wording!("its {name} {reason}", "它的 {name} {reason}"; reason))?,
            );
        }
        if growth > GROWTH {
            return Err(wording!(
                "its {name} may make a text {growth} times longer; the most is {GROWTH} times",
                "它的 {name} 可能使文本变长 {growth} 倍，上限为 {GROWTH} 倍"
            ));
        }
    }
    let added = outline.added_tokens.iter().filter_map(|token| token.get("id")?.as_u64());
    match added.chain([outline.model.vocab.0]).max().filter(|id| *id >= LARGEST_ID) {
        Some(id) => Err(wording!(
            "it has a token with the id {id}; ids end below {LARGEST_ID}",
            "其中有编号为 {id} 的词元，编号须小于 {LARGEST_ID}"
        )),
        None => Ok(()),
    }
}

/// Steps of a part, those of nested sequences among them.
fn flatten<'a>(part: &'a Value, steps: &mut Vec<&'a Value>) {
    let lists = ["normalizers", "pretokenizers", "processors", "decoders"];
    let inner = lists.iter().find_map(|key| part.get(*key)?.as_array());
    match inner {
        Some(list) if part.get("type").and_then(Value::as_str) == Some("Sequence") => {
            list.iter().for_each(|step| flatten(step, steps));
        }
        _ if part.is_null() => {}
        _ => steps.push(part),
    }
}

/// How many times longer a step may make a text.
fn grows(step: &Value) -> Result<usize, Wording> {
    let text = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or_default();
    let inserted = text("content").chars().count().max(text("prepend").chars().count());
    if inserted > INSERTED {
        return Err(wording!(
            "puts in {inserted} characters at once; the most is {INSERTED}",
            "一次插入 {inserted} 个字符，上限为 {INSERTED}"
        ));
    }
    if step.get("type").and_then(Value::as_str) != Some("Replace") {
        return Ok(1);
    }
    match step.get("pattern") {
        Some(pattern) if pattern.get("String").is_some() => {
            let found = pattern["String"].as_str().unwrap_or_default().chars().count();
            if found == 0 {
                Err(Words::new("replaces the empty text", "会替换空文本").into())
            } else {
                Ok(inserted.div_ceil(found).max(1))
            }
        }
        // A regular expression may match between any two characters, and then leaves both.
        _ => Ok(inserted + 1),
    }
}

/// The largest id of a vocabulary, which is a map to ids or a list.
#[derive(Default)]
struct LargestId(u64);

impl<'de> Deserialize<'de> for LargestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Ids)
    }
}

struct Ids;

impl<'de> Visitor<'de> for Ids {
    type Value = LargestId;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a vocabulary")
    }

    fn visit_unit<E>(self) -> Result<LargestId, E> {
        Ok(LargestId(0))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LargestId, A::Error> {
        let mut largest = 0;
        while map.next_key::<IgnoredAny>()?.is_some() {
            largest = largest.max(map.next_value::<u64>()?);
        }
        Ok(LargestId(largest))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<LargestId, A::Error> {
        let mut count = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(LargestId(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(part: &str, value: Value) -> Result<(), Wording> {
        check(json!({ part: value }).to_string().as_bytes())
    }

    fn replace(pattern: Value, content: &str) -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    }

    #[test]
    fn chains_that_grow_without_bound_are_refused() {
        let chain = |step: Value, count: usize| json!({"type": "Sequence", "normalizers": vec![step; count]});
        let doubling = replace(json!({"String": "a"}), "aa");
        assert!(checked("normalizer", chain(doubling.clone(), 6)).is_ok());
        assert!(checked("normalizer", chain(doubling, 40)).unwrap_err().en.contains("times longer"));
        assert!(checked("decoder", replace(json!({"String": ""}), "x")).unwrap_err().en.contains("empty"));
        let prepend = json!({"type": "Prepend", "prepend": "_"});
        assert!(checked("normalizer", chain(prepend, 1000)).unwrap_err().en.contains("1000 steps"));
        assert!(checked("normalizer", replace(json!({"Regex": "x*"}), &"y".repeat(64))).is_err());
        assert!(checked("normalizer", json!({"type": "Prepend", "prepend": "x".repeat(5000)})).is_err());
    }

    #[test]
    fn usual_tokenizers_pass() {
        let spaces = [json!({"type": "Prepend", "prepend": "▁"}), replace(json!({"String": " "}), "▁")];
        assert!(checked("normalizer", json!({"type": "Sequence", "normalizers": spaces})).is_ok());
        assert!(checked("model", json!({"type": "Unigram", "vocab": [["a", -1.0], ["b", -2.0]]})).is_ok());
        assert!(checked("model", json!({"type": "BPE", "vocab": {"a": 0, "b": 1}})).is_ok());
    }

    #[test]
    fn absurd_ids_and_broken_files_are_refused() {
        assert!(checked("added_tokens", json!([{"id": 4_000_000_000_u64, "content": "x"}])).is_err());
        assert!(checked("model", json!({"vocab": {"a": 1 << 30}})).unwrap_err().en.contains("1073741824"));
        assert!(check(b"{").unwrap_err().en.contains("no valid"));
    }
}
