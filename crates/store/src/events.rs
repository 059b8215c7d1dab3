//! Tables `events`, `metrics` and `checkpoints`: events of workers, each stored once.

use crate::Store;
use crate::database::to_json;
use crate::error::{Result, StoreError};
use crate::runs::{RunRecord, read_run, write_run};
use alidade_domain::{EventKind, RunEvent, Words};
use rusqlite::{Transaction, params};

/// `samples` was dropped in [`crate::migrations::UNREAD`].
pub(crate) const MIGRATION: &str = "
CREATE TABLE events (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, sequence INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (run, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE metrics (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, name TEXT NOT NULL, step INTEGER NOT NULL, value REAL NOT NULL,
    PRIMARY KEY (run, name, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE samples (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, step INTEGER NOT NULL, prompt TEXT NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (run, step, prompt)
) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoints (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, step INTEGER NOT NULL, folder TEXT NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;";

/// Scores of sample answers.
pub(crate) const SCORES: &str = "ALTER TABLE samples ADD COLUMN score REAL;";

/// Maximum number of events of a page. A run may have hundreds of thousands.
const PAGE_EVENTS: usize = 1_000;
/// Bytes of stored text after which a page is full; a larger event is a page of its own.
const PAGE_BYTES: usize = 1 << 20;

/// Some events in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<RunEvent>,
    /// Number of the last event that was examined; the next page begins after it.
    pub last: u64,
    /// Whether more are stored.
    pub more: bool,
}

impl Store {
    /// Stores events of a run in one transaction; known ones are skipped. `offset` is the position after them in the event
    /// file.
    ///
    /// # Errors
    /// When there is no such run or an event is missing in between; then nothing is stored.
    pub fn take_events(&self, run: &str, events: &[RunEvent], offset: u64) -> Result<RunRecord> {
        self.write(|transaction| {
            let mut record = read_run(transaction, run)?;
            for event in events.iter().filter(|event| event.sequence > record.last_sequence).collect::<Vec<_>>() {
                if event.sequence != record.last_sequence + 1 {
                    let (last, found) = (record.last_sequence, event.sequence);
                    return Err(StoreError::Gap { run: run.to_owned(), last, found });
                }
                record.apply(event);
                insert(transaction, run, event)?;
            }
            record.offset = record.offset.max(offset);
            write_run(transaction, &record)?;
            Ok(record)
        })
    }

    /// A page of events of a run after a number; unreadable ones are skipped.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn events_after(&self, run: &str, sequence: u64) -> Result<EventPage> {
        let connection = self.connection();
        let mut query = connection
            .prepare_cached("SELECT sequence, body FROM events WHERE run = ?1 AND sequence > ?2 ORDER BY sequence")?;
        let mut rows = query.query(params![run, sequence])?;
        let mut page = EventPage { events: Vec::new(), last: sequence, more: false };
        let (mut bytes, mut read) = (0, 0);
        while let Some(row) = rows.next()? {
            if read == PAGE_EVENTS || bytes >= PAGE_BYTES {
                page.more = true;
                break;
            }
            page.last = row.get(0)?;
            let body = row.get_ref(1)?.as_bytes().unwrap_or_default();
            page.events.extend(serde_json::from_slice::<RunEvent>(body));
            (bytes, read) = (bytes + body.len(), read + 1);
        }
        Ok(page)
    }

    /// Visits the stored text of every event of a run in order.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn each_event(&self, run: &str, visit: &mut dyn FnMut(u64, &str)) -> Result<()> {
        let connection = self.connection();
        let mut query =
            connection.prepare("SELECT sequence, CAST(body AS BLOB) FROM events WHERE run = ?1 ORDER BY sequence")?;
        let mut rows = query.query([run])?;
        while let Some(row) = rows.next()? {
            visit(row.get(0)?, &String::from_utf8_lossy(row.get_ref(1)?.as_blob().unwrap_or_default()));
        }
        Ok(())
    }

    /// Changes the stored offset in the event file of a run, after the file was rewritten.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn put_offset(&self, run: &str, offset: u64) -> Result<RunRecord> {
        self.write(|transaction| {
            let record = RunRecord { offset, ..read_run(transaction, run)? };
            write_run(transaction, &record)?;
            Ok(record)
        })
    }

    /// Step of the newest checkpoint of a run; 0 when it has none.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn last_checkpoint(&self, run: &str) -> Result<u64> {
        let connection = self.connection();
        Ok(connection
            .query_row("SELECT COALESCE(MAX(step), 0) FROM checkpoints WHERE run = ?1", [run], |row| row.get(0))?)
    }

    /// Values of a metric by step, as (step, value).
    ///
    /// # Errors
    /// When the database refuses.
    pub fn metric(&self, run: &str, name: &str) -> Result<Vec<(f64, f64)>> {
        let connection = self.connection();
        let mut query =
            connection.prepare("SELECT step, value FROM metrics WHERE run = ?1 AND name = ?2 ORDER BY step")?;
        let rows = query.query_map(params![run, name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn insert(transaction: &Transaction, run: &str, event: &RunEvent) -> Result<()> {
    transaction.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3)")?.execute(params![
        run,
        event.sequence,
        to_json(Words::new("event", "事件"), event)?
    ])?;
    match &event.kind {
        // A step that is repeated after a resume has the same figures, so there is one row.
        EventKind::Step { step, metrics, .. } => {
            let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO metrics VALUES (?1, ?2, ?3, ?4)")?;
            for (name, value) in metrics {
                insert.execute(params![run, name, step, value])?;
            }
        }
        EventKind::Checkpoint { step, folder, bytes } => {
            transaction.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?1, ?2, ?3, ?4)",
                params![run, step, folder, bytes],
            )?;
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::store_with_run;
    use alidade_domain::RunState;
    use std::collections::BTreeMap;

    fn store() -> Store {
        store_with_run("r")
    }

    fn event(sequence: u64, kind: EventKind) -> RunEvent {
        RunEvent { run: "r".into(), sequence, at_ms: 1_000 * sequence, kind }
    }

    fn step(sequence: u64, step: u64) -> RunEvent {
        let metrics = BTreeMap::from([("loss".to_owned(), 1.0 / step as f64)]);
        event(sequence, EventKind::Step { step, total: 9, metrics, tokens_per_second: 1.0, seconds_left: 1.0 })
    }

    #[test]
    fn each_event_is_taken_once() {
        let store = store();
        let started = event(1, EventKind::Started { pid: 1, threads: 2, from_step: 0 });
        store.take_events("r", &[started.clone(), step(2, 1)], 10).unwrap();
        let record = store.take_events("r", &[started, step(2, 1), step(3, 2)], 20).unwrap();
        assert_eq!((record.state, record.step, record.last_sequence, record.offset), (RunState::Running, 2, 3, 20));
        assert_eq!(record.worked_ms, 2_000);
        assert_eq!(store.events_after("r", 1).unwrap().events.len(), 2);
        assert_eq!(store.metric("r", "loss").unwrap(), [(1.0, 1.0), (2.0, 0.5)]);
    }

    #[test]
    fn a_gap_is_refused_whole() {
        let store = store();
        assert!(matches!(store.take_events("r", &[step(1, 1), step(3, 3)], 9), Err(StoreError::Gap { .. })));
        assert_eq!(store.run("r").unwrap().last_sequence, 0);
        assert!(store.events_after("r", 0).unwrap().events.is_empty());
    }

    #[test]
    fn events_go_with_their_experiment() {
        let store = store();
        store.take_events("r", &[step(1, 1)], 1).unwrap();
        store.delete_experiment("e").unwrap();
        assert!(store.events_after("r", 0).unwrap().events.is_empty());
        assert!(store.runs().unwrap().is_empty());
    }
    #[test]
    fn events_come_in_pages_that_lose_and_repeat_none() {
        let store = store();
        let long = |sequence| {
            event(
                sequence,
                EventKind::Warning { code: "x".into(), message: alidade_domain::Wording::name("y".repeat(350_000)) },
            )
        };
        let mut all: Vec<RunEvent> = (1..=2_500).map(|sequence| step(sequence, sequence)).collect();
        all.extend((2_501..=2_505).map(long));
        store.take_events("r", &all, 1).unwrap();
        // A page of unreadable rows is not the end.
        let spoil = "UPDATE events SET body = 'x' WHERE sequence BETWEEN 1001 AND 2000";
        store.connection().execute(spoil, []).unwrap();
        let (mut found, mut pages, mut after) = (Vec::new(), Vec::new(), 0);
        loop {
            let page = store.events_after("r", after).unwrap();
            pages.push(page.events.len());
            found.extend(page.events);
            after = page.last;
            if !page.more {
                break;
            }
        }
        all.drain(1_000..2_000);
        assert!(found == all && after == 2_505);
        assert_eq!(pages, [1_000, 0, 502, 2, 1]);
    }
}
