//! The same command goes on where the last one was cut off, wherever that was; another recipe is told what differs; damage
//! that came in between is noticed.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly and tell what it skipped")]

mod common;

use common::{alidade, golden, lines, ok, recipe, refused, run, text};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const STEPS: &str = "max_steps = 6\nsave_steps = 2\nlearning_rate = 1e-3";
const LONG: &str = "max_steps = 4000\nsave_steps = 3\nlearning_rate = 1e-3";

/// What a finished run left; the share of writing is unknown to a process that did not train.
fn left(out: &Path) -> (Vec<u8>, Vec<u8>, Value) {
    let read = |name: &str| std::fs::read(out.join(name)).unwrap();
    let mut record: Value = serde_json::from_slice(&read("run.json")).unwrap();
    record["generation_share"] = Value::Null;
    (read("log.jsonl"), read("adapter/adapter_model.safetensors"), record)
}

fn kinds(out: &Path) -> Vec<String> {
    lines(&out.join("events.jsonl")).iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

fn keep_events(out: &Path, keep: impl Fn(&Value) -> bool) {
    let kept = lines(&out.join("events.jsonl")).into_iter().take_while(|event| keep(event));
    let text: String = kept.map(|event| format!("{event}\n")).collect();
    std::fs::write(out.join("events.jsonl"), text).unwrap();
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Files and folders whose name begins with a dot.
fn hidden(out: &Path) -> usize {
    let entries = std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap().file_name());
    entries.filter(|name| name.to_string_lossy().starts_with('.')).count()
}

/// Brings an output folder into a state that a cut or a fault leaves.
type Spoil<'a> = &'a dyn Fn(&Path);

/// A recipe for an adapter, or for a whole model.
fn tuned(folder: &Path, full: bool) -> PathBuf {
    let path = recipe(folder, "sft", STEPS);
    if full {
        let adapter = std::fs::read_to_string(&path).unwrap();
        let whole = adapter.replace("[lora]\nr = 4\nlora_dropout = 0.1\n", "");
        std::fs::write(&path, format!("tuning = \"full\"\n{whole}")).unwrap();
    }
    path
}

#[test]
fn what_was_cut_off_after_training_is_finished_without_training_again() {
    let cuts: [(&str, Spoil); 6] = [
        ("before run.json", &|out| {
            std::fs::remove_file(out.join("run.json")).unwrap();
            keep_events(out, |event| event["kind"] != "finished");
        }),
        ("while run.json was written", &|out| {
            std::fs::write(out.join("run.json"), "").unwrap();
            std::fs::write(out.join(".run.json.1-7.tmp"), "{\"pl").unwrap();
            keep_events(out, |event| event["kind"] != "finished");
        }),
        ("before the last word", &|out| keep_events(out, |event| event["kind"] != "finished")),
        ("within the last word", &|out| {
            let events = std::fs::read(out.join("events.jsonl")).unwrap();
            std::fs::write(out.join("events.jsonl"), &events[..events.len() - 9]).unwrap();
        }),
        ("with the record lost", &|out| std::fs::remove_file(out.join("run.json")).unwrap()),
        ("with the events lost", &|out| std::fs::remove_file(out.join("events.jsonl")).unwrap()),
    ];
    for full in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (path, out) = (tuned(folder.path(), full), folder.path().join("out"));
        ok(&["train", text(&path)]);
        let result = out.join(if full { "model/model.safetensors" } else { "adapter/adapter_model.safetensors" });
        let state = || (std::fs::read(out.join("log.jsonl")).unwrap(), std::fs::read(&result).unwrap());
        let expected = state();
        let made = std::fs::metadata(&result).unwrap().modified().unwrap();
        for (name, cut) in &cuts {
            let record = recorded(&out, name);
            cut(&out);
            let before = kinds_or_none(&out);
            let output = run(&["train", text(&path)]);
            assert!(output.status.success(), "{name}: {}", words(&output));
            assert!(words(&output).contains("All steps are already done"), "{name}: {}", words(&output));
            assert!(state() == expected, "{name}");
            assert_eq!(std::fs::metadata(&result).unwrap().modified().unwrap(), made, "{name}: nothing was saved anew");
            assert_eq!(recorded(&out, name), record, "{name}");
            let now = kinds(&out);
            assert_eq!(now.last().unwrap(), "finished", "{name}");
            assert!(now[before..].iter().all(|kind| kind != "step"), "{name}: {now:?}");
            assert_eq!(hidden(&out), 0, "{name}");
            // Now it is finished.
            assert!(refused(&["train", text(&path)], 2).contains("already holds"), "{name}");
        }
    }
}

