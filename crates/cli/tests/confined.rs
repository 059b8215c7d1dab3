//! Strangers' files at the terminal: whatever stands in them, a command ends in words, never in a signal, a panic or a wait.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail loudly and say what it skipped")]

mod common;

use alidade_domain::{Purpose, Stream};
use common::{alidade, golden, hostile, text};
use serde_json::Value;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than every limit that applies to these small files.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a command with a question on its standard input; fails where it never ends.
fn ended(arguments: &[&str]) -> Output {
    let mut command = alidade(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // A program that has refused its model reads no question.
    let _ = std::io::Write::write_all(&mut input, b"What is it?\n");
    drop(input);
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{arguments:?} did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// Either it works, or it is refused in words at a field.
fn answered_or_refused(name: &str, arguments: &[&str]) -> bool {
    let output = ended(arguments);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!words.contains("panicked") && !words.contains("overflowed"), "{name}: {words}");
    match output.status.code() {
        Some(0) => true,
        Some(2) => {
            assert!(words.contains("error"), "{name}: {words}");
            false
        }
        other => panic!("{name}: {other:?} {:?}: {words}", output.status),
    }
}

fn chat(name: &str, model: &Path) -> bool {
    answered_or_refused(name, &["chat", "--model", text(model), "--max-new-tokens", "3", "--temperature", "0"])
}

#[test]
fn a_good_folder_is_let_through() {
    assert!(chat("good", &golden("trl/model")));
}

#[test]
fn templates_that_nest_flood_or_never_end() {
    let folder = tempfile::tempdir().unwrap();
    for (name, template) in hostile::deep().into_iter().chain(hostile::wide()).chain(hostile::odd()) {
        let began = Instant::now();
        let passed = chat(&name, &hostile::with_template(folder.path(), &name, &template));
        eprintln!("{name}: {} in {:.1} s", if passed { "answered" } else { "refused" }, began.elapsed().as_secs_f64());
    }
}

#[test]
fn tokenizers_and_configurations_that_break_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizers = hostile::tokenizers().into_iter().map(|(name, text)| (name, text.into_bytes(), "tokenizer.json"));
    let configurations =
        hostile::configurations().into_iter().map(|(name, text)| (name, text.into_bytes(), "config.json"));
    let found = hostile::found().into_iter().map(|(path, file)| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap(), file)
    });
    for (name, content, file) in tokenizers.chain(configurations).chain(found) {
        let model = hostile::model(folder.path(), &name);
        std::fs::write(model.join(file), content).unwrap();
        let generate = [
            "generate",
            "--model",
            text(&model),
            "--prompt",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
            "--max-new-tokens",
            "2",
        ];
        let began = Instant::now();
        let passed = answered_or_refused(&name, &generate);
        eprintln!("{name}: {} in {:.1} s", if passed { "answered" } else { "refused" }, began.elapsed().as_secs_f64());
    }
}

/// A pipe in the place of a file blocks whoever opens it.
#[test]
fn pipes_in_the_place_of_files() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "chat_template.jinja", "tokenizer_config.json"] {
        let model = hostile::model(folder.path(), file);
        std::fs::remove_file(model.join(file)).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(model.join(file)).status().unwrap().success());
        // The last only adds to what the others say; without it the folder is as good as before.
        assert!(!chat(file, &model) || file == "tokenizer_config.json", "{file}");
    }
}

/// A file of an adapter, and what stands in it; nothing stands for a pipe.
fn broken_adapters() -> Vec<(&'static str, &'static str, Option<Vec<u8>>)> {
    let (config, weights) = ("adapter_config.json", "adapter_model.safetensors");
    let good: Value =
        serde_json::from_slice(&std::fs::read(golden("models/llama/adapter").join(config)).unwrap()).unwrap();
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        Some(changed.to_string().into_bytes())
    };
    vec![
        ("nested", config, Some("[".repeat(200_000).into_bytes())),
        ("open brackets", config, with("target_modules", "(".repeat(50_000).into())),
        ("slow pattern", config, with("target_modules", "((a|aa)+)+(.*.*)*$".into())),
        ("large pattern", config, with("target_modules", "(((.{999}){999}){999}){999}".into())),
        ("large rank", config, with("r", u64::MAX.into())),
        ("pipe", config, None),
        ("piped weights", weights, None),
        ("no weights", weights, Some(u64::MAX.to_le_bytes().to_vec())),
        (
            "large tensor",
            weights,
            Some(header(r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#)),
        ),
    ]
}

/// A safetensors file of four bytes.
fn header(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &[0; 4]].concat()
}

#[test]
fn adapters_that_break_readers() {
    let (folder, model) = (tempfile::tempdir().unwrap(), golden("models/llama"));
    for (name, file, content) in broken_adapters() {
        let (adapter, output) = (folder.path().join(name), folder.path().join("out").join(name));
        std::fs::create_dir_all(&adapter).unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            std::fs::copy(golden("models/llama/adapter").join(file), adapter.join(file)).unwrap();
        }
        std::fs::remove_file(adapter.join(file)).unwrap();
        match content {
            Some(content) => std::fs::write(adapter.join(file), content).unwrap(),
            None => assert!(std::process::Command::new("mkfifo").arg(adapter.join(file)).status().unwrap().success()),
        }
        let export = ["export", "--model", text(&model), "--adapter", text(&adapter), "--output", text(&output)];
        let exported = answered_or_refused(name, &export);
        // A pattern only says what was trained; one that cannot be read is told, and the weights are what they are.
        assert!(!exported || name.ends_with("brackets") || name.ends_with("pattern"), "{name}");
        assert_eq!(output.exists(), exported, "{name}");
    }
}

/// Some hundreds of small changes to the files of a good folder, the same ones every time.
#[test]
fn changed_files_are_used_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = hostile::model(folder.path(), "m");
    let (mut stream, mut counts) = (Stream::new(5, Purpose::Split, 0, 0), [0, 0]);
    for file in ["tokenizer.json", "config.json", "tokenizer_config.json", "chat_template.jinja"] {
        let good = std::fs::read(model.join(file)).unwrap();
        for round in 0..75 {
            let mut bytes = good.clone();
            for _ in 0..=stream.below(3) {
                let place = stream.below(bytes.len());
                match stream.below(4) {
                    0 => bytes[place] = b"0123456789{}[]\",:-e"[stream.below(19)],
                    1 => drop(bytes.remove(place)),
                    2 => bytes.insert(place, b"09{}[]\",-"[stream.below(9)]),
                    _ => {
                        let end = (place + 1 + stream.below(40)).min(bytes.len());
                        let part = bytes[place..end].to_vec();
                        bytes.splice(place..place, part);
                    }
                }
            }
            std::fs::write(model.join(file), bytes).unwrap();
            counts[usize::from(chat(&format!("{file} {round}"), &model))] += 1;
        }
        std::fs::write(model.join(file), good).unwrap();
    }
    eprintln!("{} refused, {} used", counts[0], counts[1]);
    assert!(counts[0] > 20 && counts[1] > 20, "{counts:?}");
}
