//! Answers and observations of one stack for all suites of a run, stored in the run folder, so that the next stage and
//! the whole experiment compare with the same answers instead of generating new ones. Files of versions with one suite
//! are read too.

use crate::asking::Part;
use crate::item::fingerprint;
use crate::observations::Observations;
use crate::{HELD_OUT_ROWS, STARTER_WORLD};
use alidade_domain::{EvaluatedStack, Example, Message, WorstRow};
use serde::{Deserialize, Serialize};

/// Answers and observations of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "SnapshotOnDisk")]
pub struct Snapshot {
    /// The stack.
    pub stack: EvaluatedStack,
    /// One part per suite.
    pub parts: Vec<Part>,
}

impl Snapshot {
    /// The part of a suite.
    pub fn part(&self, suite: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.suite == suite)
    }

    /// All answers with the judges' labels, suite after suite.
    pub fn answers(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let labelled = |part: &'_ Part| part.labels.len() == part.answers.len();
        self.parts.iter().flat_map(move |part| {
            let label = move |place: usize| {
                labelled(part).then(|| part.labels.get(place)).flatten().and_then(|label| label.as_deref())
            };
            part.answers.iter().enumerate().map(move |(place, answer)| (answer.as_str(), label(place)))
        })
    }
}

/// The current format, and that of earlier versions.
#[derive(Deserialize)]
#[serde(untagged)]
enum SnapshotOnDisk {
    Today {
        stack: EvaluatedStack,
        parts: Vec<Part>,
    },
    Earlier {
        stack: String,
        prompts: String,
        rows: String,
        answers: Vec<String>,
        labels: Vec<Option<String>>,
        flagged: Vec<bool>,
        of_answers: Observations,
        of_rows: Observations,
        #[serde(default)]
        worst: Vec<WorstRow>,
    },
}

impl From<SnapshotOnDisk> for Snapshot {
    fn from(found: SnapshotOnDisk) -> Self {
        match found {
            SnapshotOnDisk::Today { stack, parts } => Self { stack, parts },
            SnapshotOnDisk::Earlier { stack, prompts, rows, answers, labels, flagged, of_answers, of_rows, worst } => {
                // Only the oracle gave labels; where it judged, rows were scored along with its prompts.
                let world = labels.iter().any(Option::is_some);
                let suite = if world { STARTER_WORLD } else { HELD_OUT_ROWS }.to_owned();
                let pairs = Vec::new();
                let mut whole =
                    Part { suite, prompts, rows, answers, labels, flagged, of_answers, of_rows, worst, pairs };
                let parts = if world { vec![whole.split_rows(), whole] } else { vec![whole] };
                Self { stack: EvaluatedStack { label: stack, key: String::new() }, parts }
            }
        }
    }
}

impl Part {
    /// Moves the observations of rows into a separate part.
    fn split_rows(&mut self) -> Part {
        Part {
            suite: HELD_OUT_ROWS.to_owned(),
            prompts: fingerprint::<[Vec<Message>; 0]>(&[]),
            rows: std::mem::replace(&mut self.rows, fingerprint::<[Example; 0]>(&[])),
            answers: Vec::new(),
            labels: Vec::new(),
            flagged: Vec::new(),
            of_answers: Observations::default(),
            of_rows: std::mem::take(&mut self.of_rows),
            worst: std::mem::take(&mut self.worst),
            pairs: std::mem::take(&mut self.pairs),
        }
    }
}
