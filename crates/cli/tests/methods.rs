//! Methods from outside: rows that stay plain, settings that would change nothing, runs that could not move a weight,
//! folders with earlier work, and numbers that are none.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::{alidade, golden, lines, ok, recipe, refused, text};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// A recipe over rows of our own.
fn over(folder: &Path, method: &str, rows: &str, settings: &str) -> PathBuf {
    std::fs::write(folder.join("rows.jsonl"), rows).unwrap();
    let path = recipe(folder, method, settings);
    let data = |line: &str| {
        let ours = line.starts_with("dataset").then(|| format!("dataset = {:?}", folder.join("rows.jsonl")));
        ours.unwrap_or_else(|| line.to_owned())
    };
    let changed: Vec<String> = std::fs::read_to_string(&path).unwrap().lines().map(data).collect();
    std::fs::write(&path, changed.join("\n")).unwrap();
    path
}

fn rated(labels: &[bool]) -> String {
    let words = ["river", "lamp", "teacher", "garden", "market", "clock", "bridge", "kitten"];
    let row = |(word, label): (&&str, &bool)| {
        format!(
            "{{\"prompt\":\"The {word}\",\"completion\":\" keeps the old map of the {word}.\",\"label\":{label}}}\n"
        )
    };
    words.iter().zip(labels).map(row).collect()
}

fn log(folder: &Path) -> Vec<Value> {
    lines(&folder.join("out/log.jsonl"))
}

/// The model has a chat template; rows of strings must not pass through it, whatever the method.
#[test]
fn kto_reads_plain_rows_as_sft_does() {
    let rows = rated(&[true, false, true, false]);
    let tokens = |method: &str, settings: &str| {
        let folder = tempfile::tempdir().unwrap();
        let rows = if method == "sft" {
            rows.replace(",\"label\":true", "").replace(",\"label\":false", "")
        } else {
            rows.clone()
        };
        ok(&["train", text(&over(folder.path(), method, &rows, settings))]);
        log(folder.path())[0]["num_tokens"].as_f64().unwrap()
    };
    let settings = "max_steps = 1\nwarmup_steps = 0\nper_device_train_batch_size = 4";
    assert_eq!(tokens("kto", settings), tokens("sft", settings));
}

#[test]
fn kto_refuses_answers_of_one_kind_and_shuffled_rows() {
    let settings = "max_steps = 2\nper_device_train_batch_size = 4";
    for label in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let words = refused(&["train", text(&over(folder.path(), "kto", &rated(&[label; 8]), settings))], 2);
        assert!(words.contains("(dataset)") && words.contains(&format!("label {label}")), "{words}");
    }
    let folder = tempfile::tempdir().unwrap();
    let shuffled = format!("{settings}\ntrain_sampling_strategy = \"random\"");
    let words = refused(&["train", text(&recipe(folder.path(), "kto", &shuffled))], 2);
    assert!(words.contains("(settings.train_sampling_strategy)"), "{words}");
}

#[test]
fn label_smoothing_is_refused_where_nothing_reads_it() {
    for (method, loss, read) in [
        ("dpo", "sigmoid", false),
        ("dpo", "ipo", false),
        ("dpo", "robust", true),
        ("dpo", "exo_pair", true),
        ("cpo", "hinge", false),
        ("cpo", "simpo", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path =
            recipe(folder.path(), method, &format!("max_steps = 2\nloss_type = {loss:?}\nlabel_smoothing = 0.1"));
        if read {
            ok(&["train", text(&path)]);
        } else {
            let words = refused(&["train", text(&path)], 2);
            assert!(words.contains("(settings.label_smoothing)") && words.contains(loss), "{words}");
        }
    }
}

/// Eight pairs at the default batch are one step, and the default warm-up begins at rate 0.
#[test]
fn a_run_that_could_not_move_a_weight_is_refused_and_one_without_warm_up_moves() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = std::fs::read_to_string(golden("trl/dpo_sigmoid/data.jsonl")).unwrap();
    for (settings, field) in [
        ("", "settings.warmup_steps"),
        ("warmup_steps = 1", "settings.warmup_steps"),
        ("learning_rate = 0.0", "settings.learning_rate"),
        ("num_train_epochs = 0", "settings.num_train_epochs"),
    ] {
        let words = refused(&["train", text(&over(folder.path(), "dpo", &rows, settings))], 2);
        assert!(words.contains(&format!("({field})")), "{settings}: {words}");
        assert!(!folder.path().join("out/adapter").exists() && !folder.path().join("out/log.jsonl").exists());
    }
    ok(&["train", text(&over(folder.path(), "dpo", &rows, "warmup_steps = 0"))]);
    let log = log(folder.path());
    assert_eq!((log.len(), log[0]["learning_rate"].as_f64()), (1, Some(5e-6)));
    let bytes = std::fs::read(folder.path().join("out/adapter/adapter_model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let moved = tensors.iter().filter(|(name, _)| name.contains("lora_B"));
    assert!(moved.into_iter().all(|(_, tensor)| tensor.data().iter().any(|byte| *byte != 0)));
}

/// Kills a run once it has kept so many checkpoints.
fn interrupt(path: &Path, folder: &Path, step: u64) {
    let mut child = alidade(&["train", text(path)]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let kept = folder.join(format!("out/checkpoints/step-{step:08}"));
    while !kept.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it was interrupted");
        std::thread::sleep(Duration::from_millis(1));
    }
    // It may have ended in the meantime.
    let _ = child.kill();
    child.wait().unwrap();
}

const LONG: &str = "max_steps = 400\nsave_steps = 4\nlearning_rate = 1e-3";

fn whole() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    ok(&["train", text(&recipe(folder.path(), "sft", LONG))]);
    std::fs::read(folder.path().join("out/log.jsonl")).unwrap()
}

#[test]
fn another_recipe_in_a_folder_with_checkpoints_is_told_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let path = recipe(folder.path(), "sft", LONG);
    interrupt(&path, folder.path(), 8);
    let before = std::fs::read(folder.path().join("out/log.jsonl")).unwrap();
    let other = recipe(folder.path(), "sft", &LONG.replace("400", "600"));
    let words = refused(&["train", text(&other)], 2);
    assert!(words.contains("max_steps") && words.contains("400") && words.contains("600"), "{words}");
    assert!(words.contains("--overwrite"), "{words}");
    assert_eq!(std::fs::read(folder.path().join("out/log.jsonl")).unwrap(), before);
    ok(&["train", text(&recipe(folder.path(), "sft", LONG))]);
    assert!(std::fs::read(folder.path().join("out/log.jsonl")).unwrap() == whole());
}

