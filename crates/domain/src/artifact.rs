//! The results of a run, which its last event lists, and the units of work that takes no optimizer steps.

use serde::{Deserialize, Deserializer, Serialize};
use ts_rs::TS;

/// A result of a run. Paths are relative to the run's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Artifact {
    /// An adapter, in `adapter`.
    Adapter {
        /// SHA-256 of its weights.
        sha256: String,
    },
    /// A whole model.
    Model {
        /// Its folder.
        folder: String,
        /// SHA-256 of its weights.
        sha256: String,
        /// Name for people, if one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        name: Option<String>,
    },
    /// A data set, one JSON [`crate::Example`] a line.
    Dataset {
        /// Its file.
        file: String,
        /// SHA-256 of the file.
        sha256: String,
        /// Rows in it.
        rows: usize,
        /// Items that yielded no rows.
        left_out: usize,
    },
    /// The figures of a suite, which are in the event `evaluated`.
    Evaluation {
        /// Name of the suite.
        suite: String,
    },
    /// A report for people.
    Report {
        /// Its file.
        file: String,
    },
    /// A file or folder for other programs.
    File {
        /// Where it is.
        path: String,
        /// Its size.
        bytes: u64,
        /// What it is ("adapter in PEFT's form").
        what: String,
    },
}

impl Artifact {
    /// The SHA-256 of an adapter.
    pub fn adapter_sha256(&self) -> Option<&str> {
        match self {
            Artifact::Adapter { sha256 } => Some(sha256),
            Artifact::Model { .. }
            | Artifact::Dataset { .. }
            | Artifact::Evaluation { .. }
            | Artifact::Report { .. }
            | Artifact::File { .. } => None,
        }
    }
}

/// Reads the artifacts of an event; events of earlier versions only hold the hash of the adapter.
pub(crate) fn artifacts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Artifact>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Hash(String),
        Many(Vec<Artifact>),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Hash(sha256) => vec![Artifact::Adapter { sha256 }],
        Either::Many(artifacts) => artifacts,
    })
}

/// The unit of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum WorkUnit {
    /// Answers that are generated or scored.
    #[default]
    Answers,
    /// Rows of a data set that are worked on.
    Items,
    /// Bytes that are read or written.
    Bytes,
}

impl WorkUnit {
    /// True for the default unit, which is not stored, as in events of earlier versions.
    pub fn is_answers(&self) -> bool {
        *self == WorkUnit::Answers
    }
}

/// The result of one item of a build or an evaluation, for a list on the screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ItemNote {
    /// Number of the item, from 1.
    pub number: u64,
    /// The prompt.
    pub prompt: String,
    /// The result: an answer, the best one, or what went wrong.
    pub result: String,
    /// Its score, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub score: Option<f64>,
    /// True if it yielded nothing.
    #[serde(default)]
    pub failed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventKind, RunEvent};

    #[test]
    fn the_end_of_an_earlier_version_names_its_adapter() {
        for (kind, steps) in [("finished", "steps"), ("stopped", "step")] {
            let old =
                format!(r#"{{"run":"r","sequence":3,"at_ms":5,"kind":"{kind}","{steps}":7,"adapter_sha256":"ab"}}"#);
            let event: RunEvent = serde_json::from_str(&old).unwrap();
            let (EventKind::Finished { artifacts, .. } | EventKind::Stopped { artifacts, .. }) = &event.kind else {
                panic!("{event:?}")
            };
            assert_eq!(artifacts, &[Artifact::Adapter { sha256: "ab".to_owned() }]);
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<RunEvent>(&text).unwrap(), event, "{text}");
        }
    }
}
