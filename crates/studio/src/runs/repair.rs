//! Repairs the event file of a run without a worker from the database. The database is never ahead of the disk (events are
//! synced before they are copied into it), but a file may be cut, damaged or removed; then the events in the database are
//! written again, and further readable events of the file are kept.

use crate::EventLog;
use crate::studio::{Studio, lock, now_ms};
use alidade_domain::{EventKind, Observer, Problem, ProblemCode, RunEvent, Wording, wording};
use alidade_jobs::files::durable::{READING, create_folder, file_problem, write_private};
use alidade_jobs::files::event_log::EVENTS;
use alidade_jobs::worker::is_alive;
use alidade_store::RunRecord;
use std::io::ErrorKind;
use std::path::Path;

/// Name of the backup of a damaged file.
const ASIDE: &str = "events.damaged.jsonl";

impl Studio {
    /// Makes file and database of a run agree. A repair is recorded as an event of the run.
    ///
    /// # Errors
    /// When a worker is running the run, or something cannot be read or written.
    pub(crate) fn repair_events(&self, id: &str) -> Result<RunRecord, Problem> {
        let _held = lock(&self.event_writes);
        self.repair_while_locked(id)
    }

    /// As [`Self::repair_events`], for a caller that holds the lock `event_writes`, so that nobody else in this program
    /// writes events.
    pub(crate) fn repair_while_locked(&self, id: &str) -> Result<RunRecord, Problem> {
        let (mut run, folder) = (self.store.run(id)?, self.run_folder(id));
        if is_alive(&folder) {
            return Err(Problem::new(
                ProblemCode::Conflict,
                wording!("A worker is running this run.", "一个工作进程正在执行这次运行。"),
            )
            .hint(wording!("Pause it first.", "请先暂停它。")));
        }
        let found = read(&folder)?;
        let known = self.known_events(&run)?;
        let text = found.as_deref().unwrap_or_default();
        if run.offset as usize != known.len() && text.starts_with(&known) {
            run = self.store.put_offset(id, known.len() as u64)?;
        }
        let whole = text.len() >= run.offset as usize && agree(&text[..run.offset as usize], &known);
        let (begin, known) = if whole { (run.offset as usize, &text[..run.offset as usize]) } else { (0, &known[..]) };
        let (tail, spoiled) = following(&text[begin..], &run, whole);
        if whole && !spoiled {
            return Ok(run);
        }
        let kept = [known, &tail].concat();
        create_folder(&folder)?;
        if !text.is_empty() {
            write_private(&folder.join(ASIDE), text)?;
        }
        write_private(&folder.join(EVENTS), &kept)?;
        let run = self.store.put_offset(id, known.len() as u64)?;
        let message = words(found.is_some(), run.last_sequence);
        EventLog::open(&folder, id)?.observe(EventKind::Warning { code: "events_mended".to_owned(), message })?;
        Ok(run)
    }

    /// The lines in the database; an unreadable row is replaced by a warning.
    fn known_events(&self, run: &RunRecord) -> Result<Vec<u8>, Problem> {
        let (mut text, mut next) = (Vec::new(), 1);
        let mut add = |line: &str| {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        };
        let lost = |sequence| {
            let kind = EventKind::Warning {
                code: "event_lost".to_owned(),
                message: wording!("An event could no longer be read.", "一个事件已无法读取。"),
            };
            serde_json::to_string(&RunEvent { run: run.id.clone(), sequence, at_ms: now_ms(), kind })
                .unwrap_or_default()
        };
        self.store.each_event(&run.id, &mut |sequence, body| {
            // Another program may have added events since the record was read.
            if sequence > run.last_sequence {
                return;
            }
            for missing in next..sequence {
                add(&lost(missing));
            }
            match serde_json::from_str::<RunEvent>(body) {
                Ok(event) if event.sequence == sequence && !body.contains('\n') => add(body),
                _ => add(&lost(sequence)),
            }
            next = sequence + 1;
        })?;
        for missing in next..=run.last_sequence {
            add(&lost(missing));
        }
        Ok(text)
    }
}

fn read(folder: &Path) -> Result<Option<Vec<u8>>, Problem> {
    let path = folder.join(EVENTS);
    match std::fs::read(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_problem(READING, &path, &error)),
    }
}

/// Whether both hold the same events; another version may have formatted them differently.
fn agree(file: &[u8], known: &[u8]) -> bool {
    let event = |line: &[u8]| line.ends_with(b"\n").then(|| serde_json::from_slice::<RunEvent>(line).ok()).flatten();
    let lines = |text: &[u8]| text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    file == known || {
        let (file, known) = (lines(file), lines(known));
        file.len() == known.len()
            && file.iter().zip(&known).all(|(a, b)| a == b || event(a).is_some_and(|a| Some(a) == event(b)))
    }
}

/// The lines of `text` that continue the run's record, up to the first that does not, and whether that one is more than an
/// incomplete last line. In a damaged file (`ordered` false) earlier lines are skipped.
fn following(text: &[u8], run: &RunRecord, ordered: bool) -> (Vec<u8>, bool) {
    let (mut kept, mut next, mut spoiled) = (Vec::new(), run.last_sequence + 1, false);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if !line.ends_with(b"\n") {
            break;
        }
        match serde_json::from_slice::<RunEvent>(line) {
            Ok(event) if event.sequence == next && event.run == run.id => {
                kept.extend_from_slice(line);
                next += 1;
            }
            _ if !ordered && kept.is_empty() => {}
            _ => {
                spoiled = true;
                break;
            }
        }
    }
    (kept, spoiled)
}

fn words(found: bool, last: u64) -> Wording {
    if found {
        wording!(
            "The file of this run's events was damaged or cut. Up to event {last} it was restored from the database; later \
             readable events are kept, and the damaged file is beside it as {ASIDE}.",
            "这次运行的事件文件曾被损坏或截断。事件 {last} 及之前的部分已从数据库恢复；之后可读的事件予以保留，损坏的文件以 {ASIDE} 为名放在旁边。"
        )
    } else {
        wording!(
            "The file of this run's events was removed. Up to event {last} it was restored from the database.",
            "这次运行的事件文件曾被删除。事件 {last} 及之前的部分已从数据库恢复。"
        )
    }
}
