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
const QUESTIONS: &[&str] =
    &["prompt", "instruction", "question", "query", "input", "user_input", "user_prompt", "user", "human", "problem"];
const ANSWERS: &[&str] =
    &["completion", "output", "response", "answer", "reply", "assistant", "solution", "target", "gpt"];
const CHOSEN: &[&str] = &[
    "chosen",
    "good_answer",
    "preferred",
    "preferred_answer",
    "preferred_response",
    "win",
    "winner",
    "better",
    "better_answer",
    "better_response",
    "positive",
    "positive_option",
    "positive_answer",
    "positive_response",
    "accepted",
    "accepted_answer",
    "chosen_response",
    "response_chosen",
    "chosen_answer",
    "answer_chosen",
    "good",
    "good_response",
    "good_output",
    "correct_answer",
];
const REJECTED: &[&str] = &[
    "rejected",
    "bad_answer",
    "dispreferred",
    "dispreferred_answer",
    "dispreferred_response",
    "lose",
    "loser",
    "worse",
    "worse_answer",
    "worse_response",
    "negative",
    "negative_option",
    "negative_answer",
    "negative_response",
    "rejected_answer",
    "rejected_response",
    "response_rejected",
    "answer_rejected",
    "bad",
    "bad_response",
    "bad_output",
    "non_preferred",
    "unpreferred",
    "incorrect_answer",
    "wrong_answer",
];
const LABELS: &[&str] = &["label", "is_safe", "desirable", "is_desirable", "thumbs_up", "liked", "is_good", "upvoted"];
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
    "completions",
    "replies",
];

/// A name as it is compared: small letters, one sign between words.
pub(crate) fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-', '.'], "_")
}

/// True for a name that means something here, in any spelling.
pub(crate) fn is_known(name: &str) -> bool {
    let name = plain(name);
    let lists = [OWN, QUESTIONS, ANSWERS, CHOSEN, REJECTED, LABELS];
    lists.iter().any(|list| list.contains(&name.as_str())) || SPELLINGS.iter().any(|(other, _)| *other == name)
}

/// Brings the names of a record to those that the importers know.
pub(crate) fn settle(record: &mut Record) {
    let names: Vec<(String, String)> = record.fields.keys().map(|name| (name.clone(), plain(name))).collect();
    for (name, plain) in &names {
        let known = SPELLINGS.iter().find(|(other, _)| other == plain).map(|(_, own)| *own);
        let known = known.or_else(|| OWN.iter().copied().find(|own| *own == plain.as_str()));
        if let Some(own) = known.filter(|own| own != name) {
            rename(record, name, own, false);
        }
    }
    // Whatever a rename gave is looked up again by its own name.
    let names: Vec<(String, String)> = record.fields.keys().map(|name| (name.clone(), plain(name))).collect();
    let present = |list: &[&str]| -> Vec<String> {
        let here = |(name, plain): &&(String, String)| list.contains(&plain.as_str()) && record.has(name);
        names.iter().filter(here).map(|(name, _)| name.clone()).collect()
    };
    if record.has("messages") || record.has("conversations") {
        return;
    }
    let (questions, answers) = (present(QUESTIONS), present(ANSWERS));
    let (chosen, rejected, labels) = (present(CHOSEN), present(REJECTED), present(LABELS));
    if let ([better], [worse]) = (chosen.as_slice(), rejected.as_slice()) {
        // Whole conversations hold their prompt.
        let question = question(&questions, record);
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
    let doubtful = names.iter().any(|(_, plain)| NEEDED.contains(&plain.as_str()));
    let Some((question, input)) = question(&questions, record) else { return };
    if !chosen.is_empty() || !rejected.is_empty() || answers.len() > 1 {
        return;
    }
    match answers.first() {
        Some(answer) if !doubtful || (question == "instruction" && input.is_some()) => {
            let own = if question == "instruction" { "output" } else { "completion" };
            ask(record, &question, input.as_deref());
            let own = if record.has("instruction") { "output" } else { own };
            rename(record, answer, own, true);
            if let [label] = labels.as_slice() {
                rename(record, label, "label", false);
            }
        }
        None if !names.iter().any(|(_, plain)| speaks_of_answers(plain)) => ask(record, &question, input.as_deref()),
        _ => {}
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
        "label",
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
