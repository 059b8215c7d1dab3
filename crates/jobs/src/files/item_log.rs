//! `items.jsonl` of a run: the result of each item of a build or an evaluation, appended and flushed item by item. A run
//! that was killed continues at the first item without a result.
//!
//! A key is a hash over everything that the result depends on, so results from other weights, another template or another
//! seed are never reused. A failed item is logged for people and done again; it never counts as a result.

use crate::files::durable::{OPENING, WRITING, file_problem};
use alidade_domain::{Problem, Wording};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The file in a run folder.
pub const ITEMS: &str = "items.jsonl";

/// The log of one run.
#[derive(Debug)]
pub struct ItemLog {
    path: PathBuf,
    file: File,
    known: HashMap<String, Value>,
}

impl ItemLog {
    /// Opens the log of a run folder. An incomplete last line, left by a kill, is cut off; an unreadable line is skipped.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(folder: &Path) -> Result<Self, Problem> {
        let path = folder.join(ITEMS);
        let open = || -> std::io::Result<(File, Vec<u8>)> {
            let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            file.set_len(whole as u64)?;
            file.seek(SeekFrom::End(0))?;
            bytes.truncate(whole);
            Ok((file, bytes))
        };
        let (file, bytes) = open().map_err(|error| file_problem(OPENING, &path, &error))?;
        let mut known = HashMap::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let Ok(Value::Object(mut line)) = serde_json::from_slice(line) else { continue };
            let Some(key) = line.remove("key").and_then(|key| key.as_str().map(str::to_owned)) else { continue };
            match line.remove("result") {
                Some(result) => drop(known.insert(key, result)),
                None => drop(known.remove(&key)),
            }
        }
        Ok(Self { path, file, known })
    }

    /// The result of an item that is done; one of another type counts as absent.
    pub fn result<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        T::deserialize(self.known.get(key)?).ok()
    }

    /// Items that are done.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// True when nothing is done.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Logs the result of an item.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&mut self, key: &str, result: &impl Serialize) -> Result<(), Problem> {
        let result =
            serde_json::to_value(result).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
        self.append(&json!({"key": key, "result": result}))?;
        self.known.insert(key.to_owned(), result);
        Ok(())
    }

    /// Logs that an item failed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_failure(&mut self, key: &str, reason: &str) -> Result<(), Problem> {
        self.append(&json!({"key": key, "failed": reason}))?;
        self.known.remove(key);
        Ok(())
    }

    fn append(&mut self, line: &Value) -> Result<(), Problem> {
        let written = self.file.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.file.flush());
        written.map_err(|error| file_problem(WRITING, &self.path, &error))
    }
}

/// The key of an item: SHA-256 over everything that its result depends on.
///
/// # Errors
/// When a part has no JSON form.
pub fn item_key(parts: &impl Serialize) -> Result<String, Problem> {
    let text = serde_json::to_vec(parts).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
    let mut key = String::with_capacity(64);
    for byte in Sha256::digest(&text) {
        let _ = write!(key, "{byte:02x}");
    }
    Ok(key)
}

/// The seed of an item, from the seed of the run and its index, so that no two items share random numbers.
pub fn item_seed(seed: u64, place: usize) -> u64 {
    let digest = Sha256::digest(format!("item {seed} {place}"));
    u64::from_le_bytes([digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_goes_on_after_its_last_whole_line_and_failures_are_no_results() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = ItemLog::open(folder.path()).unwrap();
        log.put("a", &"one").unwrap();
        log.put_failure("b", "too long").unwrap();
        log.put("c", &"three").unwrap();
        log.put_failure("c", "spoilt").unwrap();
        drop(log);
        let path = folder.path().join(ITEMS);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"nonsense\n{\"key\":\"d\",\"result\":\"torn");
        std::fs::write(&path, &bytes).unwrap();
        let mut log = ItemLog::open(folder.path()).unwrap();
        assert_eq!(log.len(), 1);
        assert_eq!(log.result::<String>("a").as_deref(), Some("one"));
        assert_eq!(log.result::<u64>("a"), None);
        assert!(log.result::<String>("b").is_none() && log.result::<String>("c").is_none());
        log.put("d", &"four").unwrap();
        drop(log);
        let log = ItemLog::open(folder.path()).unwrap();
        assert_eq!((log.len(), log.result::<String>("d").as_deref()), (2, Some("four")));
    }

    #[test]
    fn seeds_of_neighbours_do_not_overlap() {
        let seeds: std::collections::BTreeSet<u64> = (0..1_000).map(|place| item_seed(42, place)).collect();
        assert_eq!(seeds.len(), 1_000);
        assert_ne!(item_seed(42, 1), item_seed(43, 0));
    }
}
