//! Model folders that were made to stop programs, each from a small good one with one file replaced.
#![allow(dead_code, reason = "each test file uses its own part")]

use super::golden;
use std::path::{Path, PathBuf};

pub use alidade_testkit::small_model as model;

/// A copy with another chat template.
pub fn with_template(folder: &Path, name: &str, template: &str) -> PathBuf {
    let path = model(folder, name);
    std::fs::write(path.join("chat_template.jinja"), template).unwrap();
    path
}

/// Values nested 60,000 deep, and what walks down into them.
pub fn deep() -> Vec<(String, String)> {
    let nested = "{% set ns=namespace(l=[]) %}{% for i in range(60000) %}{% set ns.l=[ns.l] %}{% endfor %}";
    let uses = [
        ("print", "{{ ns.l }}"),
        ("tojson", "{{ ns.l | tojson }}"),
        ("equal", "{{ ns.l == [ns.l] }}"),
        ("in", "{{ ns.l in [ns.l, 1] }}"),
        ("sort", "{{ [ns.l, [ns.l]] | sort }}"),
        ("unique", "{{ [ns.l, [ns.l]] | unique | list }}"),
        ("string", "{{ ns.l | string }}"),
        ("concat", "{{ ns.l ~ 'x' }}"),
        ("nothing", "left to be dropped"),
    ];
    uses.iter().map(|(name, use_)| (format!("deep-{name}"), format!("{nested}{use_}"))).collect()
}

/// Values that double forty times, and what walks through all of them.
pub fn wide() -> Vec<(String, String)> {
    let doubled = "{% set ns=namespace(l=[1]) %}{% for i in range(40) %}{% set ns.l=[ns.l,ns.l] %}{% endfor %}";
    let uses = [
        ("print", "{{ ns.l }}"),
        ("equal", "{{ ns.l == [ns.l[0],ns.l[1]] }}"),
        ("sort", "{{ [ns.l,[ns.l[0],ns.l[0]]] | sort }}"),
        ("string", "{{ ns.l | string }}"),
        ("concat", "{{ ns.l ~ '' }}"),
        ("join", "{{ ns.l | join }}"),
        ("pprint", "{{ ns.l | pprint }}"),
        ("tojson", "{{ ns.l | tojson }}"),
        ("key", "{{ {ns.l: 1} }}"),
    ];
    uses.iter().map(|(name, use_)| (format!("wide-{name}"), format!("{doubled}{use_}"))).collect()
}

/// Sources that are hard on the compiler or on what slices are made of.
pub fn odd() -> Vec<(String, String)> {
    vec![
        ("minus".to_owned(), format!("{{{{ {}1 }}}}", "-".repeat(20_000))),
        ("not".to_owned(), format!("{{{{ {}1 }}}}", "not ".repeat(10_000))),
        ("parentheses".to_owned(), format!("{{{{ {}1{} }}}}", "(".repeat(9_000), ")".repeat(9_000))),
        ("slices".to_owned(), format!("{{% set a = range(10000) | list %}}{{{{ a{} }}}}", "[::]".repeat(2_000))),
        ("tildes".to_owned(), format!("{{{{ 1{} }}}}", " ~ 1".repeat(10_000))),
        ("indent".to_owned(), "{{ ('x\n' * 5000) | indent(1000000) | length }}".to_owned()),
        ("format".to_owned(), "{{ '%1000000000d' | format(1) }}".to_owned()),
        (
            "replace".to_owned(),
            "{% set ns=namespace(s='aa') %}{% for i in range(40) %}{% set ns.s=ns.s|replace('a','aa') %}{% endfor %}{{ ns.s|length }}".to_owned(),
        ),
    ]
}

/// tokenizer.json files, made from the small model's own.
pub fn tokenizers() -> Vec<(String, String)> {
    let own = std::fs::read_to_string(golden("trl/model/tokenizer.json")).unwrap();
    let with = |key: &str, value: serde_json::Value| {
        let mut tokenizer: serde_json::Value = serde_json::from_str(&own).unwrap();
        tokenizer[key] = value;
        tokenizer.to_string()
    };
    let sequence = |part: serde_json::Value, count: usize| {
        let parts = vec![part; count];
        serde_json::json!({"type": "Sequence", "normalizers": parts})
    };
    let replace =
        |from: &str, to: &str| serde_json::json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let split = |pattern: &str| serde_json::json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let prepend = serde_json::json!({"type": "Prepend", "prepend": "a"});
    vec![
        ("doubling".to_owned(), with("normalizer", sequence(replace("a", "aa"), 40))),
        ("nothing-replaced".to_owned(), with("normalizer", sequence(replace("", "ab"), 30))),
        ("prepending".to_owned(), with("normalizer", sequence(prepend, 1000))),
        ("backtracking".to_owned(), with("pre_tokenizer", split("(a+)+$"))),
        ("no-json".to_owned(), own[..own.len() / 2].to_owned()),
        ("deep-json".to_owned(), "[".repeat(1_000_000)),
    ]
}

/// config.json files, made from the small model's own.
pub fn configurations() -> Vec<(String, String)> {
    let own = std::fs::read_to_string(golden("trl/model/config.json")).unwrap();
    let with = |key: &str, value: u64| {
        let mut config: serde_json::Value = serde_json::from_str(&own).unwrap();
        config[key] = value.into();
        config.to_string()
    };
    vec![
        ("layers-1m".to_owned(), with("num_hidden_layers", 1 << 20)),
        ("layers-16m".to_owned(), with("num_hidden_layers", 1 << 24)),
        ("layers-2-60".to_owned(), with("num_hidden_layers", 1 << 60)),
        ("hidden".to_owned(), with("hidden_size", 1 << 40)),
        ("vocabulary".to_owned(), with("vocab_size", 1 << 40)),
        ("heads".to_owned(), with("num_attention_heads", 1 << 31)),
        ("deep-json".to_owned(), "[".repeat(1_000_000)),
    ]
}

/// Files that were found by trying thousands, where they are at hand: name, and which file they stand for.
pub fn found() -> Vec<(PathBuf, &'static str)> {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases/hostile");
    let files = |kind: &'static str, name: &'static str| {
        let entries = std::fs::read_dir(shared.join(kind)).into_iter().flatten().flatten();
        entries.map(move |entry| (entry.path(), name)).collect::<Vec<_>>()
    };
    let found: Vec<_> =
        files("tokenizer", "tokenizer.json").into_iter().chain(files("config", "config.json")).collect();
    if found.is_empty() {
        eprintln!("skipped: the shared hostile files are not here");
    }
    found
}