/// `run.json` without what only the process that trained knows, or has told to events that are lost.
fn recorded(out: &Path, cut: &str) -> Value {
    let mut record: Value = serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
    record["generation_share"] = Value::Null;
    if cut == "with the events lost" {
        (record["keep"], record["versions"]) = (Value::Null, Value::Null);
    }
    record
}

fn kinds_or_none(out: &Path) -> usize {
    std::fs::read(out.join("events.jsonl")).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count())
}

#[test]
fn an_adapter_that_was_half_written_is_made_from_the_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (recipe(folder.path(), "sft", STEPS), folder.path().join("out"));
    ok(&["train", text(&path)]);
    let expected = left(&out);
    std::fs::rename(out.join("adapter"), out.join(".adapter.1-7.tmp")).unwrap();
    std::fs::remove_file(out.join("run.json")).unwrap();
    keep_events(&out, |event| event["kind"] != "finished");
    let output = run(&["train", text(&path)]);
    assert!(output.status.success() && words(&output).contains("Resuming from step 4 of 6."), "{}", words(&output));
    assert!(left(&out) == expected);
    assert!(!out.join(".adapter.1-7.tmp").exists());
}

#[test]
fn another_recipe_is_told_what_differs_and_nothing_is_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let out = at.join("out");
    let short = LONG.replace("4000", "30").replace("= 3\n", "= 5\n");
    let whole = tempfile::tempdir().unwrap();
    ok(&["train", text(&recipe(whole.path(), "sft", &short))]);
    let path = recipe(at, "sft", &short);
    kill_at_checkpoint(&path, &out);
    let (log, before) = (std::fs::read(out.join("log.jsonl")).unwrap(), checkpoints(&out));
    let path = recipe(at, "sft", &short.replace("= 30", "= 60").replace("1e-3", "2e-3"));
    let said = refused(&["train", text(&path), "--json"], 2);
    for part in
        ["error (output_dir)", "max_steps 30 → 60", "learning_rate 0.001 → 0.002", "to resume from step", "--overwrite"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let others = [("r = 4", "r = 8", "lora.r 4 → 8"), ("seed = 7", "seed = 8", "seed 7 → 8")];
    for (old, new, told) in others {
        let path = recipe(at, "sft", &short);
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replace(old, new)).unwrap();
        assert!(refused(&["train", text(&path)], 2).contains(told));
    }
    assert!(std::fs::read(out.join("log.jsonl")).unwrap() == log && checkpoints(&out) == before);
    // How often checkpoints are kept changes no number, so it may change.
    let path = recipe(at, "sft", &short.replace("= 5\n", "= 7\n"));
    let output = run(&["train", text(&path)]);
    assert!(output.status.success() && words(&output).contains("Resuming from step"), "{}", words(&output));
    let (mine, theirs) = (left(&out), left(&whole.path().join("out")));
    assert!(mine.0 == theirs.0 && mine.1 == theirs.1);
    // Its result is not silently taken for another recipe's.
    let path = recipe(at, "sft", &short.replace("= 30", "= 60"));
    assert!(refused(&["train", text(&path)], 2).contains("adapter of other settings: max_steps 30 → 60"));
    ok(&["train", text(&path), "--overwrite"]);
    assert_eq!(lines(&out.join("log.jsonl")).len(), 60);
}

/// A first attempt that came to no step has kept nothing: the mended recipe begins without being asked.
#[test]
fn a_recipe_that_failed_at_once_can_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = recipe(folder.path(), "dpo", "max_steps = 2\nmax_length = 100000");
    let output = run(&["train", text(&path)]);
    if output.status.success() {
        println!("skipped: the rows are short enough for any length");
    }
    let path =
        recipe(folder.path(), "sft", "max_steps = 2\nlearning_rate = 1.0\nmax_grad_norm = 0.0\nwarmup_ratio = 0.0");
    let other = run(&["train", text(&path)]);
    let path = recipe(folder.path(), "sft", "max_steps = 3");
    if !output.status.success() && other.status.code() == Some(1) && !folder.path().join("out/log.jsonl").exists() {
        ok(&["train", text(&path)]);
    }
}

fn checkpoints(out: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(out.join("checkpoints")).into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir() && path.extension().is_none());
    found.sort();
    found
}

