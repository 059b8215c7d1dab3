//! Names of columns. The importers know one name for each thing; here the other spellings that are around are brought to
//! it, where there is no doubt, and what was taken as what is written down. Where there is doubt, nothing is taken.

use crate::notes::Note;
use crate::record::Record;
use serde_json::Value;

/// Names that are read as they stand.
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
/// Other spellings without any doubt.
const SPELLINGS: &[(&str, &str)] = &[
    ("chosen_messages", "chosen"),
    ("rejected_messages", "rejected"),
    ("kto_tag", "label"),
    ("system_prompt", "system"),
    ("system_message", "system"),
    ("conversation", "conversations"),
];
/// Words of a name that say what a column is, and words beside them that change nothing.
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
/// Thumbs under other names; they count only where they hold truth values.
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
/// Names that an object has which is a row, and not a wrapping around rows.
const OF_A_ROW: &[&str] =
    &["prompt", "completion", "chosen", "rejected", "instruction", "messages", "conversations", "text", "question"];
/// Columns without which a question or its answer means something else.
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

/// A name as it is compared: small letters, one sign between words.
pub(crate) fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-', '.'], "_")
}

/// What a column holds, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Question,
    Answer,
    Chosen,
    Rejected,
}

/// The meaning of a plain name: one telling word, and beside it only words that change nothing.
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

/// True for a name that means something here, in any spelling.
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

/// Brings the names of a record to those that the importers know.
pub(crate) fn settle(record: &mut Record) {
    spell(record);
    if record.has("messages") || record.has("conversations") {
        return;
    }
    let found = Columns::of(record);
    let question = question(&found.questions, record);
    if let ([better], [worse]) = (found.chosen.as_slice(), found.rejected.as_slice()) {
        // Whole conversations hold their prompt; texts do not.
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

/// Brings other spellings without any doubt to the names that are known.
fn spell(record: &mut Record) {
    for (name, plain) in names(record) {
        let known = SPELLINGS.iter().find(|(other, _)| *other == plain).map(|(_, own)| *own);
        let known = known.or_else(|| OWN.iter().copied().find(|own| *own == plain.as_str()));
        if let Some(own) = known.filter(|own| *own != name) {
            rename(record, &name, own, false);
        }
    }
}

/// Names as they stand, and plain.
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
    /// True when a column is there without which a question means something else.
    doubtful: bool,
    /// True when a column has to do with answers in a way that is not known.
    others: bool,
}

impl Columns {
    fn of(record: &Record) -> Self {
        let mut found = Self::default();
        for (name, plain) in names(record).into_iter().filter(|(name, _)| record.has(name)) {
            found.doubtful |= NEEDED.contains(&plain.as_str());
            found.others |= speaks_of_answers(&plain);
            let thumb = LABELS.contains(&plain.as_str()) && record.is_flag(&name);
            // Under some names stand thumbs as well as answers; a number or a truth value is no answer.
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

/// The column of questions and the one that goes on with it, when there is no doubt which they are.
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

/// Names the question; one with a second part is an instruction with its input.
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

/// True for a name that has to do with answers in a way that is not known here.
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

/// Gives a column its own name. What stood under a spelling of ours becomes turns of a conversation, since only the plain
/// names promise plain text.
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
