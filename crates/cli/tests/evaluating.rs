//! `alidade evaluate` with the real binary: several adapters on one base, suites and judges by name.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use common::{golden, ok, recipe, refused, text};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// An adapter of two steps with a learning rate of its own.
fn adapter(folder: &Path, name: &str, method: &str, rate: &str) -> PathBuf {
    ok(&["train", text(&recipe(folder, method, &format!("max_steps = 2\nlearning_rate = {rate}")))]);
    let path = folder.join(name);
    std::fs::rename(folder.join("out/adapter"), &path).unwrap();
    std::fs::remove_dir_all(folder.join("out")).unwrap();
    path
}

fn evaluated(more: &[&str]) -> Value {
    let (model, always) = (golden("trl/model"), ["evaluate", "--json", "--limit", "6", "--model"]);
    serde_json::from_str(&ok(&[&always[..], &[text(&model)], more].concat())).unwrap()
}

#[test]
fn any_number_of_adapters_is_measured_on_one_base() {
    let folder = tempfile::tempdir().unwrap();
    let [mild, strong] =
        [("mild", "1e-4"), ("strong", "2e-2")].map(|(name, rate)| adapter(folder.path(), name, "sft", rate));
    let data = golden("trl/sft_completion_only/data.jsonl");
    let both = ["--adapter", text(&mild), "--adapter", text(&strong), "--data", text(&data)];
    let found = evaluated(&[&both[..], &["--judge", "contains=e", "--judge", "pair"]].concat());
    let [found] = found.as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!(found["suite"], "held_out_rows");
    let labels: Vec<&str> = found["stacks"].as_array().unwrap().iter().map(|s| s["label"].as_str().unwrap()).collect();
    assert!(labels.len() == 3 && labels[1].contains("mild") && labels[2].contains("strong"), "{labels:?}");
    let measure = |key: &str| found["measures"].as_array().unwrap().iter().find(|m| m["key"] == key).cloned();
    let loss = measure("held_out_loss").unwrap();
    assert!(loss["words"]["title"]["zh"].as_str().unwrap().contains("损失"));
    assert!(loss["changes"][0].is_null() && loss["changes"][1]["n"] == loss["values"][0]["n"]);
    // Each stack beside others says what it says alone.
    for (place, adapter) in [(1, &mild), (2, &strong)] {
        let alone = evaluated(&["--adapter", text(adapter), "--data", text(&data)]);
        let alone = alone[0]["measures"].as_array().unwrap().iter().find(|m| m["key"] == "held_out_loss").unwrap();
        assert_eq!((&alone["values"][0], &alone["values"][1]), (&loss["values"][0], &loss["values"][place]));
        assert_eq!(alone["changes"][1], loss["changes"][place]);
    }
    let contains = measure("contains").unwrap();
    let (n, unreadable) = (contains["values"][0]["n"].as_u64(), contains["values"][0]["unreadable"].as_u64());
    assert_eq!(n.unwrap() + unreadable.unwrap(), found["samples"].as_array().unwrap().len() as u64);
    // So small a model gives no verdict that could be read, and none is made up; equal answers need none.
    assert!(measure("preferred").is_some_and(|preferred| preferred["values"][0].is_null()));
    let printed = ok(&[&["evaluate", "--limit", "2", "--model", text(&golden("trl/model"))], &both[..]].concat());
    assert!(printed.contains("  C trl") || printed.contains("strong"), "{printed}");
}

#[test]
fn reward_models_are_measured_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let made = ["1e-3", "2e-2"].map(|rate| adapter(folder.path(), &format!("rm{rate}"), "reward_model", rate));
    let data = golden("trl/dpo_sigmoid/data.jsonl");
    let both = ["--adapter", text(&made[0]), "--adapter", text(&made[1]), "--data", text(&data)];
    let found = evaluated(&[&both[..], &["--suite", "held_out_pairs"]].concat());
    let accuracy = &found[0]["measures"][0];
    assert_eq!(
        (accuracy["key"].as_str(), found[0]["stacks"].as_array().unwrap().len()),
        (Some("preference_accuracy"), 2)
    );
    assert!(accuracy["values"][1]["n"].as_u64().unwrap() > 0 && accuracy["changes"][1].is_object(), "{accuracy}");
}

#[test]
fn suites_and_judges_are_listed_and_wrong_names_are_told() {
    let listed = ok(&["evaluate", "--list"]);
    for name in ["starter_world", "held_out_rows", "held_out_pairs", "exact", "refusal", "pair"] {
        assert!(listed.contains(name), "{listed}");
    }
    let names: Value = serde_json::from_str(&ok(&["evaluate", "--list", "--json"])).unwrap();
    assert!(names["judges"].as_array().unwrap().contains(&"contains".into()), "{names}");
    let (model, data) = (golden("trl/model"), golden("trl/sft_completion_only/data.jsonl"));
    let initial = golden("trl/adapter_init");
    let stack = ["evaluate", "--model", text(&model), "--adapter", text(&initial)];
    let wrong = |more: &[&str]| refused(&[&stack[..], more].concat(), 2);
    assert!(wrong(&[]).contains("error (data)"));
    assert!(wrong(&["--data", text(&data), "--suite", "held_out_row"]).contains("Did you mean “held_out_rows”?"));
    assert!(wrong(&["--data", text(&data), "--judge", "pattern=("]).contains("error (judge)"));
    assert!(wrong(&["--data", text(&data), "--judge", "refusal=x"]).contains("error (judge)"));
    assert!(wrong(&["--data", text(&data), "--suite", "starter_world"]).contains("error (suite)"));
    assert!(wrong(&["--suite", "held_out_rows"]).contains("Add --data FILE."));
}
