//! Remarks on a whole file: which columns were renamed, what was not used, what looks wrong. Counted while the rows are
//! streamed, in bounded memory.

use crate::media::turns;
use alidade_domain::{DatasetKind, Example, Role, shown};
use serde_json::{Map, Value};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::Hasher;
use std::io;

/// Most names that are remembered.
const NAMES: usize = 64;
/// Most rows that are searched for duplicates.
const COMPARED: usize = 1 << 20;
/// Columns that are expected to be unused.
const IDENTITY: &[&str] =
    &["", "id", "idx", "index", "_id", "uid", "uuid", "row", "row_id", "prompt_id", "question_id"];

/// A remark on one record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Note {
    /// A column was renamed.
    Renamed(String, &'static str),
    /// Plain texts became turns, because there is a system prompt.
    SystemMadeTurns,
    /// Plain texts became turns, because their columns have other names.
    SpellingMadeTurns,
    /// A system column was not used, because the conversation has its own system prompt.
    OwnSystem,
    /// The record was a bare list of messages.
    BareList,
    /// The text of this column held a list.
    TextWasList(&'static str),
    /// Two turns of one speaker follow each other.
    SameSpeaker,
    /// A message carries a weight that would keep it from being learned.
    Weights,
    /// Messages have thoughts in addition to their text.
    Thoughts,
}

/// Counts over a file.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    counts: BTreeMap<Note, (usize, usize)>,
    unused: BTreeMap<String, usize>,
    labels: [usize; 2],
    seen: HashSet<u64>,
    rows: usize,
    twins: usize,
    shapes: BTreeMap<&'static str, usize>,
    totals: Vec<(DatasetKind, usize)>,
}

impl Notes {
    /// Takes a row into account.
    pub(crate) fn row(
        &mut self,
        row: usize,
        shape: &'static str,
        notes: Vec<Note>,
        rest: &Map<String, Value>,
        example: &Example,
    ) {
        self.rows += 1;
        *self.shapes.entry(shape).or_default() += 1;
        notes.into_iter().for_each(|note| self.note(note, row));
        if turns(example).iter().any(|turns| {
            turns
                .windows(2)
                .any(|two| two[0].role == two[1].role && matches!(two[0].role, Role::User | Role::Assistant))
        }) {
            self.note(Note::SameSpeaker, row);
        }
        if let Example::Rated { label, .. } | Example::PlainRated { label, .. } = example {
            self.labels[usize::from(*label)] += 1;
        }
        for (name, value) in rest {
            if filled(value) && !IDENTITY.contains(&name.trim().to_lowercase().as_str()) {
                count(&mut self.unused, name);
            }
        }
        self.compare(example);
        let kind = kind_of(example);
        match self.totals.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, total)) => *total += 1,
            None => self.totals.push((kind, 1)),
        }
    }

    fn note(&mut self, note: Note, row: usize) {
        if self.counts.len() < NAMES || self.counts.contains_key(&note) {
            self.counts.entry(note).or_insert((0, row)).0 += 1;
        }
    }

    fn compare(&mut self, example: &Example) {
        let mut hash = Hash(DefaultHasher::new());
        if serde_json::to_writer(&mut hash, example).is_err() {
            return;
        }
        let hash = hash.0.finish();
        if self.seen.len() < COMPARED {
            self.twins += usize::from(!self.seen.insert(hash));
        } else {
            self.twins += usize::from(self.seen.contains(&hash));
        }
    }

    /// The kind that most rows have.
    pub(crate) fn kind(&self) -> DatasetKind {
        let most = self.totals.iter().rev().max_by_key(|(_, rows)| *rows);
        most.map_or(DatasetKind::Answers, |(kind, _)| *kind)
    }

    /// The shape that most rows have.
    pub(crate) fn shape(&self) -> &'static str {
        self.shapes.iter().max_by_key(|(_, rows)| **rows).map_or("unknown", |(shape, _)| *shape)
    }

    /// All remarks as sentences.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut remarks = self.renamed();
        remarks.extend(self.counts.iter().filter_map(|(note, (rows, first))| sentence(note, *rows, *first)));
        remarks.extend(self.mixed());
        remarks.extend(self.thumbs());
        if self.twins > 0 {
            let among = if self.seen.len() == COMPARED {
                format!(" (compared with the first {COMPARED})")
            } else {
                String::new()
            };
            let repeat = if self.twins == 1 { "repeats" } else { "repeat" };
            remarks.push(format!("{} {repeat} an earlier row word for word{among}.", rows(self.twins)));
        }
        if !self.unused.is_empty() {
            let names: Vec<String> = self.unused.keys().take(12).map(|name| format!("“{}”", shown(name, 40))).collect();
            let more = if self.unused.len() > names.len() { ", …" } else { "" };
            remarks.push(format!("Not used: {}{more}.", names.join(", ")));
        }
        remarks
    }

    fn renamed(&self) -> Vec<String> {
        let taken: Vec<String> = self
            .counts
            .keys()
            .filter_map(|note| match note {
                Note::Renamed(from, to) => Some(format!("“{from}” as “{to}”")),
                _ => None,
            })
            .collect();
        if taken.is_empty() {
            Vec::new()
        } else {
            vec![format!("Columns were read by their meaning: {}.", taken.join(", "))]
        }
    }

    fn mixed(&self) -> Option<String> {
        let main = self.kind();
        let others = self.totals.iter().filter(|(kind, _)| *kind != main);
        let parts: Vec<String> = others.map(|(kind, count)| format!("{count} are {}", name(*kind))).collect();
        (!parts.is_empty()).then(|| format!("Most rows are {}, but {}.", name(main), parts.join(", ")))
    }

    fn thumbs(&self) -> Option<String> {
        let (down, up) = (self.labels[0], self.labels[1]);
        let (all, missing) = if down == 0 { ("true", "false") } else { ("false", "true") };
        ((down == 0) != (up == 0)).then(|| {
            format!(
                "All labels are {all} ({}): learning from thumbs needs rows with the label {missing} too.",
                rows(down + up)
            )
        })
    }
}