fn start(path: &Path) -> Child {
    alidade(&["train", text(path)]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn until_checkpoint(out: &Path) {
    let limit = Instant::now() + Duration::from_secs(120);
    while checkpoints(out).is_empty() {
        assert!(Instant::now() < limit, "no checkpoint came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill_at_checkpoint(path: &Path, out: &Path) {
    let mut child = start(path);
    until_checkpoint(out);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.join("adapter").exists(), "the kill came too late");
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_step_and_the_same_command_goes_on() {
    for name in ["-INT", "-TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let (path, out) = (recipe(folder.path(), "sft", LONG), folder.path().join("out"));
        let child = start(&path);
        until_checkpoint(&out);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = words(&output);
        assert_eq!(output.status.code(), Some(130), "{name}: {said}");
        let step = lines(&out.join("log.jsonl")).len();
        assert!(said.contains(&format!("Stopped at step {step}; run the same command to resume.")), "{name}: {said}");
        assert!(checkpoints(&out).last().unwrap().ends_with(format!("step-{step:08}")));
        assert_eq!(kinds(&out).last().unwrap(), "paused");
        let child = start(&path);
        let limit = Instant::now() + Duration::from_secs(120);
        while lines_so_far(&out) <= step && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(2));
        }
        signal(&child, "-INT");
        let output = child.wait_with_output().unwrap();
        assert!(words(&output).contains(&format!("Resuming from step {step} of 4000.")), "{}", words(&output));
        assert_eq!(output.status.code(), Some(130));
    }
}

fn lines_so_far(out: &Path) -> usize {
    std::fs::read(out.join("log.jsonl")).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count())
}

/// Changes a byte of a file after its first `from` bytes.
fn spoil(path: &Path, from: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let place = from + bytes[from..].iter().position(u8::is_ascii_digit).unwrap();
    bytes[place] = if bytes[place] == b'9' { b'8' } else { bytes[place] + 1 };
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn files_that_were_changed_before_a_resume_are_noticed() {
    let whole = tempfile::tempdir().unwrap();
    let settings = LONG.replace("4000", "24");
    ok(&["train", text(&recipe(whole.path(), "sft", &settings))]);
    let spoils: [(&str, &str, Spoil); 6] = [
        ("rows.jsonl", "rows.aside-1.jsonl", &|path| {
            let text_of = std::fs::read_to_string(path).unwrap();
            std::fs::write(path, text_of.replacen('e', "a", 1)).unwrap();
        }),
        ("rows.jsonl", "rows.aside-1.jsonl", &|path| std::fs::write(path, "").unwrap()),
        ("log.jsonl", "log.damaged.jsonl", &|path| spoil(path, 0)),
        ("log.jsonl", "log.damaged.jsonl", &|path| std::fs::write(path, b"\xff\n").unwrap()),
        ("events.jsonl", "events.aside-1.jsonl", &|path| {
            let text_of = std::fs::read_to_string(path).unwrap();
            std::fs::write(path, text_of.replacen("\"sequence\":3", "\"sequence\":4", 1)).unwrap();
        }),
        ("events.jsonl", "events.aside-1.jsonl", &|path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[200] = 0xff;
            std::fs::write(path, bytes).unwrap();
        }),
    ];
    for (index, (name, aside, spoil)) in spoils.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let (path, out) = (recipe(folder.path(), "sft", &settings), folder.path().join("out"));
        kill_at_checkpoint(&path, &out);
        spoil(&out.join(name));
        let spoiled = std::fs::read(out.join(name)).unwrap();
        let output = run(&["train", text(&path)]);
        assert!(output.status.success(), "{index}: {}", words(&output));
        assert!(words(&output).contains(name) && words(&output).contains(aside), "{index}: {}", words(&output));
        assert!(std::fs::read(out.join(aside)).unwrap() == spoiled, "{index}: what was found is kept");
        let (mine, theirs) = (left(&out), left(&whole.path().join("out")));
        assert!(mine.0 == theirs.0 && mine.1 == theirs.1, "{index}");
        for (place, event) in lines(&out.join("events.jsonl")).iter().enumerate() {
            assert_eq!(event["sequence"], place as u64 + 1, "{index}");
        }
    }
}

