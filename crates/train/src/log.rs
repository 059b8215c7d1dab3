//! `log.jsonl`: one line per optimizer step, each exactly once, however often the run was resumed. It holds only what
//! the seed determines, so that two runs of the same plan write identical bytes.
//!
//! A copy is kept in memory and in every checkpoint. A file that differs, because somebody or a bad disk changed it, is
//! moved aside under another name and written again, so that a wrong log is never presented as right.

use crate::checkpoint::write_synced;
use crate::error::{Result, TrainError};
use alidade_domain::{EventKind, wording};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

pub(crate) struct StepLog {
    path: PathBuf,
    file: File,
    text: Vec<u8>,
}

impl StepLog {
    /// Opens the log, whose lines up to the step from which the session resumes are `kept`; later lines are dropped, because
    /// those steps are repeated. `own` is false when the log may belong to another plan.
    pub(crate) fn open(folder: &Path, kept: Vec<u8>, own: bool) -> Result<(Self, Option<EventKind>)> {
        let path = folder.join("log.jsonl");
        let found = read(&path)?;
        let right = found.as_ref().is_some_and(|found| found.starts_with(&kept) && (own || found.is_empty()));
        let lost = found.is_none() && kept.is_empty();
        let note = if right || lost { None } else { Some(restore(&path, found.as_deref(), &kept)?) };
        let file = append(&path)?;
        file.set_len(kept.len() as u64).map_err(TrainError::file(&path))?;
        Ok((Self { path, file, text: kept }, note))
    }

    pub(crate) fn write(&mut self, step: u64, metrics: &BTreeMap<String, f64>) -> Result<()> {
        let mut line = serde_json::Map::new();
        line.insert("step".to_owned(), step.into());
        line.extend(metrics.iter().map(|(name, value)| (name.clone(), (*value).into())));
        let line = format!("{}\n", serde_json::Value::Object(line));
        self.text.extend_from_slice(line.as_bytes());
        self.file.write_all(line.as_bytes()).map_err(TrainError::file(&self.path))
    }

    /// Every line so far.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Makes everything written so far durable, after restoring a file that has changed.
    pub(crate) fn sync(&mut self) -> Result<Option<EventKind>> {
        let found = read(&self.path)?;
        let mut note = None;
        if found.as_deref() != Some(&self.text) {
            note = Some(restore(&self.path, found.as_deref(), &self.text)?);
            self.file = append(&self.path)?;
        }
        self.file.sync_all().map_err(TrainError::file(&self.path))?;
        Ok(note)
    }
}

/// The log of a run folder, and damaged logs that were moved aside.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = name.strip_prefix("log.damaged").and_then(|rest| rest.strip_suffix(".jsonl"));
        name == "log.jsonl"
            || aside.is_some_and(|number| {
                number.is_empty() || number.strip_prefix('-').is_some_and(|digits| digits.parse::<u64>().is_ok())
            })
    };
    entries.flatten().map(|entry| entry.path()).filter(ours).collect()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TrainError::file(path)(error)),
    }
}

fn append(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).open(path).map_err(TrainError::file(path))
}

/// Moves a wrong file aside, writes the right lines and returns a warning.
fn restore(path: &Path, found: Option<&[u8]>, right: &[u8]) -> Result<EventKind> {
    let message = match found {
        None => wording!("log.jsonl was missing; it has been written again.", "log.jsonl 缺失，已重新写出。"),
        Some(found) => {
            let line = 1 + common_lines(found, right);
            let aside = free_name(path);
            std::fs::rename(path, &aside).map_err(TrainError::file(path))?;
            let name = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
            wording!(
                "log.jsonl was changed after this run wrote it, from line {line} on. The changed file is kept as {name}, and the log has been written again as it was.",
                "log.jsonl 在这次运行写入后从第 {line} 行起被改动。改动过的文件保留为 {name}，日志已恢复原样。"
            )
        }
    };
    write_synced(path, right)?;
    Ok(EventKind::Warning { code: "log_restored".to_owned(), message })
}

fn common_lines(found: &[u8], right: &[u8]) -> usize {
    let (found, right) = (found.split_inclusive(|byte| *byte == b'\n'), right.split_inclusive(|byte| *byte == b'\n'));
    found.zip(right).take_while(|(a, b)| a == b).count()
}

fn free_name(path: &Path) -> PathBuf {
    let names = (1..).map(|number| match number {
        1 => path.with_file_name("log.damaged.jsonl"),
        number => path.with_file_name(format!("log.damaged-{number}.jsonl")),
    });
    let mut free = names.filter(|path| !path.exists());
    free.next().unwrap_or_else(|| path.with_extension("damaged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = "{\"step\":1}\n{\"step\":2}\n";

    fn opened(before: Option<&[u8]>, own: bool) -> (tempfile::TempDir, Option<EventKind>) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(bytes) = before {
            std::fs::write(folder.path().join("log.jsonl"), bytes).unwrap();
        }
        let (mut log, note) = StepLog::open(folder.path(), KEPT.into(), own).unwrap();
        log.write(3, &BTreeMap::from([("loss".to_owned(), 0.5)])).unwrap();
        assert_eq!(log.sync().unwrap(), None);
        let text = std::fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
        assert_eq!(text, format!("{KEPT}{{\"step\":3,\"loss\":0.5}}\n"));
        (folder, note)
    }

    #[test]
    fn a_log_that_is_as_it_was_written_goes_on() {
        for after in ["", "{\"step\":3}\n{\"st"] {
            let (folder, note) = opened(Some(format!("{KEPT}{after}").as_bytes()), true);
            assert_eq!((note, std::fs::read_dir(folder.path()).unwrap().count()), (None, 1), "{after}");
        }
    }

    #[test]
    fn a_damaged_log_is_set_aside_said_and_put_right() {
        let twice = format!("{{\"step\":1}}\n{KEPT}");
        let damaged: [&[u8]; 5] =
            [b"{\"step\":1}\n\xff\xfe\n", b"{\"step\":2}\n", twice.as_bytes(), b"{\"step\":1}\n{\"s", b""];
        for before in damaged {
            let (folder, note) = opened(Some(before), true);
            assert!(matches!(note, Some(EventKind::Warning { code, .. }) if code == "log_restored"), "{before:?}");
            assert_eq!(std::fs::read(folder.path().join("log.damaged.jsonl")).unwrap(), before);
        }
        assert!(opened(None, true).1.is_some());
        assert!(opened(Some(KEPT.as_bytes()), false).1.is_some(), "somebody else's log is not taken over");
    }

    #[test]
    fn a_log_that_vanishes_or_changes_under_a_run_is_put_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let (mut log, note) = StepLog::open(folder.path(), Vec::new(), false).unwrap();
        assert_eq!(note, None);
        let line = |step: u64| format!("{{\"step\":{step}}}\n");
        for (step, spoil) in [(1, "gone"), (2, "line\n"), (3, "{\"step\":1}\n{\"step\":3}\n")] {
            log.write(step, &BTreeMap::new()).unwrap();
            match spoil {
                "gone" => std::fs::remove_file(&path).unwrap(),
                text => std::fs::write(&path, text).unwrap(),
            }
            assert!(log.sync().unwrap().is_some(), "{spoil}");
            let expected: String = (1..=step).map(line).collect();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        }
        log.write(4, &BTreeMap::new()).unwrap();
        assert_eq!(log.sync().unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
