//! Whose a folder is: what the program made may be replaced when it is asked to, everything else is never emptied, written
//! over or removed; and two programs never work in one folder.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::{alidade, golden, lines, ok, recipe, refused, run, text};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

const STEPS: &str = "max_steps = 4\nsave_steps = 1\nlearning_rate = 1e-3";

/// Every file below a folder, with its bytes; the lock says nothing.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.is_symlink() {
            found.extend(tree(&path));
        } else if path.file_name().unwrap() != "worker.lock" {
            found.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for path in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &place) } else { std::fs::copy(&path, &place).map(drop).unwrap() }
    }
}

/// A recipe with some of its lines replaced, by their keys.
fn changed(folder: &Path, settings: &str, lines: &[(&str, &str)]) -> PathBuf {
    let path = recipe(folder, "sft", settings);
    let text_of = std::fs::read_to_string(&path).unwrap();
    let swap = |line: &str| {
        let key = line.split(' ').next().unwrap_or_default();
        lines.iter().find(|(name, _)| *name == key).map_or(line.to_owned(), |(name, value)| format!("{name} = {value}"))
    };
    std::fs::write(&path, text_of.lines().map(swap).collect::<Vec<_>>().join("\n")).unwrap();
    path
}

/// The given arguments are refused with `words`, and not a byte below `folder` changes.
fn refused_untouched(folder: &Path, arguments: &[&str], words: &[&str]) {
    let before = tree(folder);
    let said = refused(arguments, 2);
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    let after = tree(folder);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{said}");
    assert!(before == after, "{said}");
}

#[test]
fn inputs_in_the_output_folder_are_never_removed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    copy(&golden("trl/model"), &at.join("model"));
    copy(&golden("trl/adapter_init"), &at.join("adapter"));
    std::fs::copy(golden("trl/sft_completion_only/data.jsonl"), at.join("rows.jsonl")).unwrap();
    let here = |lines: &[(&str, &str)]| {
        let all = [lines, &[("model", "\"model\""), ("dataset", "\"rows.jsonl\""), ("output_dir", "\".\"")]].concat();
        changed(at, STEPS, &all)
    };
    let path = here(&[]);
    refused_untouched(at, &["train", text(&path)], &["error (output_dir)", "data set", "rows.jsonl"]);
    refused_untouched(at, &["train", text(&path), "--overwrite"], &["error (output_dir)"]);
    std::fs::rename(at.join("rows.jsonl"), at.join("data.jsonl")).unwrap();
    let path = here(&[("dataset", "\"data.jsonl\"")]);
    refused_untouched(at, &["train", text(&path)], &["error (output_dir)", "adapter", "not made by this program"]);
    refused_untouched(at, &["train", text(&path), "--overwrite"], &["error (output_dir)", "holds the recipe"]);
    // The folder of the model itself, by its name, by a way round and by a link.
    for output in ["model", "../nowhere/../model/.", "link"] {
        #[cfg(unix)]
        if output == "link" {
            std::os::unix::fs::symlink(at.join("model"), at.join("link")).unwrap();
        }
        let output = if output.starts_with("..") { format!("{}/./model/.", at.display()) } else { output.to_owned() };
        let path = here(&[("dataset", "\"data.jsonl\""), ("output_dir", &format!("{output:?}"))]);
        refused_untouched(at, &["train", text(&path)], &["error (output_dir)", "the folder of the model"]);
        refused_untouched(
            at,
            &["train", text(&path), "--overwrite"],
            &["error (output_dir)", "the folder of the model"],
        );
    }
    // A folder within the model's may be written, but not cleared.
    let path = here(&[("dataset", "\"data.jsonl\""), ("output_dir", "\"model/out\"")]);
    refused_untouched(at, &["train", text(&path), "--overwrite"], &["lies within the model"]);
}

#[test]
fn a_run_that_goes_on_from_an_adapter_never_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    ok(&["train", text(&recipe(at, "sft", STEPS))]);
    let path = changed(at, STEPS, &[]);
    let text_of = std::fs::read_to_string(&path).unwrap();
    let text_of = text_of.split("[lora]").next().unwrap().replace("seed", "adapter = \"out/adapter\"\nseed");
    std::fs::write(&path, format!("{text_of}\n[settings]\n{STEPS}\n")).unwrap();
    refused_untouched(at, &["train", text(&path)], &["adapter that training starts from", "its own adapter"]);
    refused_untouched(at, &["train", text(&path), "--overwrite"], &["error (output_dir)"]);
    let moved = std::fs::read_to_string(&path).unwrap().replace("output_dir = \"out\"", "output_dir = \"next\"");
    std::fs::write(&path, moved).unwrap();
    ok(&["train", text(&path)]);
}

