//! References to the inputs of a stage: the store, an earlier stage, a path, or a fixed name. Each noun has one parser and
//! one text form, which recipes, the wire and the database use.
//!
//! Whether the input exists is checked elsewhere. A text that only looks like a reference ("stage:x") is a path, and is
//! reported as a missing file.

use serde::{Deserialize, Serialize};
use std::fmt;
use ts_rs::TS;

const STAGE: &str = "stage:";
const ORACLE: &str = "oracle";
const JUDGE: &str = "judge:";
const MODEL: &str = "model:";
const ADAPTER: &str = "adapter:";

/// The number behind "stage:", from 1.
fn stage_of(text: &str) -> Option<usize> {
    text.strip_prefix(STAGE)?.parse().ok().filter(|number| *number > 0)
}

/// Parsing and formatting are the same for every noun except for the prefix of the identifier.
macro_rules! source {
    ($(#[$head:meta])* $name:ident, $prefix:expr) => {
        $(#[$head])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
        #[serde(from = "String", into = "String")]
        #[ts(as = "String")]
        pub enum $name {
            /// Kept in the store under this identifier.
            Stored(String),
            /// What the stage of this number made, from 1.
            Stage(usize),
            /// A file or folder (terminal and experiment files only).
            Path(String),
        }

        impl $name {
            /// The identifier, if it refers to the store.
            pub fn stored(&self) -> Option<&str> {
                match self {
                    Self::Stored(id) => Some(id),
                    Self::Stage(_) | Self::Path(_) => None,
                }
            }

            /// The number of the stage that makes it, from 1, if it refers to one.
            pub fn stage(&self) -> Option<usize> {
                match self {
                    Self::Stage(number) => Some(*number),
                    Self::Stored(_) | Self::Path(_) => None,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match (text.strip_prefix($prefix), stage_of(text)) {
                    (Some(id), _) => Self::Stored(id.to_owned()),
                    (None, Some(number)) => Self::Stage(number),
                    (None, None) => Self::Path(text.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::from(text.as_str())
            }
        }

        impl From<$name> for String {
            fn from(source: $name) -> Self {
                source.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                match self {
                    Self::Stored(id) => write!(formatter, "{}{id}", $prefix),
                    Self::Stage(number) => write!(formatter, "{STAGE}{number}"),
                    Self::Path(path) => formatter.write_str(path),
                }
            }
        }
    };
}

source!(
    /// A base model: `model:<id>`, `stage:<n>` or a folder.
    ModelSource,
    MODEL
);
source!(
    /// An adapter: `adapter:<id>`, `stage:<n>` or a PEFT folder.
    AdapterSource,
    ADAPTER
);
source!(
    /// A data set: `dataset:<id>`, `stage:<n>` or a file.
    DatasetSource,
    "dataset:"
);

/// A scorer of answers: `oracle`, `judge:<name>`, or the adapter of a reward or cost model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(from = "String", into = "String")]
#[ts(as = "String")]
pub enum ScorerSource {
    /// The starter world's oracle.
    Oracle,
    /// A judge of the registry, by name.
    Judge(String),
    /// A model that scores.
    Model(AdapterSource),
}

impl ScorerSource {
    /// The number of the stage that makes it, from 1, if it refers to one.
    pub fn stage(&self) -> Option<usize> {
        match self {
            Self::Model(adapter) => adapter.stage(),
            Self::Oracle | Self::Judge(_) => None,
        }
    }
}

impl From<&str> for ScorerSource {
    fn from(text: &str) -> Self {
        match text.strip_prefix(JUDGE) {
            _ if text == ORACLE => Self::Oracle,
            Some(name) => Self::Judge(name.to_owned()),
            None => Self::Model(AdapterSource::from(text)),
        }
    }
}

impl From<String> for ScorerSource {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<ScorerSource> for String {
    fn from(source: ScorerSource) -> Self {
        source.to_string()
    }
}

impl fmt::Display for ScorerSource {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Oracle => formatter.write_str(ORACLE),
            Self::Judge(name) => write!(formatter, "{JUDGE}{name}"),
            Self::Model(adapter) => adapter.fmt(formatter),
        }
    }
}

/// A stack that answers prompts: `model:<id>` alone, `adapter:<id>` on its base, the result of a stage (`stage:<n>`), or a
/// folder of either kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(from = "String", into = "String")]
#[ts(as = "String")]
pub enum StackSource {
    /// An untouched base model of the store.
    Model(String),
    /// An adapter of the store, on its base.
    Adapter(String),
    /// What the stage of this number made, from 1.
    Stage(usize),
    /// A folder of a model or of an adapter.
    Path(String),
}

impl StackSource {
    /// The number of the stage that makes it, from 1, if it refers to one.
    pub fn stage(&self) -> Option<usize> {
        match self {
            Self::Stage(number) => Some(*number),
            Self::Model(_) | Self::Adapter(_) | Self::Path(_) => None,
        }
    }
}

impl From<&str> for StackSource {
    fn from(text: &str) -> Self {
        match (text.strip_prefix(MODEL), text.strip_prefix(ADAPTER), stage_of(text)) {
            (Some(id), _, _) => Self::Model(id.to_owned()),
            (_, Some(id), _) => Self::Adapter(id.to_owned()),
            (_, _, Some(number)) => Self::Stage(number),
            _ => Self::Path(text.to_owned()),
        }
    }
}

impl From<String> for StackSource {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<StackSource> for String {
    fn from(source: StackSource) -> Self {
        source.to_string()
    }
}

impl fmt::Display for StackSource {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Model(id) => write!(formatter, "{MODEL}{id}"),
            Self::Adapter(id) => write!(formatter, "{ADAPTER}{id}"),
            Self::Stage(number) => write!(formatter, "{STAGE}{number}"),
            Self::Path(path) => formatter.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_one_reading_and_comes_back_as_it_was() {
        let texts =
            ["", "model:a", "adapter:a", "dataset:a", "stage:2", "stage:0", "stage:x", "oracle", "judge:exact", "a/b"];
        for text in texts {
            assert_eq!(ModelSource::from(text).to_string(), text);
            assert_eq!(AdapterSource::from(text).to_string(), text);
            assert_eq!(DatasetSource::from(text).to_string(), text);
            assert_eq!(ScorerSource::from(text).to_string(), text);
            assert_eq!(StackSource::from(text).to_string(), text);
        }
        assert_eq!(ModelSource::from("model:a"), ModelSource::Stored("a".to_owned()));
        assert_eq!(AdapterSource::from("stage:2").stage(), Some(2));
        assert_eq!(AdapterSource::from("stage:0"), AdapterSource::Path("stage:0".to_owned()));
        assert_eq!(DatasetSource::from("model:a"), DatasetSource::Path("model:a".to_owned()));
        assert_eq!(ScorerSource::from("oracle"), ScorerSource::Oracle);
        assert_eq!(ScorerSource::from("stage:1").stage(), Some(1));
        assert_eq!(StackSource::from("adapter:a"), StackSource::Adapter("a".to_owned()));
    }

    #[test]
    fn on_the_wire_they_are_texts() {
        let source: ScorerSource = serde_json::from_str("\"adapter:r1\"").unwrap();
        assert_eq!(source, ScorerSource::Model(AdapterSource::Stored("r1".to_owned())));
        assert_eq!(serde_json::to_string(&source).unwrap(), "\"adapter:r1\"");
    }
}
