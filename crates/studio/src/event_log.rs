//! `events.jsonl` of a run: the worker appends, the app reads. A torn last line, left by a kill, is cut off at the next
//! start; a reader waits for the end of the line.

use alidade_domain::{EventKind, Observer, Problem, ProblemCode, RunEvent};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const NAME: &str = "events.jsonl";

/// The writer.
pub struct EventLog {
    run: String,
    sequence: u64,
    file: File,
}

impl EventLog {
    /// Opens the log of a run and goes on after its last whole event.
    ///
    /// # Errors
    /// When the file cannot be opened or is not a log.
    pub fn open(folder: &Path, run: &str) -> Result<Self, Problem> {
        let failed = |error: std::io::Error| write_problem(&error);
        let path = folder.join(NAME);
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(failed)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        file.set_len(whole as u64).map_err(failed)?;
        let sequence = text[..whole].iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(Self { run: run.to_owned(), sequence, file })
    }

    /// Makes everything written so far survive a power cut.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sync(&self) -> Result<(), Problem> {
        self.file.sync_all().map_err(|error| write_problem(&error))
    }
}

impl Observer for EventLog {
    fn observe(&mut self, kind: EventKind) -> Result<(), Problem> {
        let durable = !matches!(kind, EventKind::Step { .. } | EventKind::Progress { .. });
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as u64);
        let event = RunEvent { run: self.run.clone(), sequence: self.sequence + 1, at_ms, kind };
        let mut line = serde_json::to_vec(&event).map_err(|error| Problem::internal(error.to_string()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| write_problem(&error))?;
        self.sequence += 1;
        if durable { self.sync() } else { Ok(()) }
    }
}

/// Whole events from byte `offset` on, and the offset behind the last of them. A missing log has none.
///
/// # Errors
/// When the log cannot be read or a line in it is no event.
pub fn read_events(folder: &Path, offset: u64) -> Result<(Vec<RunEvent>, u64), Problem> {
    let Ok(mut file) = File::open(folder.join(NAME)) else { return Ok((Vec::new(), offset)) };
    let failed = |error: std::io::Error| Problem::internal(format!("Reading the events of a run failed: {error}."));
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(failed)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let event = |line: &[u8]| {
        serde_json::from_slice(line)
            .map_err(|error| Problem::internal(format!("An event of the run is damaged: {error}.")))
    };
    Ok((lines.map(event).collect::<Result<_, _>>()?, offset + whole as u64))
}

fn write_problem(error: &std::io::Error) -> Problem {
    let message = format!("Writing the events of the run failed: {error}.");
    match error.kind() {
        std::io::ErrorKind::StorageFull => Problem::new(ProblemCode::DiskFull, message)
            .hint("Free some room and press Resume: nothing that was kept is lost."),
        _ => Problem::internal(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_cut_and_numbers_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = EventLog::open(folder.path(), "r").unwrap();
        log.observe(EventKind::Queued).unwrap();
        log.observe(EventKind::Paused { step: 4 }).unwrap();
        let path = folder.path().join(NAME);
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(b"{\"run\":\"r\",\"seq");
        std::fs::write(&path, torn).unwrap();
        let (events, offset) = read_events(folder.path(), 0).unwrap();
        assert_eq!(events.len(), 2);
        EventLog::open(folder.path(), "r").unwrap().observe(EventKind::Discarded).unwrap();
        let (more, _) = read_events(folder.path(), offset).unwrap();
        assert_eq!((more.len(), more[0].sequence), (1, 3));
    }
}
