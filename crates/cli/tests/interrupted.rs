//! SIGKILL from outside at any time, then resume: the same log and the same adapter, to the byte.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly and tell its counts")]

mod common;

use alidade_domain::{Purpose, Stream};
use alidade_train::{METHODS, Method};
use common::{alidade, ok, recipe, small, text};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const KILLS: u64 = 10;
/// Of the ten, kills that must hit a checkpoint while it is being written.
const IN_COMMIT: u64 = 2;
const SETTINGS: &str = "max_steps = 18\nsave_steps = 2\nlearning_rate = 1e-3";

fn settings(method: &dyn Method) -> String {
    format!("{SETTINGS}\n{}", small(method))
}

fn result(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let read = |name: &str| std::fs::read(folder.join("out").join(name)).unwrap();
    (read("log.jsonl"), read("adapter/adapter_model.safetensors"))
}

fn start(path: &Path) -> Child {
    alidade(&["train", text(path)]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn kill(mut child: Child) {
    // A process that has just ended by itself needs no kill.
    let _ = child.kill();
    child.wait().unwrap();
}

fn unfinished(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder.join("out/checkpoints")).ok()?;
    entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|ending| ending == "tmp"))
}

/// Kills while a checkpoint is half written; true when its remains show that it was.
fn kill_in_commit(path: &Path, folder: &Path, wait_for: u64) -> bool {
    let mut child = start(path);
    let mut seen = 0;
    while child.try_wait().unwrap().is_none() {
        if unfinished(folder).is_some() {
            seen += 1;
            if seen >= wait_for {
                kill(child);
                return unfinished(folder).is_some();
            }
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    false
}

fn survives(method: &dyn Method, seed: u64) {
    let (settings, method) = (settings(method), method.name());
    let whole = tempfile::tempdir().unwrap();
    let began = Instant::now();
    ok(&["train", text(&recipe(whole.path(), method, &settings))]);
    let duration = began.elapsed();
    let expected = result(whole.path());
    let mut stream = Stream::new(seed, Purpose::Split, 0, 0);
    let (mut in_commit, mut before_the_end) = (0, 0);
    for round in 0..KILLS {
        let folder = tempfile::tempdir().unwrap();
        let path = recipe(folder.path(), method, &settings);
        if round < IN_COMMIT {
            let hit = (0..20).any(|attempt| kill_in_commit(&path, folder.path(), 1 + (round + attempt) % 4));
            in_commit += u64::from(hit);
        } else {
            let child = start(&path);
            std::thread::sleep(duration.mul_f64(0.95 * stream.unit()));
            kill(child);
        }
        if !folder.path().join("out/adapter").exists() {
            before_the_end += 1;
            ok(&["train", text(&path)]);
        }
        let found = result(folder.path());
        assert!(found.0 == expected.0, "{method}, round {round}: the log differs");
        assert!(found.1 == expected.1, "{method}, round {round}: the adapter differs");
    }
    println!("{method}: {KILLS} kills, {before_the_end} before the end, {in_commit} inside a checkpoint commit");
    assert!(in_commit >= IN_COMMIT, "only {in_commit} kills hit a commit");
    assert!(before_the_end >= KILLS / 2, "most kills came too late to say anything");
}

/// Every method of the registry; as many at a time as there are processors, so that the times of runs compare.
#[test]
fn every_method_resumes_to_the_byte() {
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(method) = METHODS.get(index) else { return };
            survives(*method, 11 + index as u64);
        }
    };
    std::thread::scope(|scope| {
        (0..std::thread::available_parallelism().map_or(1, usize::from)).for_each(|_| drop(scope.spawn(work)));
    });
}
