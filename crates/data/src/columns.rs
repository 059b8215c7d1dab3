//! Column names. The importers know one canonical name for each meaning; other common spellings are mapped to it here, when
//! they are unambiguous, and every renaming is noted. Ambiguous columns are not renamed.

use crate::notes::Note;
use crate::record::Record;
use serde_json::Value;

/// Canonical names.
const OWN: &[&str] = &[
    "prompt",
    "completion",
    "chosen",
    "rejected",
    "label",
    "instruction",
    "input",
    "output",
    "history",
    "system",
    "messages",
    "conversations",
    "text",
    "margin",
    "is_chosen_safe",
    "is_rejected_safe",
    "tools",
    "images",
    "image",
    "videos",
    "video",
    "audios",
    "audio",
];
/// Other spellings that are unambiguous.
const SPELLINGS: &[(&str, &str)] = &[
    ("chosen_messages", "chosen"),
    ("rejected_messages", "rejected"),
    ("kto_tag", "label"),
    ("system_prompt", "system"),
    ("system_message", "system"),
    ("conversation", "conversations"),
];
/// Words in a name that give its meaning, and words that add none.
const QUESTION: &[&str] =
    &["prompt", "instruction", "question", "query", "input", "user", "human", "problem", "request"];
const BESIDE_QUESTION: &[&str] = &["text", "message", "content"];
const ANSWER: &[&str] =
    &["completion", "output", "response", "answer", "reply", "assistant", "solution", "target", "gpt", "res"];
const BESIDE_ANSWER: &[&str] = &[
    "text",
    "message",
    "messages",
    "content",
    "model",
    "ai",
    "bot",
    "human",
    "gold",
    "final",
    "expected",
    "reference",
    "ideal",
    "option",
    "sample",
    "candidate",
];
const GOOD: &[&str] = &[
    "chosen",
    "good",
    "better",
    "best",
    "preferred",
    "win",
    "winner",
    "winning",
    "positive",
    "accepted",
    "selected",
    "correct",
];
const BAD: &[&str] = &[
    "rejected",
    "bad",
    "worse",
    "worst",
    "dispreferred",
    "unpreferred",
    "lose",
    "loser",
    "losing",
    "negative",
    "incorrect",
    "wrong",
];
const NOT: &[&str] = &["non", "not", "less"];
/// Other names of labels; they count only where they hold booleans.
const LABELS: &[&str] = &[
    "is_safe",
    "desirable",
    "is_desirable",
    "thumbs_up",
    "liked",
    "is_good",
    "good",
    "upvoted",
    "correct",
    "is_correct",
    "accepted",
    "is_accepted",
    "preferred",
    "is_preferred",
];
/// Names that mark an object as a row, and not as a wrapper around rows.
const OF_A_ROW: &[&str] =
    &["prompt", "completion", "chosen", "rejected", "instruction", "messages", "conversations", "text", "question"];
/// Context columns: without them a question or its answer would mean something else.
const NEEDED: &[&str] = &[
    "context",
    "passage",
    "document",
    "documents",
    "article",
    "choices",
    "options",
    "evidence",
    "premise",
    "hypothesis",
    "ctxs",
    "correction",
    "corrected",
    "critique",
    "critiques",
    "revision",
    "revised",
    "completions",
    "replies",
];

/// A name normalised for comparison: lower case, one separator between words.
pub(crate) fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-', '.'], "_")
}

/// The meaning of a column, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Question,
    Answer,
    Chosen,
    Rejected,
}

/// The meaning of a normalised name: one meaningful word, and otherwise only words that add none.
fn meaning(name: &str) -> Option<Meaning> {
    match name {
        "y_w" => return Some(Meaning::Chosen),
        "y_l" => return Some(Meaning::Rejected),
        _ => {}
    }
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let count = |list: &[&str]| words.iter().filter(|word| list.contains(word)).count();
    let all = |lists: &[&[&str]]| words.iter().all(|word| lists.iter().any(|list| list.contains(word)));
    let rated = [ANSWER, BESIDE_ANSWER, GOOD, BAD, NOT];
    match (count(GOOD), count(BAD), count(NOT)) {
        (1, 0, 0) if all(&rated) => Some(Meaning::Chosen),
        (0, 1, 0) | (1, 0, 1) if all(&rated) => Some(Meaning::Rejected),
        (0, 0, 0) if count(QUESTION) > 0 && all(&[QUESTION, BESIDE_QUESTION]) => Some(Meaning::Question),
        (0, 0, 0) if count(ANSWER) > 0 && all(&[ANSWER, BESIDE_ANSWER]) => Some(Meaning::Answer),
        _ => None,
    }
}

/// True for a name with a known meaning, in any spelling.
pub(crate) fn is_known(name: &str) -> bool {
    let name = plain(name);
    let own = OWN.contains(&name.as_str()) || SPELLINGS.iter().any(|(other, _)| *other == name);
    own || meaning(&name).is_some() || LABELS.contains(&name.as_str())
}

/// True for a name that only a row has.
pub(crate) fn names_a_row(name: &str) -> bool {
    let name = plain(name);
    let own = SPELLINGS.iter().find(|(other, _)| *other == name).map_or(name.as_str(), |(_, own)| own);
    OF_A_ROW.contains(&own)
}

