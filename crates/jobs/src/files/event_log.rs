//! `events.jsonl` of a run: the worker appends, the app reads. An incomplete last line, left by a kill or a full disk, is
//! cut off; a reader waits for the end of a line, and reports an error when lines that it has read earlier are gone.

use crate::files::durable::{READING, WRITING, file_problem};
use alidade_domain::{EventKind, Observer, Problem, ProblemCode, RunEvent, Wording, Words, wording};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The file in a run folder.
pub const EVENTS: &str = "events.jsonl";
/// Bytes that are read at once: a worker may have written events for days while no app was open.
const PART: u64 = 1 << 20;

/// The writer.
pub struct EventLog {
    run: String,
    sequence: u64,
    path: PathBuf,
    file: File,
    /// Bytes of complete lines.
    length: u64,
}

impl EventLog {
    /// Opens the log of a run to continue after its last complete event.
    ///
    /// # Errors
    /// When the file cannot be opened or is not an event log.
    pub fn open(folder: &Path, run: &str) -> Result<Self, Problem> {
        let path = folder.join(EVENTS);
        let open = || -> Result<(File, u64, u64), Error> {
            let fresh = !path.exists();
            let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
            let (whole, lines) = whole_lines(&mut file)?;
            file.set_len(whole)?;
            if fresh {
                crate::sync_folder(folder)?;
            }
            Ok((file, whole, lines))
        };
        let (file, length, sequence) = open().map_err(|error| write_problem(&path, &error))?;
        Ok(Self { run: run.to_owned(), sequence, path, file, length })
    }

    /// Syncs everything written so far.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sync(&self) -> Result<(), Problem> {
        self.file.sync_all().map_err(|error| write_problem(&self.path, &error))
    }

    /// Writes one line completely or not at all: half a line would damage the next.
    fn append(&mut self, line: &[u8]) -> Result<(), Problem> {
        if let Err(error) = self.file.write_all(line) {
            // If even this fails, the next opening cuts off the incomplete line.
            let _ = self.file.set_len(self.length);
            return Err(write_problem(&self.path, &error));
        }
        self.length += line.len() as u64;
        self.sequence += 1;
        Ok(())
    }

    /// True when somebody removed the file, so that further events would be lost.
    fn is_gone(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let place = |data: std::fs::Metadata| (data.dev(), data.ino());
            let ours = self.file.metadata().map(place).ok();
            ours.is_some() && ours != std::fs::metadata(&self.path).map(place).ok()
        }
        // On other systems an open file cannot be removed.
        #[cfg(not(unix))]
        false
    }
}

impl Observer for EventLog {
    fn observe(&mut self, kind: EventKind) -> Result<(), Problem> {
        if self.is_gone() {
            let message = Words::new(
                "The run's folder or its events were removed while it was running.",
                "运行的文件夹或事件在运行期间被删除。",
            );
            let hint = Words::new(
                "Resume the run: it continues from what is left, or starts over if nothing is.",
                "请继续这次运行：它会从剩下的内容继续，如果什么都没有则重新开始。",
            );
            return Err(Problem::new(ProblemCode::WorkerLost, message).hint(hint));
        }
        let durable = !matches!(kind, EventKind::Step { .. } | EventKind::Progress { .. });
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as u64);
        let event = RunEvent { run: self.run.clone(), sequence: self.sequence + 1, at_ms, kind };
        let mut line =
            serde_json::to_vec(&event).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
        line.push(b'\n');
        self.append(&line)?;
        if durable { self.sync() } else { Ok(()) }
    }
}

/// Bytes and number of the complete lines in a file, without holding the file in memory.
fn whole_lines(file: &mut File) -> Result<(u64, u64), Error> {
    let (mut read, mut whole, mut lines, mut part) = (0, 0, 0, vec![0; 1 << 16]);
    loop {
        let length = file.read(&mut part)?;
        if length == 0 {
            return Ok((whole, lines));
        }
        let ends = part[..length].iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        for (place, _) in ends {
            (whole, lines) = (read + place as u64 + 1, lines + 1);
        }
        read += length as u64;
    }
}

/// Complete events from byte `offset` on, and the offset after the last of them. A missing log has none.
///
/// # Errors
/// When the log cannot be read, a line in it is not an event, or earlier lines are gone.
pub fn read_events(folder: &Path, offset: u64) -> Result<(Vec<RunEvent>, u64), Problem> {
    let mut found = Vec::new();
    let end = each_event(folder, offset, &mut |event| found.push(event))?;
    Ok((found, end))
}

/// Visits the same events one by one; returns the offset after the last.
///
/// # Errors
/// As [`read_events`].
pub fn each_event(folder: &Path, offset: u64, visit: &mut dyn FnMut(RunEvent)) -> Result<u64, Problem> {
    let mut offset = offset;
    loop {
        let (events, end) = read_some_events(folder, offset)?;
        if end == offset {
            return Ok(offset);
        }
        events.into_iter().for_each(&mut *visit);
        offset = end;
    }
}