#[test]
fn overwrite_names_and_removes_what_the_program_made_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let out = at.join("out");
    let path = recipe(at, "sft", STEPS);
    ok(&["train", text(&path)]);
    refused_untouched(at, &["train", text(&path)], &["already holds an adapter", "--overwrite"]);
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    std::fs::create_dir(out.join("figures")).unwrap();
    std::fs::write(out.join("figures/curve.svg"), "mine").unwrap();
    // Among what the program made lies something of the person's: nothing is removed.
    for mine in ["adapter/README.txt", "checkpoints/mine.txt"] {
        std::fs::write(out.join(mine), "mine").unwrap();
        refused_untouched(at, &["train", text(&path), "--overwrite"], &["error (output_dir)", mine]);
        std::fs::remove_file(out.join(mine)).unwrap();
    }
    // A folder under a name that only a run of another kind would use is none of this one's business.
    copy(&golden("trl/model"), &out.join("model"));
    // Rows that the run did not write are kept under another name.
    std::fs::write(out.join("rows.jsonl"), "mine\n").unwrap();
    let first = std::fs::read(out.join("adapter/adapter_model.safetensors")).unwrap();
    let path = recipe(at, "sft", &STEPS.replace("1e-3", "2e-3"));
    let output = run(&["train", text(&path), "--overwrite"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
    assert!(words.contains("Removing from") && words.contains("adapter, checkpoints"), "{words}");
    assert_ne!(std::fs::read(out.join("adapter/adapter_model.safetensors")).unwrap(), first);
    assert!(tree(&out.join("model")).len() == tree(&golden("trl/model")).len());
    for mine in ["notes.txt", "figures/curve.svg"] {
        assert_eq!(std::fs::read_to_string(out.join(mine)).unwrap(), "mine");
    }
    assert_eq!(std::fs::read_to_string(out.join("rows.aside-1.jsonl")).unwrap(), "mine\n");
    assert_eq!(lines(&out.join("log.jsonl")).len(), 4);
    // A recipe that cannot run removes nothing.
    let path = changed(at, &STEPS.replace("1e-3", "-1"), &[]);
    refused_untouched(at, &["train", text(&path), "--overwrite"], &["learning_rate"]);
    let path = changed(at, STEPS, &[("model", "\"nowhere\"")]);
    refused_untouched(at, &["train", text(&path), "--overwrite"], &["error (model)"]);
}

#[test]
fn files_that_were_there_before_are_not_written_over() {
    for name in ["rows.jsonl", "log.jsonl", "events.jsonl", "run.json", "plan.json", "adapter", "checkpoints"] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let place = at.join("out").join(name);
        if name.contains('.') {
            std::fs::create_dir(at.join("out")).unwrap();
            std::fs::write(&place, "{\"step\": \"mine\"}\n").unwrap();
        } else {
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join("mine"), "mine").unwrap();
        }
        let path = recipe(at, "sft", STEPS);
        for more in [&[][..], &["--overwrite"]] {
            let arguments = [&["train", text(&path)], more].concat();
            refused_untouched(at, &arguments, &["error (output_dir)", name, "not made by this program"]);
        }
        assert!(!at.join("out/worker.lock").exists(), "not even a lock is left behind");
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link() {
    for name in
        ["rows.jsonl", "log.jsonl", "events.jsonl", "run.json", "plan.json", "worker.lock", "adapter", "checkpoints"]
    {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        std::fs::create_dir(at.join("out")).unwrap();
        if name.contains('.') {
            std::fs::write(at.join("theirs"), "theirs").unwrap();
        } else {
            std::fs::create_dir(at.join("theirs")).unwrap();
        }
        std::os::unix::fs::symlink(at.join("theirs"), at.join("out").join(name)).unwrap();
        let path = recipe(at, "sft", STEPS);
        refused_untouched(at, &["train", text(&path)], &[name, "link"]);
        refused_untouched(at, &["train", text(&path), "--overwrite"], &[name, "link"]);
    }
    // A link as the whole output folder leads to the person's own choice of a disk.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("disk")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("disk"), folder.path().join("out")).unwrap();
    ok(&["train", text(&recipe(folder.path(), "sft", STEPS))]);
    assert!(folder.path().join("disk/adapter").is_dir());
}

#[test]
fn an_output_folder_that_is_a_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("out"), "mine").unwrap();
    let path = recipe(folder.path(), "sft", STEPS);
    let words = refused_words(&["train", text(&path)]);
    assert!(words.contains("error (output_dir)"), "{words}");
    assert_eq!(std::fs::read_to_string(folder.path().join("out")).unwrap(), "mine");
}