/// Renames the columns of a record to canonical names.
pub(crate) fn rename_columns(record: &mut Record) {
    rename_spellings(record);
    if record.has("messages") || record.has("conversations") {
        return;
    }
    let found = Columns::of(record);
    let question = question(&found.questions, record);
    if let ([better], [worse]) = (found.chosen.as_slice(), found.rejected.as_slice()) {
        // Whole conversations contain their prompt; texts do not.
        if question.is_none() && record.fields.get(better).is_some_and(Value::is_string) {
            return;
        }
        if let Some((question, input)) = question {
            ask(record, &question, input.as_deref());
        }
        rename(record, better, "chosen", true);
        rename(record, worse, "rejected", true);
        return;
    }
    let Some((question, input)) = question else { return };
    if !found.chosen.is_empty() || !found.rejected.is_empty() {
        return;
    }
    match found.answers.as_slice() {
        [] if !found.others => ask(record, &question, input.as_deref()),
        [answer] if !found.doubtful || (question == "instruction" && input.is_some()) => {
            ask(record, &question, input.as_deref());
            let own = if record.has("instruction") { "output" } else { "completion" };
            rename(record, answer, own, true);
            if let [label] = found.labels.as_slice() {
                rename(record, label, "label", false);
            }
        }
        _ => {}
    }
}

/// Renames unambiguous spellings to canonical names.
fn rename_spellings(record: &mut Record) {
    for (name, plain) in names(record) {
        let known = SPELLINGS.iter().find(|(other, _)| *other == plain).map(|(_, own)| *own);
        let known = known.or_else(|| OWN.iter().copied().find(|own| *own == plain.as_str()));
        if let Some(own) = known.filter(|own| *own != name) {
            rename(record, &name, own, false);
        }
    }
}

/// Names as given, and normalised.
fn names(record: &Record) -> Vec<(String, String)> {
    record.fields.keys().map(|name| (name.clone(), plain(name))).collect()
}

/// The filled columns of a record by what their names mean.
#[derive(Debug, Default)]
struct Columns {
    questions: Vec<String>,
    answers: Vec<String>,
    chosen: Vec<String>,
    rejected: Vec<String>,
    labels: Vec<String>,
    /// True when there is a context column.
    doubtful: bool,
    /// True when a column relates to answers in an unknown way.
    others: bool,
}

impl Columns {
    fn of(record: &Record) -> Self {
        let mut found = Self::default();
        for (name, plain) in names(record).into_iter().filter(|(name, _)| record.has(name)) {
            found.doubtful |= NEEDED.contains(&plain.as_str());
            found.others |= speaks_of_answers(&plain);
            let thumb = LABELS.contains(&plain.as_str()) && record.is_flag(&name);
            // Some names are used for labels as well as answers; a number or a boolean is no answer.
            let text = record.fields.get(&name).is_some_and(Value::is_string);
            let list = meaning(&plain).filter(|_| text || !thumb).map(|meaning| match meaning {
                Meaning::Question => &mut found.questions,
                Meaning::Answer => &mut found.answers,
                Meaning::Chosen => &mut found.chosen,
                Meaning::Rejected => &mut found.rejected,
            });
            if let Some(list) = list {
                list.push(name.clone());
            }
            if thumb {
                found.labels.push(name);
            }
        }
        found
    }
}

/// The column of questions and the one that continues it, when they are unambiguous.
fn question(questions: &[String], record: &Record) -> Option<(String, Option<String>)> {
    let is = |name: &str, list: &[&str]| list.contains(&plain(name).as_str());
    match questions {
        [one] => {
            let context = (plain(one) == "instruction" && record.has("context")).then(|| "context".to_owned());
            Some((one.clone(), context))
        }
        [one, two] => {
            let order = |a: &String, b: &String| {
                let fits = is(a, &["instruction", "prompt"]) && is(b, &["input", "query"]);
                fits.then(|| (a.clone(), Some(b.clone())))
            };
            order(one, two).or_else(|| order(two, one))
        }
        _ => None,
    }
}

/// Renames the question; one with a second part becomes an instruction with its input.
fn ask(record: &mut Record, question: &str, input: Option<&str>) {
    match input {
        Some(input) => {
            rename(record, question, "instruction", true);
            rename(record, input, "input", true);
        }
        None if question != "instruction" => rename(record, question, "prompt", true),
        None => {}
    }
}

/// True for a name that relates to answers in an unknown way.
pub(crate) fn speaks_of_answers(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "answer",
        "response",
        "output",
        "completion",
        "reply",
        "replies",
        "chosen",
        "reject",
        "target",
        "option",
        "choice",
    ];
    WORDS.iter().any(|word| name.contains(word))
}

/// Renames a column. With `turns` its text becomes a turn of a conversation, since only the canonical names guarantee plain
/// text.
fn rename(record: &mut Record, from: &str, to: &'static str, turns: bool) {
    if from == to || record.has(to) {
        return;
    }
    let Some(mut value) = record.fields.shift_remove(from) else { return };
    if plain(from).ends_with("_option")
        && let Value::String(text) = &mut value
    {
        *text = text.trim().to_owned();
    }
    record.fields.insert(to.to_owned(), value);
    record.notes.push(Note::Renamed(alidade_domain::shown(from, 60), to));
    record.turns |= turns && plain(from) != to;
}
