//! What a terminal gets to see, and what happens where it does not listen: closed pipes, full disks, words that steer.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::{alidade, golden, ok, recipe, refused, run, text};
use std::path::Path;
use std::process::Stdio;

/// Text that would clear a screen, set a title and turn the reading direction.
const STEERING: &str = "a\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}b";

fn steers(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.chars().any(|c| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}')
}

fn rows(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn help_says_what_it_is_and_how_it_ends() {
    let help = ok(&["--help"]);
    assert_eq!(help.lines().next(), Some("Align language models on your own machine."));
    for code in ["Exit codes", "  2 ", "  130 ", "resumes"] {
        assert!(help.contains(code), "{code}: {help}");
    }
}

/// Each command that prints much, with its standard output closed before it begins.
#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let bad =
        rows(folder.path(), "bad.jsonl", &"{\"prompt\": 1}\n{\"prompt\":\"a\",\"completion\":\"b\"}\n".repeat(50));
    let model = golden("trl/model");
    let generate = ["generate", "--model", text(&model), "--prompt", "The", "--max-new-tokens", "2"];
    let commands: [&[&str]; 6] = [
        &["check", text(&bad)],
        &["check", text(&bad), "--json"],
        &generate,
        &[&generate[..], &["--json"]].concat(),
        &["runs"],
        &["bench", "limits"],
    ];
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = alidade(arguments).env("ALIDADE_HOME", folder.path()).stdout(writer).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(141), "{arguments:?}: {words}");
        assert!(!words.contains("internal error") && !words.contains("panicked"), "{arguments:?}: {words}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = rows(folder.path(), "rows.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n");
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for arguments in [&["check", text(&data)][..], &["check", text(&data), "--json"], &["runs"]] {
        let output = alidade(arguments).env("ALIDADE_HOME", folder.path()).stdout(full()).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {words}");
        assert!(words.contains("standard output") && words.contains("no room left"), "{arguments:?}: {words}");
    }
    // Errors go to a full disk as well: the exit code is all that is left.
    let status = alidade(&["check", "nowhere.jsonl"]).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(2));
    // Training is worth more than its listener.
    let path = recipe(folder.path(), "sft", "max_steps = 2");
    let output = alidade(&["train", text(&path), "--json"]).stdout(full()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("Training continues"), "{words}");
    assert!(folder.path().join("out/adapter").is_dir());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let other = tempfile::tempdir().unwrap();
    let path = recipe(other.path(), "sft", "max_steps = 2");
    assert!(alidade(&["train", text(&path), "--json"]).stdout(writer).status().unwrap().success());
}

#[test]
fn what_strangers_wrote_steers_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let json =
        serde_json::json!({"prompt": STEERING, "chosen": "x", "rejected": STEERING, STEERING: STEERING}).to_string();
    let data = rows(at, "pairs.jsonl", &format!("{json}\n{{\"prompt\": \"{STEERING}\"\n"));
    let named = rows(at, &format!("{}.jsonl", STEERING.replace('/', "")), "{}");
    let model = at.join("model");
    std::fs::create_dir(&model).unwrap();
    let config = serde_json::json!({"model_type": STEERING, "architectures": [STEERING]}).to_string();
    rows(&model, "config.json", &config.replace("\\u001b", "\u{1b}"));
    let broken = rows(at, "recipe.toml", &format!("method = \"sft\"\nmodel = \"{STEERING}\"\n"));
    let asked: [&[&str]; 6] = [
        &["check", text(&data)],
        &["check", text(&named)],
        &["train", text(&broken)],
        &["generate", "--model", text(&model), "--prompt", "x"],
        &["generate", "--model", STEERING, "--prompt", "x"],
        &[STEERING],
    ];
    for arguments in asked {
        let output = run(arguments);
        assert!(!steers(&output.stdout) && !steers(&output.stderr), "{arguments:?}: {output:?}");
    }
    // A document escapes what it must, and means the same.
    let output = run(&["check", text(&data), "--json"]);
    assert!(!steers(&output.stdout), "{output:?}");
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
}

