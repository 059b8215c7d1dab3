//! `log.jsonl`: one line per optimizer step, each once, however often the run was resumed. Only what the seed determines
//! stands in it, so that two runs of the same plan leave the same bytes.

use crate::error::{Result, TrainError};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

pub(crate) struct StepLog {
    path: PathBuf,
    file: File,
}

impl StepLog {
    /// Opens the log and drops what was written after step `step`.
    pub(crate) fn open(folder: &Path, step: u64) -> Result<Self> {
        let path = folder.join("log.jsonl");
        let kept = match std::fs::read_to_string(&path) {
            Ok(text) => text.split_inclusive('\n').take(step as usize).map(str::len).sum::<usize>(),
            Err(_) => 0,
        };
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.set_len(kept as u64)?;
            Ok(file)
        };
        let file = open().map_err(TrainError::file(&path))?;
        Ok(Self { path, file })
    }

    pub(crate) fn write(&mut self, step: u64, metrics: &BTreeMap<String, f64>) -> Result<()> {
        let mut line = serde_json::Map::new();
        line.insert("step".to_owned(), step.into());
        line.extend(metrics.iter().map(|(name, value)| (name.clone(), (*value).into())));
        let text = format!("{}\n", serde_json::Value::Object(line));
        self.file.write_all(text.as_bytes()).map_err(TrainError::file(&self.path))
    }

    /// Makes everything written so far survive a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(TrainError::file(&self.path))
    }
}
