//! Everything that determines the results of a run: method, model, rows, settings, seed. A session stores it with its
//! checkpoints, so that a later one can tell whether it is the same run and, if not, in which points it differs.

use alidade_domain::{Wording, wording};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The facts of a plan as JSON, and the hash over them.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanFacts {
    facts: Value,
    fingerprint: String,
}

/// One point in which two plans differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Path of the fact ("settings.max_steps").
    pub field: String,
    /// What it was; `None` when it was not set.
    pub earlier: Option<String>,
    /// What it is now.
    pub now: Option<String>,
}

impl PlanFacts {
    /// Facts as a JSON object. Whatever changes a result of the run belongs in it; what does not (threads, how often
    /// checkpoints are saved) stays out.
    pub fn new(facts: Value) -> Self {
        let fingerprint = sha256(facts.to_string().as_bytes());
        Self { facts, fingerprint }
    }

    /// Lower-case SHA-256 of the facts. Equal plans have equal ones.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The facts themselves.
    pub fn facts(&self) -> &Value {
        &self.facts
    }

    /// In which points this plan differs from the facts of an earlier one, in the order of their paths.
    pub fn differences(&self, earlier: &Value) -> Vec<Difference> {
        let (then, now) = (leaves(earlier), leaves(&self.facts));
        let fields: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
        let differing = fields.into_iter().filter(|field| then.get(*field) != now.get(*field));
        differing
            .map(|field| Difference {
                field: field.clone(),
                earlier: then.get(field).cloned(),
                now: now.get(field).cloned(),
            })
            .collect()
    }
}

impl Difference {
    /// The difference as a clause.
    pub fn wording(&self) -> Wording {
        let show = |value: &Option<String>| match value {
            Some(value) if is_hash(value) => Wording::name(format!("{}…", &value[..8])),
            Some(value) => Wording::name(value),
            None => wording!("not set", "未设置"),
        };
        let (field, earlier, now) = (&self.field, show(&self.earlier), show(&self.now));
        match [&self.earlier, &self.now].into_iter().flatten().any(|value| is_hash(value)) {
            true => wording!(
                "{field} has other content (sha256 was {earlier}, is {now})",
                "{field} 的内容不同（sha256 原为 {earlier}，现为 {now}）";
                earlier, now
            ),
            false => wording!("{field} was {earlier}, is {now}", "{field} 原为 {earlier}，现为 {now}"; earlier, now),
        }
    }
}

/// Lower-case hexadecimal SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn is_hash(value: &str) -> bool {
    value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Every value that is set, by its path.
fn leaves(value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect("", value, &mut found);
    found
}

fn collect(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(&path, value, found);
            }
        }
        Value::String(text) => drop(found.insert(path.to_owned(), text.clone())),
        other => drop(found.insert(path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_point_that_differs_is_named() {
        let (old, new) = ("a".repeat(64), "b".repeat(64));
        let earlier = json!({"settings": {"max_steps": 40, "lr": 0.1}, "lora": {"r": 8}, "rows": old, "seed": 7});
        let now =
            PlanFacts::new(json!({"settings": {"max_steps": 60, "lr": 0.1}, "lora": null, "rows": new, "seed": 7}));
        let told: Vec<String> = now.differences(&earlier).iter().map(|difference| difference.wording().en).collect();
        let rows = "rows has other content (sha256 was aaaaaaaa…, is bbbbbbbb…)";
        assert_eq!(told, ["lora.r was 8, is not set", rows, "settings.max_steps was 40, is 60"]);
        assert!(now.differences(now.facts()).is_empty());
        assert_ne!(now.fingerprint(), PlanFacts::new(earlier).fingerprint());
    }
}