#[test]
fn an_adapter_that_was_changed_since_is_refused_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let model = golden("trl/model");
    let data = golden("trl/sft_completion_only/data.jsonl");
    for (method, key) in [("sft", "adapter"), ("reward_model", "reward")] {
        ok(&["train", text(&recipe(at, method, "max_steps = 2\nlearning_rate = 1e-3"))]);
        let adapter = at.join(method);
        std::fs::rename(at.join("out/adapter"), &adapter).unwrap();
        std::fs::remove_dir_all(at.join("out")).unwrap();
        let weights = adapter.join("adapter_model.safetensors");
        let sound = std::fs::read(&weights).unwrap();
        let mut bytes = sound.clone();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&weights, &bytes).unwrap();
        let (model, adapter, output) = (text(&model), text(&adapter), at.join("exported"));
        let stack = ["--model", model, "--adapter", adapter];
        let asked: [Vec<&str>; 4] = [
            [&["generate", "--prompt", "a", "--max-new-tokens", "1"], &stack[..]].concat(),
            [&["evaluate", "--data", text(&data), "--limit", "1"], &stack[..]].concat(),
            [&["export", "--output", text(&output)], &stack[..]].concat(),
            [&["chat"], &stack[..]].concat(),
        ];
        for arguments in asked.iter().filter(|_| method == "sft") {
            let said = refused(arguments, 2);
            assert!(said.contains("error (adapter)") && said.contains("SHA-256"), "{arguments:?}: {said}");
        }
        let next = if method == "sft" { "sft" } else { "rloo" };
        let settings = "max_steps = 1\nwarmup_steps = 0\nmax_completion_length = 4\nper_device_train_batch_size = 4\nnum_generations = 2";
        let path = recipe(at, next, if method == "sft" { "max_steps = 1\nwarmup_steps = 0" } else { settings });
        let text_of = std::fs::read_to_string(&path).unwrap();
        let text_of: Vec<&str> = text_of.lines().filter(|line| !line.starts_with("reward")).collect();
        let mut text_of = format!("{key} = {adapter:?}\n{}", text_of.join("\n"));
        if method == "sft" {
            text_of = text_of.replace("[lora]\nr = 4\nlora_dropout = 0.1\n", "");
        }
        std::fs::write(&path, text_of).unwrap();
        let said = refused(&["train", text(&path)], 2);
        assert!(said.contains(&format!("error ({key})")) && said.contains("SHA-256"), "{said}");
        std::fs::write(&weights, &sound).unwrap();
        ok(&["train", text(&path)]);
        std::fs::remove_dir_all(at.join("out")).unwrap();
    }
}

/// A disk of one megabyte of which less and less is free: whatever could not be written is named, and with room the same
/// command goes on to the same bytes.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_costs_no_work() {
    let Some(disk) = Disk::of(2 << 20) else {
        println!("skipped: no file system of its own can be made here");
        return;
    };
    let whole = tempfile::tempdir().unwrap();
    ok(&["train", text(&recipe(whole.path(), "sft", STEPS))]);
    let expected = left(&whole.path().join("out"));
    let mut told = 0;
    for free_kib in (0..600).step_by(40) {
        disk.clear();
        let path = recipe(disk.path(), "sft", STEPS);
        disk.leave(free_kib << 10);
        let output = run(&["train", text(&path)]);
        if !output.status.success() {
            let said = words(&output);
            told += 1;
            assert_eq!(output.status.code(), Some(1), "{free_kib} KiB: {said}");
            assert!(said.contains("no room left") || said.contains("No space left"), "{free_kib} KiB: {said}");
            assert!(said.contains("run the same command again") || said.contains("Free some disk space"), "{said}");
            assert!(!said.contains("Resume") && !said.contains("os error") && !said.contains("config.json"), "{said}");
            disk.leave(u64::MAX);
            ok(&["train", text(&path)]);
        }
        let found = left(&disk.path().join("out"));
        assert!(found.0 == expected.0 && found.1 == expected.1, "{free_kib} KiB");
    }
    println!("{told} of 15 disks were full");
    assert!(told >= 5);
}

/// A small file system of memory, unmounted at the end.
#[cfg(target_os = "linux")]
struct Disk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl Disk {
    fn of(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path()).output().ok()?;
        mount.status.success().then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn clear(&self) {
        for path in std::fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
        }
    }

    /// Fills the disk up to so many free bytes.
    fn leave(&self, bytes: u64) {
        use std::io::Write;
        let ballast = self.path().join("ballast");
        let _ = std::fs::remove_file(&ballast);
        if bytes == u64::MAX {
            return;
        }
        let mut file = std::fs::File::create(&ballast).unwrap();
        let mut size = 0u64;
        while file.write_all(&[0; 4096]).is_ok() {
            size += 4096;
        }
        file.set_len(size.saturating_sub(bytes)).unwrap();
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        // What stays mounted is memory of this machine until it is started again.
        let _ = Command::new("umount").arg(self.path()).status();
    }
}
