//! Table `runs`: the state of each run, derived from its events alone.

use crate::Store;
use crate::database::{from_json, to_json};
use crate::error::{Result, StoreError};
use alidade_domain::{
    Artifact, Evaluation, EventKind, Phase, Problem, RunEvent, RunState, Stage, StageEstimate, Words, one_or_many,
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) const MIGRATION: &str = "CREATE TABLE runs (
    id TEXT PRIMARY KEY, experiment TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE, stage INTEGER NOT NULL,
    created_ms INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_experiment ON runs (experiment, stage);";

/// Index for the queue, which queries the queued and running runs ten times a second.
pub(crate) const UNSETTLED: &str = "CREATE INDEX IF NOT EXISTS runs_unsettled ON runs (created_ms, stage, id)
    WHERE CASE WHEN json_valid(body) THEN json_extract(body, '$.state') END IN ('queued', 'running');";

/// The query that uses this index.
const UNSETTLED_RUNS: &str = "SELECT body FROM runs
    WHERE CASE WHEN json_valid(body) THEN json_extract(body, '$.state') END IN ('queued', 'running')
    ORDER BY created_ms, stage, id";

/// Longer gaps between steps do not count as work: the machine slept or the run waited.
const LONGEST_STEP_MS: u64 = 120_000;

/// A run as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Identifier; also the name of its folder.
    pub id: String,
    /// Its experiment.
    pub experiment: String,
    /// Place in the pipeline, from 0.
    pub stage: usize,
    /// When it was queued first.
    pub created_ms: u64,
    /// Its stage.
    #[serde(alias = "recipe")]
    pub work: Stage,
    /// Its estimate.
    pub estimate: Option<StageEstimate>,
    /// Its state.
    pub state: RunState,
    /// The current phase of the worker.
    pub phase: Option<Phase>,
    /// Steps taken.
    pub step: u64,
    /// Steps in all.
    pub total_steps: u64,
    /// Milliseconds of work.
    pub worked_ms: u64,
    /// Latest figures.
    pub metrics: BTreeMap<String, f64>,
    /// SHA-256 of the adapter, once there is one.
    pub adapter_sha256: Option<String>,
    /// The results.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// Its evaluations; rows of earlier versions have one at most, under the name `evaluation`.
    #[serde(default, alias = "evaluation", deserialize_with = "one_or_many")]
    pub evaluations: Vec<Evaluation>,
    /// The problem that ended it.
    pub problem: Option<Problem>,
    /// Peak memory of its processes so far.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Number of the last event that is stored.
    pub last_sequence: u64,
    /// Time of the last event.
    pub last_ms: u64,
    /// Bytes of the event file that are stored.
    pub offset: u64,
}

impl RunRecord {
    /// A run that has not started.
    pub fn new(id: String, experiment: String, stage: usize, work: Stage, created_ms: u64) -> Self {
        Self {
            id,
            experiment,
            stage,
            created_ms,
            work,
            estimate: None,
            state: RunState::Queued,
            phase: None,
            step: 0,
            total_steps: 0,
            worked_ms: 0,
            metrics: BTreeMap::new(),
            adapter_sha256: None,
            artifacts: Vec::new(),
            evaluations: Vec::new(),
            problem: None,
            memory_bytes: None,
            last_sequence: 0,
            last_ms: created_ms,
            offset: 0,
        }
    }

    /// Applies an event.
    pub(crate) fn apply(&mut self, event: &RunEvent) {
        let passed = event.at_ms.saturating_sub(self.last_ms);
        if self.state == RunState::Running && passed < LONGEST_STEP_MS {
            self.worked_ms += passed;
        }
        (self.last_ms, self.last_sequence) = (event.at_ms, event.sequence);
        match &event.kind {
            EventKind::Queued => self.state = RunState::Queued,
            EventKind::Started { .. } => {
                self.state = RunState::Running;
                self.problem = None;
            }
            EventKind::Stage { phase } => {
                self.phase = Some(*phase);
                if *phase == Phase::Evaluating {
                    // An earlier attempt's evaluations are repeated.
                    self.evaluations.clear();
                }
            }
            EventKind::Step { step, total, metrics, .. } => {
                (self.step, self.total_steps) = (*step, *total);
                self.metrics.clone_from(metrics);
            }
            EventKind::Evaluated { evaluation } => {
                match self.evaluations.iter_mut().find(|known| known.suite == evaluation.suite) {
                    Some(known) => known.clone_from(evaluation),
                    None => self.evaluations.push((**evaluation).clone()),
                }
            }
            EventKind::Finished { steps, artifacts } => self.settle(RunState::Finished, *steps, artifacts),
            EventKind::Stopped { step, artifacts } => self.settle(RunState::Stopped, *step, artifacts),
            EventKind::Paused { step } => (self.state, self.step) = (RunState::Paused, *step),
            EventKind::Interrupted { .. } => self.state = RunState::Interrupted,
            EventKind::Discarded => self.state = RunState::Discarded,
            EventKind::Failed { problem } => {
                self.state = RunState::Failed;
                self.problem = Some(problem.clone());
            }
            // Work without optimizer steps is counted in its own unit.
            EventKind::Progress { done, total, .. } if self.work.recipe().is_none() => {
                (self.step, self.total_steps) = (*done, *total);
            }
            EventKind::Memory { peak_bytes } => self.memory_bytes = self.memory_bytes.max(Some(*peak_bytes)),
            EventKind::Progress { .. }
            | EventKind::Sample { .. }
            | EventKind::Item { .. }
            | EventKind::Checkpoint { .. }
            | EventKind::Warning { .. }
            | EventKind::Computing { .. } => {}
        }
    }

