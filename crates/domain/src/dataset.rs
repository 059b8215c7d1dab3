//! A data set: rows, their origin, and what was wrong with the rows that were left out.

use crate::{Example, Wording, Words};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What the rows of a set can teach, which determines the methods that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum DatasetKind {
    /// Prompts with answers, or whole conversations.
    Answers,
    /// Preferred and rejected answers.
    Pairs,
    /// Answers with a thumb up or down.
    Ratings,
    /// Plain documents.
    Texts,
    /// Questions without answers.
    Prompts,
}

impl DatasetKind {
    /// Its name for people.
    pub fn words(self) -> Words {
        match self {
            Self::Answers => Words::new("answers", "回答"),
            Self::Pairs => Words::new("pairs", "偏好对"),
            Self::Ratings => Words::new("ratings", "带标签的回答"),
            Self::Texts => Words::new("texts", "纯文本"),
            Self::Prompts => Words::new("prompts", "提问"),
        }
    }
}

/// A row that was left out, with its place and a remedy. Bad rows are data, not errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct RowIssue {
    /// Number of the record in the file, from 1.
    pub row: usize,
    /// Short name of the reason, the same for the same fault ("no answer").
    pub reason: Wording,
    /// What was found in this row.
    pub found: Wording,
    /// What to do about it.
    pub fix: Wording,
}

/// How many rows were dropped for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ReasonCount {
    /// The reason, as in [`RowIssue::reason`].
    pub reason: Wording,
    /// Rows dropped for it.
    pub rows: usize,
}

/// Result of an import: read = kept + dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ImportSummary {
    /// Name of the detected shape ("alpaca", "sharegpt pairs", …).
    pub format: Wording,
    /// Records found in the file.
    pub read: usize,
    /// Rows in the data set.
    pub kept: usize,
    /// Rows left out, by reason.
    pub dropped: Vec<ReasonCount>,
}

/// What an import returns besides the rows, which it passes on one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// What the rows can teach.
    pub kind: DatasetKind,
    /// Summary of the import.
    pub summary: ImportSummary,
    /// The first of the rows that were left out, in file order; the summary counts all.
    pub issues: Vec<RowIssue>,
    /// Remarks that concern the whole file (what was taken as what, what was not used).
    pub remarks: Vec<Wording>,
}

impl Imported {
    /// Puts the rows back.
    #[must_use]
    pub fn with(self, rows: Vec<Example>) -> Dataset {
        let Self { kind, summary, issues, remarks } = self;
        Dataset { kind, summary, rows, issues, remarks }
    }
}

/// Rows with their history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// What the rows can teach.
    pub kind: DatasetKind,
    /// Summary of the import.
    pub summary: ImportSummary,
    /// The rows that were kept, in file order.
    pub rows: Vec<Example>,
    /// The rows that were not, in file order.
    pub issues: Vec<RowIssue>,
    /// Remarks that concern the whole file (a repaired end, a template that was assumed).
    pub remarks: Vec<Wording>,
}
