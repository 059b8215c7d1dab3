//! Runs one suite on one stack: the stack generates answers and scores rows through the ports, and observations of them are
//! recorded. Every prompt has a seed by its index, the same for every stack, so no answer depends on its batch.

use crate::item::{HARMFUL, Item, Material, fingerprint};
use crate::judge::{Case, NamedJudge};
use crate::observations::Observations;
use crate::suite::{Reply, Suite, Verdict};
use alidade_domain::{
    Example, Generator, Listener, Message, Outcome, Problem, Response, ScoredAnswer, ScoredRow, Scorer, Words,
    WorstRow, row_seed, wording,
};
use serde::{Deserialize, Serialize};

/// Prompts that share a base seed.
const SEEDED: usize = 32;
/// Most rows that are kept as the worst.
const WORST: usize = 8;
/// Cost of scoring a token, relative to generating one.
const SCORED: f64 = 0.5;
/// Letters per token, to weigh scoring against generation.
const LETTERS: f64 = 4.0;

/// The stack under evaluation.
pub struct Subject<'a> {
    /// Generates its answers; absent for a model that only scores.
    pub generator: Option<&'a dyn Generator>,
    /// Scores rows, by likelihood or with a reward model; without it rows are left out (a remote model may give no
    /// likelihoods).
    pub scorer: Option<&'a dyn Scorer>,
}

/// A suite with its prompts and rows, its judge and its scorer.
pub struct Question<'a> {
    /// The suite.
    pub suite: &'a dyn Suite,
    /// The judge that the suite's card asks for.
    pub judge: Option<NamedJudge<'a>>,
    /// Scores each answer, where the suite needs scores.
    pub scorer: Option<&'a dyn Scorer>,
    prompts: Vec<Item>,
    rows: Vec<Item>,
    examples: Vec<Example>,
    asked: [String; 2],
}

/// Answers and observations of one stack for one suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Name of the suite.
    pub suite: String,
    /// Fingerprint of the prompts.
    pub prompts: String,
    /// Fingerprint of the scored rows.
    pub rows: String,
    /// The answers, in the order of the prompts.
    pub answers: Vec<String>,
    /// The judge's label for each answer.
    pub labels: Vec<Option<String>>,
    /// Which prompts ask for harm.
    pub flagged: Vec<bool>,
    /// What was observed of the answers.
    pub of_answers: Observations,
    /// What was observed of the rows.
    pub of_rows: Observations,
    /// Rows that it is worst at, worst first.
    pub worst: Vec<WorstRow>,
    /// Its log-probabilities of held-out pairs, in the order of the rows.
    #[serde(default)]
    pub pairs: Vec<PairScore>,
}

/// A held-out pair and how likely one stack finds its answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairScore {
    /// The prompt.
    pub prompt: String,
    /// The preferred answer.
    pub chosen: String,
    /// The other answer.
    pub rejected: String,
    /// True if the source says that an answer is harmful.
    pub flagged: bool,
    /// Log-probabilities of both answers, in nats, summed over their tokens.
    pub logps: [f64; 2],
}

impl<'a> Question<'a> {
    /// A suite with its material. The judge must be the one named on the suite's card.
    pub fn new(
        suite: &'a dyn Suite,
        material: &Material,
        judge: Option<NamedJudge<'a>>,
        scorer: Option<&'a dyn Scorer>,
    ) -> Self {
        let prompts = suite.prompts(material);
        let conversations: Vec<&[Message]> = prompts.iter().map(|prompt| prompt.messages.as_slice()).collect();
        let asked = [fingerprint(&conversations), fingerprint(&material.rows)];
        let examples: Vec<Example> = material.rows.iter().filter(|row| row.is_wanted()).cloned().collect();
        Self {
            suite,
            judge,
            scorer,
            rows: Item::of_rows(&examples),
            prompts: Item::of_prompts(&prompts),
            examples,
            asked,
        }
    }

    /// The prompts in order.
    pub fn prompts(&self) -> &[Item] {
        &self.prompts
    }

    /// True when an earlier part holds answers to the very same prompts.
    pub fn is_answered_by(&self, earlier: &Part) -> bool {
        earlier.suite == self.suite.card().name && earlier.prompts == self.asked[0]
    }

    /// Number of answers and scores of one stack, and their work in generated tokens.
    pub fn work(&self, generates: bool) -> (usize, f64) {
        let answers = if generates { self.prompts.len() } else { 0 };
        (answers + self.examples.len(), (answers * self.suite.sampling().max_new_tokens) as f64 + self.scoring())
    }

    fn scoring(&self) -> f64 {
        let letters: usize = self.examples.iter().map(|row| row.letters()).sum();
        SCORED * letters as f64 / LETTERS
    }

    /// Evaluates one stack; answers of an earlier part to the same prompts are reused. The watch is told of answers done and
    /// of work in generated tokens.
    ///
    /// # Errors
    /// When the stack or a judge fails, or the watch ended it.
    pub fn ask(&self, subject: &Subject, earlier: Option<Part>, watch: Listener) -> Result<Part, Problem> {
        let earlier = earlier.filter(|earlier| self.is_answered_by(earlier));
        let (mut done, mut work) = (0, 0.0);
        let mut part = match earlier {
            Some(earlier) => earlier,
            None => {
                let tokens = (self.prompts.len() * self.suite.sampling().max_new_tokens) as f64;
                let part = self.generated(subject.generator, &mut |done, share| watch(done, share * tokens))?;
                (done, work) = (self.prompts.len(), tokens);
                part
            }
        };
        part.rows.clone_from(&self.asked[1]);
        let scoring = self.scoring();
        let mut further = |more: usize, share: f64| watch(done + more, work + share * scoring);
        self.score(subject.scorer, &mut part, &mut further)?;
        Ok(part)
    }