    fn settle(&mut self, state: RunState, step: u64, artifacts: &[Artifact]) {
        (self.state, self.step, self.phase) = (state, step, None);
        self.adapter_sha256 = artifacts.iter().find_map(Artifact::adapter_sha256).map(str::to_owned);
        self.artifacts = artifacts.to_vec();
    }
}

impl Store {
    /// Adds a run or replaces it.
    ///
    /// # Errors
    /// When its experiment does not exist.
    pub fn put_run(&self, run: &RunRecord) -> Result<()> {
        self.write(|transaction| write_run(transaction, run))
    }

    /// One run.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn run(&self, id: &str) -> Result<RunRecord> {
        read_run(&self.connection(), id)
    }

    /// All readable runs, newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn runs(&self) -> Result<Vec<RunRecord>> {
        let connection = self.connection();
        let mut query = connection.prepare("SELECT body FROM runs ORDER BY created_ms DESC, stage DESC, id")?;
        self.readable(Some("runs"), &mut query, [], body)
    }

    /// Queued and running runs.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn unsettled_runs(&self) -> Result<Vec<RunRecord>> {
        let connection = self.connection();
        let mut query = connection.prepare_cached(UNSETTLED_RUNS)?;
        self.readable(None, &mut query, [], body)
    }

    /// The runs of an experiment: by stage, later attempts after earlier ones.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn runs_of(&self, experiment: &str) -> Result<Vec<RunRecord>> {
        let connection = self.connection();
        let mut query =
            connection.prepare("SELECT body FROM runs WHERE experiment = ?1 ORDER BY stage, created_ms, id")?;
        self.readable(None, &mut query, [experiment], body)
    }
}

fn body(row: &rusqlite::Row) -> Result<RunRecord> {
    from_json(Words::new("run", "运行"), &row.get::<_, String>(0)?)
}

pub(crate) fn read_run(connection: &Connection, id: &str) -> Result<RunRecord> {
    let body: Option<String> =
        connection.query_row("SELECT body FROM runs WHERE id = ?1", [id], |row| row.get(0)).optional()?;
    from_json(
        Words::new("run", "运行"),
        &body.ok_or_else(|| StoreError::Missing { what: Words::new("run", "运行"), id: id.to_owned() })?,
    )
}

impl Store {
    /// Recreates unreadable rows of runs: their state from their events, and their stage from their experiment. Returns the
    /// repaired runs.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn repair_runs(&self) -> Result<Vec<String>> {
        type Row = (String, String, usize, u64, Vec<u8>);
        let rows: Vec<Row> = {
            let connection = self.connection();
            let mut query =
                connection.prepare("SELECT id, experiment, stage, created_ms, CAST(body AS BLOB) FROM runs")?;
            let row = |row: &rusqlite::Row| -> Result<Row> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            };
            self.readable(None, &mut query, [], row)?
        };
        let mut repaired = Vec::new();
        for (id, experiment, stage, created_ms, body) in rows {
            if serde_json::from_slice::<RunRecord>(&body).is_ok() {
                continue;
            }
            let Ok(experiment) = self.experiment(&experiment) else { continue };
            let Some(work) = experiment.stages.get(stage).cloned() else { continue };
            let mut run = RunRecord::new(id.clone(), experiment.id, stage, work, created_ms);
            let mut page = self.events_after(&id, 0)?;
            page.events.iter().for_each(|event| run.apply(event));
            while page.more {
                page = self.events_after(&id, page.last)?;
                page.events.iter().for_each(|event| run.apply(event));
            }
            self.write(|transaction| write_run(transaction, &run))?;
            repaired.push(id);
        }
        Ok(repaired)
    }
}

