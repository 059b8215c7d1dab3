//! Strangers' model folders in the app: added, trained on, looked at and exported, good or hostile; the server outlives them all.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail loudly and say what it skipped")]

mod common;

use common::server::{Server, wait_for};
use common::{golden, hostile};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// What the program itself may grow by, whatever a file holds.
const GROWTH: u64 = 64 << 20;

/// Files in the place of a good one: a name, which file, and what stands in it.
fn hostile_files() -> Vec<(String, &'static str, Vec<u8>)> {
    let templates = hostile::deep().into_iter().chain(hostile::wide().into_iter().take(4)).chain(hostile::odd());
    let templates = templates.map(|(name, text)| (name, "chat_template.jinja", text.into_bytes()));
    let tokenizers = hostile::tokenizers().into_iter().map(|(name, text)| (name, "tokenizer.json", text.into_bytes()));
    let configurations =
        hostile::configurations().into_iter().map(|(name, text)| (name, "config.json", text.into_bytes()));
    let found = hostile::found().into_iter().map(|(path, file)| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), file, std::fs::read(path).unwrap())
    });
    templates.chain(tokenizers).chain(configurations).chain(found).collect()
}

#[test]
fn hostile_folders_are_taken_or_refused_in_words() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start(home.path());
    server.still_answers();
    let before = server.memory();
    for (name, file, content) in hostile_files() {
        let (handle, path) = server.folder(&golden("trl/model"));
        std::fs::write(path.join(file), content).unwrap();
        let began = Instant::now();
        let (status, answer) = server.call("add_model", json!({"handle": handle}));
        eprintln!("{name}: {status} {} in {:.1} s", answer["message"]["en"], began.elapsed().as_secs_f64());
        assert!(server.lives() && matches!(status, 200 | 422), "{name}: {status} {answer}");
        if status == 200 {
            server.ok("remove_model", json!({"id": answer["model"]["id"]}));
        } else {
            assert_eq!(answer["field"], "model", "{name}: {answer}");
        }
        std::fs::remove_dir_all(path).unwrap();
    }
    let grown = server.memory().saturating_sub(before);
    eprintln!("the server grew by {:.1} MB", grown as f64 / 1e6);
    assert!(grown < GROWTH, "{grown}");
    server.still_answers();
}

/// A pipe in the place of a file blocks whoever opens it.
#[test]
fn pipes_in_a_folder_hold_nobody_up() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    for file in ["config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"] {
        let (handle, path) = server.folder(&golden("trl/model"));
        std::fs::remove_file(path.join(file)).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path.join(file)).status().unwrap().success());
        let (status, answer) = server.call("add_model", json!({"handle": handle}));
        assert_eq!(status, 422, "{file}: {answer}");
    }
    server.still_answers();
}

struct Bench {
    server: Server,
    path: PathBuf,
    stages: Value,
}

/// A server with a stranger's model and forty answers, and a stage of four steps that learns from them.
fn bench(home: &std::path::Path) -> Bench {
    let server = Server::start(home);
    let (handle, path) = server.folder(&golden("trl/model"));
    let model = server.ok("add_model", json!({"handle": handle}));
    let row = |i: usize| json!({"messages": [{"role": "user", "content": format!("What is {i}?")}, {"role": "assistant", "content": format!("It is {i}.")}]});
    let rows: String = (0..40).map(|i| format!("{}\n", row(i))).collect();
    let data = server.upload("rows.jsonl", rows.as_bytes());
    let data = server.ok("import_dataset", json!({"handle": data, "name": null}));
    let presets = server.ok("list_presets", json!({}));
    let mut recipe =
        presets.as_array().unwrap().iter().find(|preset| preset["id"] == "kind_and_true").unwrap()["stages"][0].clone();
    recipe["model"] = json!(format!("model:{}", model["model"]["id"].as_str().unwrap()));
    recipe["dataset"] = json!(format!("dataset:{}", data["id"].as_str().unwrap()));
    recipe["settings"] = json!({"max_steps": 4, "save_steps": 4, "max_length": 64});
    Bench { server, path, stages: json!([recipe]) }
}

impl Bench {
    fn create(&self) -> String {
        let request = json!({"title": "t", "question": "", "stages": self.stages});
        self.server.ok("create_experiment", request)["experiment"]["id"].as_str().unwrap().to_owned()
    }

    /// The first run of an experiment when it is over.
    fn over(&self, id: &str) -> Value {
        let mut run = Value::Null;
        wait_for("the end of a run", || {
            run = self.server.ok("get_experiment", json!({"id": id}))["runs"][0].clone();
            ["finished", "failed", "stopped", "interrupted"].contains(&run["state"].as_str().unwrap_or_default())
        });
        run
    }
}

#[test]
fn a_run_whose_folder_turns_bad_ends_in_words_and_the_next_one_starts() {
    let home = tempfile::tempdir().unwrap();
    let mut bench = bench(home.path());
    let good = std::fs::read(bench.path.join("chat_template.jinja")).unwrap();
    let checked = bench.server.ok("check_pipeline", json!({"stages": bench.stages}));
    assert_eq!(checked["ready"], true, "{checked}");
    let files = hostile::deep().into_iter().take(3).chain(hostile::wide().into_iter().skip(1).take(1));
    for (name, template) in files {
        let id = bench.create();
        std::fs::write(bench.path.join("chat_template.jinja"), template).unwrap();
        let (status, answer) = bench.server.call("start_experiment", json!({"id": id}));
        assert!(bench.server.lives() && matches!(status, 200 | 422), "{name}: {answer}");
        if status == 200 {
            let run = bench.over(&id);
            eprintln!("{name}: {} {}", run["state"], run["problem"]["message"]["en"]);
            assert_ne!(run["state"], "interrupted", "{name}: {run}");
        }
        std::fs::write(bench.path.join("chat_template.jinja"), &good).unwrap();
        let id = bench.create();
        bench.server.ok("start_experiment", json!({"id": id}));
        assert_eq!(bench.over(&id)["state"], "finished", "{name}");
    }
    bench.server.still_answers();
}

/// What a stranger's model was trained to is looked at and exported by processes of their own.
#[test]
fn tokens_and_exports_of_a_stranger() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path());
    let id = bench.create();
    bench.server.ok("start_experiment", json!({"id": id}));
    let run = bench.over(&id);
    assert_eq!(run["state"], "finished", "{run}");
    let rows = bench.server.ok("run_tokens", json!({"run": run["id"]}));
    let pieces = rows[0]["pieces"].as_array().unwrap();
    assert!(pieces.iter().any(|piece| piece["learned"] == true), "{rows}");
    let empty = tempfile::tempdir().unwrap();
    for (form, file) in [("peft", "adapter_model.safetensors"), ("merged", "model.safetensors")] {
        let (handle, path) = bench.server.folder(empty.path());
        let request = json!({"adapter": run["adapter"]["id"], "form": form, "handle": handle});
        bench.server.ok("export_adapter", request);
        let made = std::fs::read_dir(&path).unwrap().flatten().next().unwrap().path();
        assert!(made.join(file).is_file(), "{form}");
    }
}