fn count(names: &mut BTreeMap<String, usize>, name: &str) {
    let full = names.len() >= NAMES;
    match names.get_mut(name) {
        Some(count) => *count += 1,
        None if full => {}
        None => {
            names.insert(name.chars().take(NAMES).collect(), 1);
        }
    }
}

fn filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

fn rows(count: usize) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

fn sentence(note: &Note, count: usize, first: usize) -> Option<String> {
    let rows = rows(count);
    Some(match note {
        Note::Renamed(..) => return None,
        Note::SystemMadeTurns => format!(
            "There is a system prompt as well as plain texts ({rows}). Only a chat template has a place for it, so prompts and answers became turns of a conversation."
        ),
        Note::SpellingMadeTurns => format!(
            "Questions and answers became turns of a conversation ({rows}). To keep them as plain text without a chat template, call the columns prompt and completion, or prompt, chosen and rejected."
        ),
        Note::OwnSystem => {
            format!("“system” was not used where the conversation has a system prompt of its own ({rows}).")
        }
        Note::BareList => format!("Bare lists of messages were taken as conversations ({rows})."),
        Note::TextWasList(column) => {
            format!("The text in “{column}” was read as the list of messages that it holds ({rows}).")
        }
        Note::SameSpeaker => format!(
            "Two turns of the same speaker follow each other in {rows} (the first is row {first}); some chat templates refuse that."
        ),
        Note::Thoughts => {
            format!("Thoughts in addition to the text of messages (reasoning_content) are not used ({rows}).")
        }
        Note::Weights => {
            format!("Weights of messages are not used ({rows}, the first is row {first}): every answer counts alike.")
        }
    })
}

fn name(kind: DatasetKind) -> &'static str {
    match kind {
        DatasetKind::Answers => "answers",
        DatasetKind::Pairs => "preference pairs",
        DatasetKind::Ratings => "answers with a label",
        DatasetKind::Texts => "plain texts",
        DatasetKind::Prompts => "prompts without an answer",
    }
}

/// The kind of a row.
pub(crate) fn kind_of(example: &Example) -> DatasetKind {
    match example {
        Example::Answer { .. } | Example::Conversation { .. } | Example::PlainAnswer { .. } => DatasetKind::Answers,
        Example::Pair(_) | Example::PlainPair { .. } => DatasetKind::Pairs,
        Example::Rated { .. } | Example::PlainRated { .. } => DatasetKind::Ratings,
        Example::Text { .. } => DatasetKind::Texts,
        Example::Prompt { .. } => DatasetKind::Prompts,
    }
}

/// Writes bytes into a hash.
struct Hash(DefaultHasher);

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