#[test]
fn hints_fit_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let model = golden("trl/model");
    let generate = |more: &[&str]| {
        refused(&[&["generate", "--model", text(&model), "--prompt", "a", "--max-new-tokens", "1"], more].concat(), 2)
    };
    let words = generate(&["--temperature", "-1"]);
    assert!(words.contains("error (temperature)") && words.contains("0 or more"), "{words}");
    let words = generate(&["--top-p", "-0.5"]);
    assert!(words.contains("above 0"), "{words}");
    for asked in [vec!["check", "nowhere.jsonl"], vec!["train", "nowhere.toml"]] {
        let words = refused(&asked, 2);
        assert!(words.contains("There is no file nowhere.") && !words.contains("os error"), "{words}");
    }
    let words = refused(&["logits", "--model", text(&model), "--input", "nowhere.bin", "--output", "x"], 2);
    assert!(words.contains("error (input): There is no file nowhere.bin.") && !words.contains("hint"), "{words}");
    let words = generate(&["--adapter", "nowhere"]);
    assert!(words.contains("error (adapter)") && words.contains("adapter_config.json"), "{words}");
    // Pairs where thumbs are needed: no longer row would help.
    let path = recipe(folder.path(), "kto", "");
    let pairs = std::fs::read_to_string(&path).unwrap().replace("trl/kto/data.jsonl", "trl/dpo_sigmoid/data.jsonl");
    std::fs::write(&path, pairs).unwrap();
    let words = run(&["train", text(&path)]).stderr;
    assert!(!String::from_utf8_lossy(&words).contains("Raise max_length"), "{words:?}");
    let output = alidade(&["report", "nothing"]).env("ALIDADE_HOME", &home).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && words.contains("no experiment yet"), "{words}");
    let output = alidade(&["report", "x", "--output", "x.pdf"]).env("ALIDADE_HOME", &home).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && words.contains(".html or .md"), "{words}");
    assert!(words.contains("print it") && !std::path::Path::new("x.pdf").exists(), "{words}");
}

#[test]
fn no_new_tokens_are_no_tokens() {
    let model = golden("trl/model");
    let arguments = ["generate", "--model", text(&model), "--prompt", "The", "--max-new-tokens", "0"];
    assert_eq!(ok(&arguments).trim_end(), "");
    let found: serde_json::Value = serde_json::from_str(&ok(&[&arguments[..], &["--json"]].concat())).unwrap();
    assert_eq!(found["text"], "");
}

/// In a pipe `chat` says nothing but answers, and a model that writes what steers a terminal does not steer it.
#[test]
fn chat_refuses_draws_that_cannot_be_made() {
    let model = golden("trl/model");
    let mut command = alidade(&["chat", "--model", text(&model), "--temperature", "-1"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("0 or more"));
}

#[test]
fn a_forced_instruction_set_is_used_and_recorded_or_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path(), "sft", "max_steps = 2\n");
    let train = |instructions: &str| {
        alidade(&["train", text(&recipe)]).env("ALIDADE_INSTRUCTIONS", instructions).output().unwrap()
    };
    for unknown in ["sse9", "Portable"] {
        let output = train(unknown);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains(unknown) && words.contains("this processor has portable"), "{words}");
    }
    assert!(!folder.path().join("out").exists());
    let output = train("portable");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record = std::fs::read(folder.path().join("out/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["machine"]["forced_instructions"], "portable");
    assert!(record["versions"]["arithmetic"].as_str().unwrap().contains("portable"), "{record}");
}

/// Where candle does otherwise than the recipe asks, a warning of its own code says so, and the run goes on.
#[test]
fn what_candle_computes_otherwise_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path(), "sft", "max_steps = 2\nbf16 = true\ngradient_checkpointing = true\n");
    let words = std::fs::read_to_string(&recipe).unwrap();
    let codes = |lora: &str| {
        std::fs::write(&recipe, words.replace("[lora]", &format!("[lora]\n{lora}"))).unwrap();
        let events = ok(&["train", text(&recipe), "--json"]);
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("out/run.json")).unwrap()).unwrap();
        assert_eq!((&record["machine"]["device"], &record["plan"]["device"]), (&"cpu".into(), &"cpu".into()));
        // Plans of earlier versions name no device.
        let mut plan = record["plan"].clone();
        plan.as_object_mut().unwrap().remove("device");
        assert_eq!(serde_json::from_value::<alidade_domain::Plan>(plan).unwrap().device, alidade_domain::Device::Cpu);
        std::fs::remove_dir_all(folder.path().join("out")).unwrap();
        ["precision_changed", "checkpointing_changed"].map(|code| events.contains(code))
    };
    assert_eq!(codes(""), [false, false]);
    assert_eq!(codes("use_dora = true"), [true, true]);
}
