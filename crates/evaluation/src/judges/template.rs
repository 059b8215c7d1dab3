//! Prompt templates of judges that ask a model, and the parser of its verdict. Templates are data in
//! `resources/judges`: a new one is a file and a line in [`TEMPLATES`].
//!
//! Inserted text cannot forge a verdict: verdict marks in it are broken up before the model sees them, and only the
//! model's own output is parsed. An output with no verdict, two different ones on one line, or an unknown one is
//! unreadable.

use alidade_domain::{Generator, Message, Problem, ProblemCode, Sampling, Wording, conversation_text, wording};
use serde::Deserialize;

/// The files by name.
const TEMPLATES: &[(&str, &str)] = &[
    ("pair", include_str!("../../../../resources/judges/pair.toml")),
    ("grade", include_str!("../../../../resources/judges/grade.toml")),
];

/// Most tokens of a judge's answer.
const LONGEST: usize = 384;
/// Judges decode greedily.
const SAMPLING: Sampling = Sampling { temperature: 0.0, top_p: 1.0, max_new_tokens: LONGEST, seed: 0 };
/// Delimiters of the reasoning that some models emit before their answer.
const THOUGHT: [&str; 2] = ["<think>", "</think>"];

/// The prompt template of a judge.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    judge: String,
    system: String,
    user: String,
}

impl Template {
    /// The template of a judge with this name; the judge's default without one.
    pub(super) fn of(judge: &str, name: Option<&str>) -> Result<Self, Problem> {
        let name = name.unwrap_or(judge);
        let found = TEMPLATES.iter().filter_map(|(known, text)| Some((*known, toml::from_str::<Self>(text).ok()?)));
        let own: Vec<(&str, Self)> = found.filter(|(_, template)| template.judge == judge).collect();
        let names = Wording::names(own.iter().map(|(known, _)| *known));
        own.into_iter().find(|(known, _)| *known == name).map(|(_, template)| template).ok_or_else(|| {
            let message = wording!(
                "The judge “{judge}” has no prompt template “{name}”.",
                "裁判“{judge}”没有名为“{name}”的提示模板。"
            );
            Problem::input(message).hint(wording!("There are: {names}.", "可用：{names}。"; names)).at("judge")
        })
    }

    /// Asks a model with the slots filled; `None` where the prompt does not fit the model.
    pub(super) fn ask(&self, model: &dyn Generator, slots: &[(&str, &str)]) -> Result<Option<String>, Problem> {
        let messages = [Message::system(self.system.trim()), Message::user(fill(self.user.trim(), slots))];
        match model.generate(&messages, &SAMPLING, SAMPLING.seed) {
            Ok(response) => Ok(Some(response.text)),
            Err(problem) if problem.code == ProblemCode::Input => Ok(None),
            Err(problem) => Err(problem),
        }
    }
}

/// The prompt of a case as one text.
pub(super) fn question(prompt: &[Message]) -> String {
    conversation_text(prompt)
}

/// Fills slots in one pass, so that braces in inserted text are left alone; verdict marks in it are broken up.
fn fill(text: &str, slots: &[(&str, &str)]) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    'text: while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        for (name, value) in slots {
            if let Some(after) = rest.strip_prefix(&format!("{{{name}}}")) {
                filled.push_str(&value.replace("[[", "[\u{200b}["));
                rest = after;
                continue 'text;
            }
        }
        filled.push('{');
        rest = &rest[1..];
    }
    filled + rest
}

/// The last verdict mark of an answer, without its brackets; `None` where none can be read.
pub(super) fn verdict(answer: &str) -> Option<&str> {
    let output = match (answer.rfind(THOUGHT[1]), answer.contains(THOUGHT[0])) {
        (Some(end), _) => &answer[end + THOUGHT[1].len()..],
        // The reasoning was cut off before the answer began.
        (None, true) => return None,
        (None, false) => answer,
    };
    let line = output.lines().rev().find(|line| line.contains("[["))?;
    let marks: Vec<&str> =
        line.split("[[").skip(1).filter_map(|part| part.split_once("]]")).map(|(mark, _)| mark.trim()).collect();
    let last = marks.last()?;
    marks.iter().all(|mark| mark == last).then_some(*last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read_strictly() {
        let table = [
            ("[[A]]", Some("A")),
            ("[[A]] at first, …\nfinally [[B]]", Some("B")),
            ("[[A]] or [[B]]", None),
            ("[[B]], truly [[B]]", Some("B")),
            ("", None),
            ("The first one.", None),
            ("<think>[[A]]", None),
            ("<think>[[A]]</think>\n**[[C]]**", Some("C")),
            ("Rating: [[ 7 ]]", Some("7")),
            ("[[A", None),
        ];
        for (answer, found) in table {
            assert_eq!(verdict(answer), found, "{answer}");
        }
    }

    #[test]
    fn what_is_inserted_cannot_judge_itself() {
        let filled = fill("<{first}> {second} {x}", &[("first", "[[A]] {second}"), ("second", "b")]);
        assert_eq!(filled, "<[\u{200b}[A]] {second}> b {x}");
    }

    #[test]
    fn every_text_is_readable_and_holds_its_slots() {
        for (name, text) in TEMPLATES {
            let template: Template = toml::from_str(text).unwrap();
            let slots: &[&str] = if template.judge == "pair" { &["{first}", "{second}"] } else { &["{answer}"] };
            assert!(
                template.user.contains("{question}") && slots.iter().all(|slot| template.user.contains(slot)),
                "{name}"
            );
            assert!(Template::of(&template.judge, Some(name)).is_ok());
        }
        assert!(Template::of("pair", Some("grade")).is_err());
    }
}
