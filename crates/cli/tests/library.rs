//! The models, data sets and experiments of the app from the terminal: added, listed, renamed, removed.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::{alidade, golden};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn run(home: &Path, arguments: &[&str]) -> Output {
    let mut command = alidade(arguments);
    command.env("ALIDADE_HOME", home).env("ALIDADE_RESOURCES", alidade_testkit::resources(""));
    command.output().unwrap()
}

fn ok(home: &Path, arguments: &[&str]) -> String {
    let output = run(home, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(home: &Path, arguments: &[&str]) -> String {
    let output = run(home, arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn list(home: &Path, what: &str) -> Vec<Value> {
    serde_json::from_str(&ok(home, &[what, "list", "--json"])).unwrap()
}

#[test]
fn models_and_data_sets_are_added_renamed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let model = golden("trl/model");
    ok(&home, &["models", "add", model.to_str().unwrap(), "--name", "toy"]);
    assert!(list(&home, "models").iter().any(|one| one["model"]["name"] == "toy" && one["bundled"] == false));
    ok(&home, &["models", "rename", "toy", "tiny"]);
    assert!(ok(&home, &["models"]).contains("tiny"));
    assert!(refused(&home, &["models", "rename", "tini", "x"]).contains("tiny"));
    assert!(refused(&home, &["models", "remove", "starter", "--yes"]).contains("part of the program"));
    assert!(refused(&home, &["models", "remove", "tiny"]).contains("--yes"));
    ok(&home, &["models", "remove", "tiny", "--yes"]);
    assert!(!ok(&home, &["models"]).contains("tiny"));

    let rows = folder.path().join("kind.jsonl");
    std::fs::write(&rows, "{\"prompt\": \"Why?\", \"completion\": \"So.\"}\n{\"prompt\": \"\"}\n").unwrap();
    let imported: Value = serde_json::from_str(&ok(&home, &["import", rows.to_str().unwrap(), "--json"])).unwrap();
    assert_eq!((&imported["kept"], &imported["dataset"]["name"]), (&1.into(), &"kind".into()));
    assert_eq!(imported["dataset"]["issues"].as_array().unwrap().len(), 1);
    // The same file under the same name is the same data set.
    ok(&home, &["data", "add", rows.to_str().unwrap()]);
    let own = |home: &Path| list(home, "data").into_iter().filter(|set| set["bundled"] == false).collect::<Vec<_>>();
    assert_eq!(own(&home).len(), 1);
    ok(&home, &["data", "rename", "kind", "kinder"]);
    assert!(ok(&home, &["data"]).contains("kinder"));
    ok(&home, &["data", "remove", "kinder", "--yes"]);
    assert!(own(&home).is_empty());
}

#[test]
fn checking_a_file_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let rows = folder.path().join("kind.jsonl");
    std::fs::write(&rows, "{\"prompt\": \"Why?\", \"completion\": \"So.\"}\n").unwrap();
    assert!(ok(&home, &["check", rows.to_str().unwrap()]).contains("1 of 1"));
    assert!(!home.exists());
}

#[test]
fn shells_and_manuals_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(ok(folder.path(), &["completions", shell]).contains("experiments"), "{shell}");
    }
    let pages = folder.path().join("man");
    ok(folder.path(), &["man", "--output", pages.to_str().unwrap()]);
    assert!(pages.join("alidade.1").exists() && pages.join("alidade-train.1").exists());
    let loud = run(folder.path(), &["runs"]);
    let quiet = run(folder.path(), &["--quiet", "runs"]);
    assert!(!loud.stderr.is_empty() && quiet.stderr.is_empty());
    assert_eq!(loud.stdout, quiet.stdout);
}
