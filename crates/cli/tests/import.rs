//! `alidade import` on files as people have them.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::{alidade, ok, refused, text};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn file(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn found(path: &Path) -> Value {
    serde_json::from_str(&ok(&["check", text(path), "--json"])).unwrap()
}

#[test]
fn a_cut_file_is_a_problem_in_words_and_in_figures() {
    let folder = tempfile::tempdir().unwrap();
    let cut = file(folder.path(), "cut.json", r#"[{"prompt":"a","completion":"b"}, {"prompt":"c","comp"#);
    let told = found(&cut);
    assert_eq!((told["read"].as_u64(), told["kept"].as_u64()), (Some(2), Some(1)));
    assert_eq!(told["dataset"]["issues"][0]["reason"]["en"], "cut off");
    let words = ok(&["check", text(&cut)]);
    assert!(words.contains("problem: the file is cut off") && words.contains("19 bytes"), "{words}");
}

#[cfg(unix)]
#[test]
fn only_ordinary_files_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.jsonl");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    for path in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
        let words = refused(&["check", text(path)], 2);
        assert!(words.contains("no ordinary file") || words.contains("is a folder"), "{words}");
    }
    assert!(refused(&["check", "nowhere.jsonl"], 2).contains("nowhere.jsonl"));
    for (name, bytes, words) in [
        ("x.jsonl.gz", &b"\x1f\x8b\x08\0"[..], "gzip"),
        ("x.parquet", b"PAR1\x15\x04", "parquet"),
        ("x.xlsx", b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml", "Excel"),
        ("x.pkl", b"\x80\x04\x95\0\0\0\0\0\0\0\0.", "pickle"),
        ("x.pdf", b"%PDF-1.7\n", "PDF"),
    ] {
        let said = refused(&["check", text(&file(folder.path(), name, bytes))], 2);
        assert!(said.contains(words) && said.contains("hint:"), "{said}");
    }
}

/// What a terminal would obey is spelled out, on either stream.
#[test]
fn escape_sequences_do_not_reach_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "{\"prompt\":\"a\",\"completion\":\"b\",\"\\u001b[2Jcolumn\":1}\n{\"messages\":[{\"role\":\"\\u001b]0;title\\u0007\",\"content\":\"x\"}]}\n\u{1b}[31mred\n";
    let mixed = file(folder.path(), "rows\u{1b}[1m.jsonl", rows);
    let bad = file(folder.path(), "bad.jsonl", "{\"\\u001b[2J\":1}\n");
    for path in [mixed, bad] {
        let output = alidade(&["check", text(&path)]).output().unwrap();
        for stream in [&output.stdout, &output.stderr] {
            let words = String::from_utf8_lossy(stream);
            assert!(!words.chars().any(|character| character.is_control() && character != '\n'), "{words:?}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_or_a_closed_pipe_behind_it_ends_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let rows = file(folder.path(), "rows.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n");
    for arguments in [vec!["check", text(&rows)], vec!["check", text(&rows), "--json"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = alidade(&arguments).stdout(full).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words}");
        let told = words.contains("room") || words.to_lowercase().contains("space");
        assert!(told && !words.contains("panicked"), "{words}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = alidade(&arguments).stdout(writer).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        // A shell reports a program that its closed pipe has ended by 141.
        assert!(matches!(output.status.code(), Some(0 | 141)) && words.is_empty(), "{:?}: {words}", output.status);
    }
}

/// Files of any size pass within 64 MiB above what the program needs for itself.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let small = file(folder.path(), "small.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n");
    let row = format!("{{\"prompt\":\"{}\",\"completion\":\"b\"}}", "a".repeat(1_000));
    let cells = format!("{}\n", "c,".repeat(100_000));
    let files = [
        file(folder.path(), "rows.jsonl", format!("{row}\n").repeat(100_000)),
        file(folder.path(), "one-line.json", format!("[{}{row}]", format!("{row},").repeat(60_000))),
        file(folder.path(), "wide.csv", cells.repeat(50)),
        file(folder.path(), "bad.jsonl", "{\"prompt\":\"a\",\"completion\":7}\n{\"a\":[]}\n".repeat(500_000)),
        file(folder.path(), "long.jsonl", format!("{row}\n{{\"prompt\":\"{}\"}}\n", "a".repeat(120 << 20))),
        file(folder.path(), "values.json", format!("[[{}0],{row}]", "{},".repeat(10_000_000))),
        file(
            folder.path(),
            "longest.jsonl",
            format!("{{\"prompt\":\"{}\",\"completion\":\"b\"}}\n", "a".repeat(15 << 20)).repeat(3),
        ),
    ];
    let least = peak(&small);
    for path in files {
        let most = peak(&path);
        // Readings are samples: an import that ends between two of them may tell less than the smallest file's.
        let above = most.saturating_sub(least);
        println!("{}: {} MiB above {} MiB", path.file_name().unwrap().display(), above >> 10, least >> 10);
        assert!(most < least + (64 << 10), "{}: {most} kB above {least} kB", path.display());
    }
}

/// The most memory that an import held, in kB: the program and the child that reads the file.
#[cfg(target_os = "linux")]
fn peak(path: &Path) -> u64 {
    let mut child = alidade(&["check", text(path), "--json"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut most = std::collections::BTreeMap::new();
    // The last reading before the end is the peak so far, since the figure only rises.
    while child.try_wait().unwrap().is_none() {
        for process in family(child.id()) {
            let peak = figure(process, "VmHWM:").unwrap_or(0);
            most.entry(process).and_modify(|known: &mut u64| *known = peak.max(*known)).or_insert(peak);
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    most.values().sum()
}

/// A process and its children.
#[cfg(target_os = "linux")]
fn family(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|number| *number == parent || figure(*number, "PPid:") == Some(u64::from(parent))).collect()
}

#[cfg(target_os = "linux")]
fn figure(process: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