#[test]
fn damaged_checkpoints_and_logs_are_said_and_change_nothing() {
    let expected = whole();
    for damaged in ["manifest.json", "log.jsonl"] {
        let folder = tempfile::tempdir().unwrap();
        let path = recipe(folder.path(), "sft", LONG);
        interrupt(&path, folder.path(), 8);
        let checkpoints = std::fs::read_dir(folder.path().join("out/checkpoints")).unwrap();
        let names = checkpoints.flatten().map(|entry| entry.path());
        let newest = names.filter(|path| path.extension().is_none()).max().unwrap();
        let place = match damaged {
            "manifest.json" => newest.join(damaged),
            _ => folder.path().join("out").join(damaged),
        };
        let mut bytes = std::fs::read(&place).unwrap();
        bytes[40] ^= 1;
        std::fs::write(&place, bytes).unwrap();
        let output = common::run(&["train", text(&path)]);
        let words = String::from_utf8_lossy(&output.stderr);
        let said = if damaged == "manifest.json" { "steps are repeated" } else { "log.damaged.jsonl" };
        assert!(output.status.success() && words.contains(said), "{damaged}: {words}");
        assert!(std::fs::read(folder.path().join("out/log.jsonl")).unwrap() == expected, "{damaged}");
    }
}

/// A model whose scores overflow says so instead of writing nothing, and nothing is written when nothing is asked for.
#[test]
fn scores_that_are_no_numbers_end_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = folder.path().join("adapter");
    std::fs::create_dir(&adapter).unwrap();
    let from = golden("trl/dpo_sigmoid/adapter");
    std::fs::copy(from.join("adapter_config.json"), adapter.join("adapter_config.json")).unwrap();
    let mut bytes = std::fs::read(from.join("adapter_model.safetensors")).unwrap();
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[start..].chunks_exact_mut(4).for_each(|value| value.copy_from_slice(&2e38f32.to_le_bytes()));
    std::fs::write(adapter.join("adapter_model.safetensors"), bytes).unwrap();
    let model = golden("trl/model");
    let shared = ["generate", "--model", text(&model), "--prompt", "The river"];
    for temperature in ["0", "0.7"] {
        let spoilt = ["--adapter", text(&adapter), "--temperature", temperature];
        let words = refused(&[&shared[..], &spoilt].concat(), 1);
        assert!(words.contains("scores for token 1") && words.contains("not finite"), "{temperature}: {words}");
    }
    assert_eq!(ok(&[&shared[..], &["--max-new-tokens", "0"]].concat()).trim(), "");
}

/// Blown up by its own learning rate, PPO ends in words too.
#[test]
fn ppo_that_blows_up_stops_in_words() {
    let own = "response_length = 6\nper_device_train_batch_size = 4\nvalue_model = \"adapter\"\nvf_coef = 100.0";
    let wild = "max_steps = 30\nlearning_rate = 1.0\nmax_grad_norm = 0.0\nwarmup_ratio = 0.0\nadam_epsilon = 0.0\ncliprange_value = 1e6";
    let folder = tempfile::tempdir().unwrap();
    let path = recipe(folder.path(), "ppo", &format!("{wild}\n{own}"));
    let output = common::run(&["train", text(&path)]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!words.contains("panicked"), "{words}");
    assert!(output.status.success() || words.contains("At step"), "{words}");
    let out = std::fs::read_to_string(folder.path().join("out/log.jsonl")).unwrap();
    assert!(!out.contains("null") && !out.contains("NaN"), "{out}");
}
