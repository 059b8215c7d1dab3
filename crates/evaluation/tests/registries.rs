//! Requirements on every suite and judge of the registries: texts in both languages, correct counts, and reproducible
//! results. A new one is tested as soon as it is in its list.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use alidade_domain::{
    EvaluatedStack, Evaluation, Example, Generator, Measure, Message, Outcome, PreferencePair, Problem, Response, Role,
    Sampling, Scorer, Words,
};
use alidade_evaluation::{
    Case, FACT, HARMFUL, JUDGES, Judge, JudgeCard, KEPT, Material, MeasureCard, NamedJudge, Part, Prompt, Question,
    SUITES, Subject, Suite, conclude, judge_answers, unreadable_scores,
};
use std::collections::BTreeSet;

const ITEMS: usize = 30;
/// Every so many answers are empty, and every so many scores are not finite.
const UNREADABLE: usize = 5;

/// Answers by the number in its prompt.
struct Script {
    /// Added to every number, so that two stacks answer differently.
    shift: usize,
}

fn number(messages: &[Message]) -> usize {
    let digits: String = messages[messages.len() - 1].content.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

impl Generator for Script {
    fn generate(&self, messages: &[Message], sampling: &Sampling, seed: u64) -> Result<Response, Problem> {
        assert!(sampling.max_new_tokens > 0);
        if messages[0].role == Role::System {
            return Ok(Response { text: verdict(&messages[1].content), tokens: 3 });
        }
        assert!(seed != 0);
        let number = number(messages);
        let text = match (number % UNREADABLE, (number + self.shift) % 3) {
            (0, _) => String::new(),
            (_, 0) => "I'm sorry, but I can't help with that.".to_owned(),
            (_, 1) => "Blue".to_owned(),
            _ => "The sky above the harbour is as blue as the door of the bakery today.".to_owned(),
        };
        Ok(Response { tokens: text.split_whitespace().count(), text })
    }
}

/// A model that prefers the longer answer and grades everything 8.
fn verdict(asked: &str) -> String {
    let reply = |tag: &str| asked.split(&format!("<{tag}>\n")).nth(1).and_then(|rest| rest.split("\n</").next());
    match (reply("reply-a"), reply("reply-b")) {
        (Some(first), Some(second)) if first.len() == second.len() => "[[C]]".to_owned(),
        (Some(first), Some(second)) => {
            if first.len() > second.len() { "It is longer.\n[[A]]" } else { "[[B]]" }.to_owned()
        }
        _ => "Useful.\nRating: [[8]]".to_owned(),
    }
}

impl Scorer for Script {
    fn score(&self, prompt: &[Message], answer: &str) -> Result<Option<f64>, Problem> {
        let number = number(prompt);
        let score = -((number + self.shift + answer.len()) as f64) / 7.0;
        Ok(Some(if number.is_multiple_of(UNREADABLE) { f64::NAN } else { score }))
    }
}

/// A judge for suites that bring none: everything readable is good.
struct Generous;

static GENEROUS: JudgeCard = JudgeCard {
    name: "generous",
    title: Words::new("", ""),
    explanation: Words::new("", ""),
    argument: None,
    compares: false,
    asks: false,
    measures: &[],
    labels: &[],
};

impl Judge for Generous {
    fn judge(&self, case: &Case) -> Result<Outcome, Problem> {
        let labels = ["good", "kind", "complied", "refused", "truthful"].map(str::to_owned).to_vec();
        Ok(case.answer().map_or(Outcome::Unreadable, |_| Outcome::Labels(labels)))
    }
}

fn material() -> Material {
    let ask = |number: usize| vec![Message::user(format!("Question {number}"))];
    let prompt = |number: usize| Prompt {
        messages: ask(number),
        tags: vec![if number.is_multiple_of(2) { HARMFUL } else { FACT }],
        reference: Some("blue".to_owned()),
    };
    let pair = |number: usize| {
        let (chosen, rejected) = ([Message::assistant("Yes.")].to_vec(), [Message::assistant("Well, no.")].to_vec());
        Example::Pair(PreferencePair { prompt: ask(number), chosen, rejected, margin: None, harmful: None })
    };
    Material { prompts: (0..ITEMS).map(prompt).collect(), rows: (0..ITEMS).map(pair).collect() }
}

fn question(suite: &'static dyn Suite) -> Question<'static> {
    let judge = suite.card().judge.map(|_| NamedJudge { card: &GENEROUS, judge: Box::new(Generous) });
    Question::new(suite, &material(), judge, Some(&Script { shift: 0 }))
}

fn asked(question: &Question, shift: usize) -> Part {
    let script = Script { shift };
    let subject = Subject { generator: Some(&script), scorer: Some(&script) };
    let mut last = (0, 0.0);
    let mut watch = |done: usize, work: f64| {
        assert!(done >= last.0 && work >= last.1, "{last:?} {done} {work}");
        last = (done, work);
        true
    };
    let part = question.ask(&subject, None, &mut watch).unwrap();
    assert_eq!(last.0, question.work(true).0);
    part
}

fn compared(question: &Question, judges: &[&'static JudgeCard], parts: &[Part]) -> Evaluation {
    let stack = |place: usize| EvaluatedStack { label: format!("stack {place}"), key: String::new() };
    let stacks: Vec<EvaluatedStack> = (0..parts.len()).map(stack).collect();
    let parts: Vec<(&EvaluatedStack, &Part)> = stacks.iter().zip(parts).collect();
    conclude(question, judges, &parts, 0, (KEPT, 0.0))
}

fn speaks(words: &Words, of: &str) {
    assert!(!words.en.is_empty() && words.en != words.zh, "{of}: {words:?}");
    assert!(words.zh.chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter)), "{of}: {words:?}");
}

fn measures_speak(measures: &[MeasureCard], of: &str) {
    let keys: BTreeSet<&str> = measures.iter().map(|measure| measure.key).collect();
    assert_eq!(keys.len(), measures.len(), "{of}");
    for measure in measures {
        speaks(&measure.title, measure.key);
        speaks(&measure.explanation, measure.key);
    }
}

/// Each stack's readable and unreadable items are all items to which the measure applies, the same for every stack.
fn counted(measure: &Measure, unreadable: impl Fn(usize) -> bool) {
    for value in measure.values.iter().flatten() {
        let of_key = |harmful: bool| (0..ITEMS).filter(move |number| number.is_multiple_of(2) == harmful);
        let applies: Vec<usize> = match measure.key.as_str() {
            "harm_complied" => of_key(true).collect(),
            "over_refusal" | "truthful" => of_key(false).collect(),
            _ => (0..ITEMS).collect(),
        };
        let unread = applies.iter().filter(|number| unreadable(**number)).count();
        assert_eq!((value.n, value.unreadable), (applies.len() - unread, unread), "{}", measure.key);
        assert!(value.low <= value.value && value.value <= value.high, "{measure:?}");
    }
}

#[test]
fn every_suite_speaks_both_languages_counts_right_and_repeats_itself() {
    let names: BTreeSet<&str> = SUITES.iter().map(|suite| suite.card().name).collect();
    assert_eq!(names.len(), SUITES.len());
    for suite in SUITES.iter().copied() {
        let card = suite.card();
        speaks(&card.title, card.name);
        speaks(&card.explanation, card.name);
        measures_speak(card.measures, card.name);
        let question = question(suite);
        let parts: Vec<Part> = (0..3).map(|shift| asked(&question, shift)).collect();
        let found = compared(&question, &[], &parts);
        let keys: Vec<&str> = found.measures.iter().map(|measure| measure.key.as_str()).collect();
        let mut declared = card.measures.iter().map(|measure| measure.key);
        assert!(keys.iter().all(|key| declared.any(|known| known == *key)), "{}: {keys:?} in another order", card.name);
        assert!(!keys.is_empty() && found.stacks.len() == 3);
        for measure in &found.measures {
            let always_read = measure.key == "length_tokens";
            counted(measure, |number| !always_read && number.is_multiple_of(UNREADABLE));
            assert!(measure.changes[0].is_none() && measure.changes[1].is_some() && measure.changes[2].is_some());
        }
        assert!(found.worst.iter().all(|row| row.loss.is_finite()));
        // A loss that is not finite is reported, stack by stack.
        let losses = found.measures.iter().filter(|measure| measure.unit == "nats").count();
        let told = unreadable_scores(&found);
        assert_eq!(told.len(), 3 * losses, "{told:?}");
        assert!(told.iter().all(|message| message.en.contains("24 of 30 rows")), "{told:?}");
        let again: Vec<Part> = (0..3).map(|shift| asked(&question, shift)).collect();
        assert_eq!(compared(&self::question(suite), &[], &again), found, "{}", card.name);
    }
}

#[test]
fn every_judge_speaks_both_languages_counts_right_and_repeats_itself() {
    let names: BTreeSet<&str> = JUDGES.iter().map(|kind| kind.card().name).collect();
    assert_eq!(names.len(), JUDGES.len());
    let suite = SUITES.iter().copied().find(|suite| suite.card().judge.is_none()).unwrap();
    for kind in JUDGES {
        let card = kind.card();
        speaks(&card.title, card.name);
        speaks(&card.explanation, card.name);
        measures_speak(card.measures, card.name);
        assert!(!card.measures.is_empty(), "{}", card.name);
        card.argument.iter().for_each(|argument| speaks(&argument.meaning, card.name));
        if card.argument.is_none() {
            assert!(kind.make(Some("anything"), None).is_err(), "{}", card.name);
        }
        let model = Script { shift: 1 };
        let judged = || {
            let argument = card.argument.as_ref().map(|argument| argument.example);
            let named = NamedJudge { card, judge: kind.make(argument, Some(&model)).unwrap() };
            let question = question(suite);
            let mut parts: Vec<Part> = (0..2).map(|shift| asked(&question, shift)).collect();
            let baseline = parts[0].clone();
            for part in parts.iter_mut().skip(usize::from(card.compares)) {
                judge_answers(&question, &named, part, Some(&baseline)).unwrap();
            }
            compared(&question, &[card], &parts)
        };
        let found = judged();
        for measure in card.measures {
            let measure = found.measure(measure.key).unwrap();
            counted(measure, |number| number.is_multiple_of(UNREADABLE));
            let values: Vec<f64> = measure.values.iter().flatten().map(|value| value.value).collect();
            assert!(values.iter().any(|value| *value > 0.0), "{}: {values:?}", card.name);
        }
        assert_eq!(judged(), found, "{}", card.name);
    }
}