fn refused_words(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until a run has kept a checkpoint.
fn until_checkpoint(out: &Path) {
    let limit = Instant::now() + Duration::from_secs(120);
    let kept = || {
        std::fs::read_dir(out.join("checkpoints")).is_ok_and(|mut entries| {
            entries.any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("step-"))
        })
    };
    while !kept() {
        assert!(Instant::now() < limit, "no checkpoint came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_second_of_two_runs_in_one_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = recipe(folder.path(), "sft", "max_steps = 400\nsave_steps = 5\nlearning_rate = 1e-3");
    let mut first = alidade(&["train", text(&path)]).stderr(Stdio::null()).spawn().unwrap();
    until_checkpoint(&folder.path().join("out"));
    for more in [&[][..], &["--overwrite"]] {
        let words = refused(&[&["train", text(&path)], more].concat(), 2);
        assert!(words.contains("error (output_dir)") && words.contains("Another program is working"), "{words}");
    }
    let work = run(&["worker", "--run", text(&folder.path().join("out"))]);
    assert!(!work.status.success() && String::from_utf8_lossy(&work.stderr).contains("Another program"), "{work:?}");
    assert!(first.try_wait().unwrap().is_none(), "the first is still at work");
    first.kill().unwrap();
    first.wait().unwrap();
    // Killed, it holds nothing any more.
    let path = recipe(folder.path(), "sft", "max_steps = 400\nsave_steps = 5\nlearning_rate = 2e-3");
    assert!(refused(&["train", text(&path)], 2).contains("learning_rate 0.001 → 0.002"));
}

/// Ten at once, as a script that was started too often would: one trains, and its result is that of a run alone.
#[test]
fn of_many_at_once_one_trains() {
    let (folder, alone) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    ok(&["train", text(&recipe(alone.path(), "sft", "max_steps = 30\nsave_steps = 5"))]);
    let path = recipe(folder.path(), "sft", "max_steps = 30\nsave_steps = 5");
    let start = || alidade(&["train", text(&path)]).stderr(Stdio::piped()).spawn().unwrap();
    let all: Vec<_> = (0..10).map(|_| start()).collect::<Vec<_>>();
    let codes: Vec<_> = all.into_iter().map(|child| child.wait_with_output().unwrap().status.code()).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == Some(2)).count(), 9, "{codes:?}");
    for name in ["log.jsonl", "adapter/adapter_model.safetensors"] {
        let read = |at: &Path| std::fs::read(at.join("out").join(name)).unwrap();
        assert!(read(folder.path()) == read(alone.path()), "{name}");
    }
    for (index, event) in lines(&folder.path().join("out/events.jsonl")).iter().enumerate() {
        assert_eq!(event["sequence"], index as u64 + 1);
    }
}

#[test]
fn an_export_touches_nothing_but_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (model, adapter) = (golden("trl/model"), golden("trl/adapter_init"));
    for name in ["x.partial", "x.v2.partial", "x.tmp", ".x.v2.tmp"] {
        std::fs::create_dir(at.join(name)).unwrap();
        std::fs::write(at.join(name).join("mine"), "mine").unwrap();
    }
    let before = tree(at);
    let to = at.join("x.v2");
    let arguments = ["export", "--model", text(&model), "--adapter", text(&adapter), "--output", text(&to)];
    ok(&arguments);
    assert!(to.join("model.safetensors").is_file());
    let others = |tree: BTreeMap<PathBuf, Vec<u8>>| -> BTreeMap<PathBuf, Vec<u8>> {
        tree.into_iter().filter(|(path, _)| !path.starts_with(&to)).collect()
    };
    assert_eq!(others(tree(at)), before);
    refused_untouched(at, &arguments, &["error (output)", "already exists"]);
    // One that fails leaves nothing behind.
    let nowhere = at.join("nowhere");
    let other = at.join("y");
    let failed = ["export", "--model", text(&model), "--adapter", text(&nowhere), "--output", text(&other)];
    refused_untouched(at, &failed, &["error (adapter)"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(at.join("gone"), at.join("z")).unwrap();
        let to = at.join("z");
        let through = ["export", "--model", text(&model), "--adapter", text(&adapter), "--output", text(&to)];
        refused_untouched(at, &through, &["already exists"]);
        assert!(!at.join("gone").exists());
    }
}

#[test]
fn a_starter_model_is_not_written_over_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    copy(&golden("trl/model"), &at.join("model"));
    let (output, work) = (at.join("model"), at.join("work"));
    let arguments = ["starter", "--output", text(&output), "--work", text(&work), "--tokens", "128"];
    refused_untouched(at, &arguments, &["error (output)", "not a starter model"]);
}