/// As [`read_events`], but only a part of a long log; the rest is read from the returned offset. When the offset does not
/// change, there is no more.
///
/// # Errors
/// As [`read_events`].
pub fn read_some_events(folder: &Path, offset: u64) -> Result<(Vec<RunEvent>, u64), Problem> {
    let path = folder.join(EVENTS);
    // The end of the previous line is read again, to verify that it is still there.
    let again = u64::from(offset > 0);
    let read = || -> Result<Vec<u8>, Error> {
        let mut file = BufReader::new(File::open(&path)?);
        file.seek(SeekFrom::Start(offset - again))?;
        let mut text = Vec::new();
        file.by_ref().take(PART).read_to_end(&mut text)?;
        if text.last() != Some(&b'\n') {
            file.read_until(b'\n', &mut text)?;
        }
        Ok(text)
    };
    let text = match read() {
        Err(error) if error.kind() == ErrorKind::NotFound && offset == 0 => return Ok((Vec::new(), 0)),
        other => other.map_err(|error| file_problem(READING, &path, &error))?,
    };
    if again == 1 && text.first() != Some(&b'\n') {
        return Err(Problem::internal(Words::new(
            "Events of the run that were read earlier are no longer in its file.",
            "运行中先前读过的事件已不在其文件中。",
        )));
    }
    let text = &text[again as usize..];
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let event = |line: &[u8]| {
        serde_json::from_slice(line).map_err(|error| {
            Problem::internal(wording!("An event of the run is damaged: {error}.", "运行的一个事件已损坏：{error}。"))
        })
    };
    Ok((lines.map(event).collect::<Result<_, _>>()?, offset + whole as u64))
}

/// Syncs what a worker has appended, so that nothing is reported that is not on the disk.
///
/// # Errors
/// When the system refuses.
pub fn sync_events(folder: &Path) -> Result<(), Problem> {
    let path = folder.join(EVENTS);
    let sync = || File::options().append(true).open(&path)?.sync_data();
    sync().map_err(|error| file_problem(WRITING, &path, &error))
}

fn write_problem(path: &Path, error: &Error) -> Problem {
    match error.kind() {
        ErrorKind::StorageFull => {
            let message = Words::new(
                "There is no room left on the disk: writing the events of the run failed.",
                "磁盘空间不足：写入运行的事件失败。",
            );
            Problem::new(ProblemCode::DiskFull, message).hint(Words::new(
                "Free some disk space and start the run again; nothing that was saved is lost.",
                "请腾出一些磁盘空间，再开始这次运行；已保存的内容不会丢失。",
            ))
        }
        _ => file_problem(WRITING, path, error),
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
        let path = folder.path().join(EVENTS);
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(b"{\"run\":\"r\",\"seq");
        std::fs::write(&path, torn).unwrap();
        let (events, offset) = read_events(folder.path(), 0).unwrap();
        assert_eq!(events.len(), 2);
        EventLog::open(folder.path(), "r").unwrap().observe(EventKind::Discarded).unwrap();
        let (more, _) = read_events(folder.path(), offset).unwrap();
        assert_eq!((more.len(), more[0].sequence), (1, 3));
    }

    #[test]
    fn a_long_log_is_read_in_parts_that_lose_and_repeat_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let long = |sequence: u64| {
            let en = "x".repeat(if sequence == 2_000 { 3 << 20 } else { 2_000 });
            let message = Wording { en, ..Wording::default() };
            let kind = EventKind::Warning { code: "long".to_owned(), message };
            RunEvent { run: "r".to_owned(), sequence, at_ms: 0, kind }
        };
        let all: Vec<RunEvent> = (1..=3_000).map(long).collect();
        let lines: String = all.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect();
        std::fs::write(folder.path().join(EVENTS), &lines).unwrap();
        let (first, offset) = read_some_events(folder.path(), 0).unwrap();
        assert!(first.len() < 600 && offset < 2 << 20, "{} events, {offset} bytes", first.len());
        let (events, end) = read_events(folder.path(), 0).unwrap();
        assert!(events == all && end == lines.len() as u64);
        assert_eq!(EventLog::open(folder.path(), "r").unwrap().sequence, 3_000);
    }

    #[test]
    fn a_reader_says_when_what_it_has_read_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = EventLog::open(folder.path(), "r").unwrap();
        log.observe(EventKind::Queued).unwrap();
        log.observe(EventKind::Discarded).unwrap();
        let (_, offset) = read_events(folder.path(), 0).unwrap();
        let path = folder.path().join(EVENTS);
        let whole = std::fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 1], &whole[..20], &[], &vec![0; whole.len()][..]] {
            std::fs::write(&path, damaged).unwrap();
            assert!(read_events(folder.path(), offset).is_err());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read_events(folder.path(), offset).is_err());
        assert_eq!(read_events(folder.path(), 0).unwrap(), (Vec::new(), 0));
    }

    #[cfg(unix)]
    #[test]
    fn a_writer_notices_that_its_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let mut log = EventLog::open(&run, "r").unwrap();
        log.observe(EventKind::Queued).unwrap();
        std::fs::remove_dir_all(&run).unwrap();
        assert_eq!(log.observe(EventKind::Discarded).unwrap_err().code, ProblemCode::WorkerLost);
        std::fs::create_dir(&run).unwrap();
        EventLog::open(&run, "r").unwrap().observe(EventKind::Queued).unwrap();
        assert!(log.observe(EventKind::Discarded).is_err(), "another file is not ours");
    }
}
