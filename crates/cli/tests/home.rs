//! The data folder as the real program finds it: fresh, foreign, damaged, lost, and brought back.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::alidade;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

fn ask(home: &Path, arguments: &[&str]) -> Output {
    alidade(arguments).env("ALIDADE_HOME", home).output().unwrap()
}

fn words(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// Serves until `ready`, then kills.
fn serve_until(home: &Path, ready: impl Fn() -> bool) {
    let mut child =
        alidade(&["serve"]).env("ALIDADE_HOME", home).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let began = Instant::now();
    while !ready() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ready(), "nothing came of it");
}

#[test]
fn a_damaged_database_is_refused_and_a_backup_brings_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    words(&ask(&home, &["runs"]), 0);
    let listed = || String::from_utf8(ask(&home, &["restore", "--list", "--json"]).stdout).unwrap();
    assert_eq!(listed().trim(), "[]");
    serve_until(&home, || listed().contains("\"sound\":true"));
    let database = home.join("alidade.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle - 4096..middle + 4096].fill(0x5a);
    std::fs::write(&database, &bytes).unwrap();
    let said = words(&ask(&home, &["runs"]), 1);
    assert!(said.contains("damaged") && said.contains("alidade restore"), "{said}");
    assert_eq!(std::fs::read(&database).unwrap(), bytes, "the damaged file was changed");
    words(&ask(&home, &["restore"]), 0);
    words(&ask(&home, &["runs"]), 0);
    let kept = std::fs::read_dir(&home).unwrap().flatten().map(|entry| entry.path());
    let kept = kept.into_iter().find(|path| {
        path.to_string_lossy().contains("alidade.db.damaged-")
            && !path.to_string_lossy().ends_with("-wal")
            && !path.to_string_lossy().ends_with("-shm")
    });
    assert_eq!(std::fs::read(kept.unwrap()).unwrap(), bytes, "the damaged file was not kept");
}

#[test]
fn foreign_and_lost_databases_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let database = home.join("alidade.db");
    std::fs::write(&database, "a shopping list").unwrap();
    let said = words(&ask(&home, &["runs"]), 2);
    assert!(said.contains("not this program's database") && said.contains("hint"), "{said}");
    assert_eq!(std::fs::read_to_string(&database).unwrap(), "a shopping list");
    std::fs::remove_file(&database).unwrap();
    words(&ask(&home, &["runs"]), 0);
    for lost in [true, false] {
        if lost {
            std::fs::remove_file(&database).unwrap();
        } else {
            std::fs::write(&database, "").unwrap();
        }
        let said = words(&ask(&home, &["runs"]), 2);
        assert!(said.contains(if lost { "is missing" } else { "is empty" }), "{said}");
    }
}

#[test]
fn the_data_folder_is_the_persons_alone() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir_all(home.join("runs/old")).unwrap();
    std::fs::remove_dir_all(home.join("runs")).unwrap();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).unwrap();
    words(&ask(&home, &["runs"]), 0);
    let mut waiting = vec![home.clone()];
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        let data = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!(data.permissions().mode() & 0o077, 0, "{}", path.display());
        if data.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
        }
        seen += 1;
    }
    assert!(seen > 10, "only {seen} files");
}