pub(crate) fn write_run(connection: &Connection, run: &RunRecord) -> Result<()> {
    connection.execute(
        "INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET body = ?5",
        params![run.id, run.experiment, run.stage, run.created_ms, to_json(Words::new("run", "运行"), run)?],
    )?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alidade_domain::{Experiment, Recipe};

    /// A database with the experiment "e" and one run of it.
    pub(crate) fn store_with_run(id: &str) -> Store {
        let store = Store::in_memory().unwrap();
        let recipe = Recipe::from_toml("method = \"sft\"\nmodel = \"m\"\ndataset = \"d\"").unwrap();
        let work = Stage::Train(recipe);
        let (title, question, stages) = ("t".to_owned(), "q".to_owned(), vec![work.clone()]);
        store.put_experiment(&Experiment::new("e".into(), title, question, stages, 1)).unwrap();
        store.put_run(&RunRecord::new(id.to_owned(), "e".into(), 0, work, 1)).unwrap();
        store
    }

    #[test]
    fn runs_that_are_settled_are_not_looked_at_to_find_those_that_are_not() {
        let store = store_with_run("r");
        let plan: String = store
            .connection()
            .query_row(&format!("EXPLAIN QUERY PLAN {UNSETTLED_RUNS}"), [], |row| row.get(3))
            .unwrap();
        assert!(plan.contains("runs_unsettled"), "{plan}");
    }

    #[test]
    fn a_row_of_an_earlier_version_keeps_its_figures_and_events_gather_suites() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/evaluation/earlier/");
        let text = std::fs::read_to_string(format!("{folder}run.json")).unwrap();
        let mut run: RunRecord = serde_json::from_str(&text).unwrap();
        let raw: serde_json::Value = serde_json::from_str(&text).unwrap();
        let good = run.evaluations[0].measure("good").unwrap();
        assert_eq!(serde_json::to_value(good.value(1)).unwrap(), raw["evaluation"]["measures"][0]["after"]);
        assert_eq!(serde_json::from_str::<RunRecord>(&serde_json::to_string(&run).unwrap()).unwrap(), run);
        let none: RunRecord = serde_json::from_value({
            let mut raw = raw;
            raw["evaluation"] = serde_json::Value::Null;
            raw
        })
        .unwrap();
        assert!(none.evaluations.is_empty());

        let found = run.evaluations[0].clone();
        let evaluated = |suite: &str| EventKind::Evaluated {
            evaluation: Box::new(Evaluation { suite: suite.to_owned(), ..found.clone() }),
        };
        let kinds = [
            EventKind::Stage { phase: Phase::Evaluating },
            evaluated("starter_world"),
            evaluated("held_out_rows"),
            evaluated("starter_world"),
        ];
        for (place, kind) in kinds.into_iter().enumerate() {
            run.apply(&RunEvent { run: run.id.clone(), sequence: 900 + place as u64, at_ms: 0, kind });
        }
        let suites: Vec<&str> = run.evaluations.iter().map(|found| found.suite.as_str()).collect();
        assert_eq!(suites, ["starter_world", "held_out_rows"]);
    }

    #[test]
    fn a_damaged_run_costs_itself_and_is_made_anew_from_its_events() {
        let store = store_with_run("a");
        let work = store.run("a").unwrap().work;
        store.put_run(&RunRecord::new("b".into(), "e".into(), 0, work, 2)).unwrap();
        let event = |sequence, kind| RunEvent { run: "a".into(), sequence, at_ms: 1_000 * sequence, kind };
        let started = event(1, EventKind::Started { pid: 1, threads: 1, from_step: 0 });
        let whole = store.take_events("a", &[started, event(2, EventKind::Paused { step: 7 })], 0).unwrap();
        for damage in ["nonsense", "", "{\"state\": \"running\"}"] {
            store.connection().execute("UPDATE runs SET body = ?1 WHERE id = 'a'", [damage]).unwrap();
            assert_eq!(store.unsettled_runs().unwrap().iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["b"]);
            assert_eq!(store.runs().unwrap().len(), 1);
            assert_eq!(store.unreadable(), [("runs", 1)]);
            assert_eq!(store.repair_runs().unwrap(), ["a"]);
            assert_eq!(store.run("a").unwrap(), whole);
            assert!(store.repair_runs().unwrap().is_empty());
        }
    }
}