    fn generated(&self, generator: Option<&dyn Generator>, watch: Listener) -> Result<Part, Problem> {
        let sampling = self.suite.sampling();
        let prompts: Vec<&[Message]> = self.prompts.iter().map(|item| item.prompt.messages.as_slice()).collect();
        let seeds: Vec<u64> = (0..prompts.len()).map(|place| prompt_seed(sampling.seed, place)).collect();
        let responses = match generator {
            _ if prompts.is_empty() => Vec::new(),
            Some(generator) => generator.generate_many(&prompts, &sampling, &seeds, watch)?,
            None => {
                let message = wording!(
                    "The suite “{name}” needs answers, but this model only scores.",
                    "评测“{name}”需要回答，而这个模型只会打分。",
                    name = self.suite.card().name
                );
                return Err(Problem::input(message)
                    .hint(Words::new("Choose a suite for models that score.", "请选择适用于打分模型的评测。"))
                    .at("suite"));
            }
        };
        let mut part = Part {
            suite: self.suite.card().name.to_owned(),
            prompts: self.asked[0].clone(),
            rows: String::new(),
            answers: Vec::new(),
            labels: Vec::new(),
            flagged: self.prompts.iter().map(|item| item.is(HARMFUL)).collect(),
            of_answers: Observations::default(),
            of_rows: Observations::default(),
            worst: Vec::new(),
            pairs: Vec::new(),
        };
        for (item, response) in self.prompts.iter().zip(responses) {
            let verdict = self.verdict(item, &response)?;
            self.suite.observe(item, Reply::Answer(&response, verdict.as_ref()), &mut part.of_answers);
            part.labels.push(verdict.as_ref().and_then(|verdict| label(&verdict.outcome)));
            part.answers.push(response.text);
        }
        Ok(part)
    }

    fn verdict(&self, item: &Item, response: &Response) -> Result<Option<Verdict>, Problem> {
        let Some(named) = &self.judge else { return Ok(None) };
        let (prompt, reference) = (item.prompt.messages.as_slice(), item.prompt.reference.as_deref());
        let outcome = named.judge.judge(&Case { prompt, answers: &[&response.text], reference })?;
        let score = self.scorer.map(|scorer| scorer.score(prompt, &response.text)).transpose()?.flatten();
        Ok(Some(Verdict { outcome, score }))
    }

    fn score(&self, scorer: Option<&dyn Scorer>, part: &mut Part, watch: Listener) -> Result<(), Problem> {
        (part.of_rows, part.worst, part.pairs) = (Observations::default(), Vec::new(), Vec::new());
        let Some(scorer) = scorer.filter(|_| !self.examples.is_empty()) else { return Ok(()) };
        let rated = scorer.score_rows(&self.examples, watch)?;
        for row in rated.iter().map(readable) {
            let (Some(item), Some(example)) = (self.rows.get(row.row), self.examples.get(row.row)) else { continue };
            self.suite.observe(item, Reply::Row(&row), &mut part.of_rows);
            if let Some(likelihood) = row.wanted.score.filter(|_| self.suite.shows_worst()) {
                let (prompt, answer) = (example.prompt_text(), example.answer_text());
                part.worst.push(WorstRow { prompt, answer, loss: -likelihood, margin: row.margin() });
                part.pairs.extend(pair_score(example, &row));
            }
        }
        // Pairs by how wrongly they are ranked, single answers by their loss.
        let badness = |row: &WorstRow| row.margin.map_or(row.loss, |margin| -margin);
        part.worst.sort_by(|a, b| badness(b).total_cmp(&badness(a)));
        part.worst.truncate(WORST);
        Ok(())
    }
}

/// What a pair is worth showing with; `None` for a single answer or an unreadable score.
fn pair_score(example: &Example, row: &ScoredRow) -> Option<PairScore> {
    let sum = |answer: ScoredAnswer| Some(answer.score? * answer.scored as f64);
    let logps = [sum(row.wanted)?, sum(row.other?)?];
    let flagged = matches!(example, Example::Pair(pair) if pair.harmful.is_some_and(|[first, second]| first || second));
    let (prompt, chosen) = (example.prompt_text(), example.answer_text());
    Some(PairScore { prompt, chosen, rejected: example.other_text()?, flagged, logps })
}

/// Scores that are not finite count as unreadable.
fn readable(row: &ScoredRow) -> ScoredRow {
    let readable =
        |answer: ScoredAnswer| ScoredAnswer { score: answer.score.filter(|score| score.is_finite()), ..answer };
    ScoredRow { row: row.row, wanted: readable(row.wanted), other: row.other.map(readable) }
}

/// The label of an outcome, shown with an answer.
pub(crate) fn label(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Labels(labels) => labels.first().cloned(),
        Outcome::Unreadable => Some("unreadable".to_owned()),
        Outcome::Score(score) => Some(score.to_string()),
        Outcome::Tie => Some("as good".to_owned()),
        Outcome::Prefers(alidade_domain::Side::First) => Some("worse".to_owned()),
        Outcome::Prefers(alidade_domain::Side::Second) => Some("better".to_owned()),
    }
}

/// Seed of a prompt by its index.
fn prompt_seed(seed: u64, place: usize) -> u64 {
    row_seed(seed.wrapping_add(((place / SEEDED) as u64) << 32), place % SEEDED)
}
