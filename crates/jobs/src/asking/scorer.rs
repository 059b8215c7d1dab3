//! What reward and cost models are worth: each scores held-out pairs behind the port `Scorer`, at the end of its run or beside
//! others of one base from the terminal.

use crate::asking::evaluate::Comparison;
use crate::asking::questions::Questions;
use crate::asking::world_oracle::WorldOracle;
use crate::asking::{batches, evaluated, tokens_of};
use crate::train::memory::AtOnce;
use crate::{Clock, machine::compute, train::provenance};
use alidade_domain::{
    AdapterRef, EvaluatedStack, Evaluation, Example, Listener, LocalTime, Message, Plan, Problem, RewardSource,
    ScoredAnswer, ScoredRow, Scorer, SettingValue, Settings, Stack, Words,
};
use alidade_evaluation::{HELD_OUT_PAIRS, KEPT, Material, Part, Question, Subject, conclude, histogram, suite};
use alidade_model::{
    ChatTemplate, ModelFolder, Policy, ScorerKind, TextTokenizer, TokenRow, adapter_sha256, load_adapter,
};
use alidade_train::{Before, Encoder, TrainError, Training, before, method, scored_rows};
use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

/// Rows that are scored together.
const ROWS: usize = 16;
/// Steps of the histogram of scores.
const BINS: usize = 24;

/// A base model whose adapters score instead of writing; one of them at a time.
struct RatingModel {
    policy: RefCell<Policy>,
    tokenizer: TextTokenizer,
    template: Option<ChatTemplate>,
    training: Box<dyn Training>,
    budget: AtOnce,
    /// −1 for a cost, which is lower for the better answer.
    sign: f64,
    /// The model's own scores of preferred and of other answers, as they were given.
    given: RefCell<[Vec<f64>; 2]>,
}

impl RatingModel {
    fn open(
        model: &Path,
        adapter: &Path,
        training: Box<dyn Training>,
        rates: Option<ScorerKind>,
        now: LocalTime,
    ) -> Result<Self, Problem> {
        let folder = ModelFolder::open(model).map_err(|error| Problem::from(error).at("model"))?;
        let tokenizer = folder.tokenizer()?;
        let template = folder.chat_template(&tokenizer, now)?;
        let weights = load_adapter(adapter, &folder.spec).map_err(|error| Problem::from(error).at("adapter"))?;
        let backend = compute::backend()?.carrying(&folder.spec, Some(&weights));
        let mut policy = Policy::fresh(folder.decoder_on(backend)?, &weights)?;
        policy.install_scorer(ScorerKind::Reward, &weights)?;
        let budget = AtOnce::of(&policy.decoder().footprint());
        let (policy, sign) = (RefCell::new(policy), if rates == Some(ScorerKind::Cost) { -1.0 } else { 1.0 });
        Ok(Self { policy, tokenizer, template, training, budget, sign, given: RefCell::default() })
    }

    /// What it says to held-out pairs; nothing where no row is one.
    fn part(&self, question: &Question) -> Result<Option<Part>, Problem> {
        let subject = Subject { generator: None, scorer: Some(self) };
        let part = question.ask(&subject, None, &mut |_, _| true)?;
        Ok(Some(part).filter(|part| part.of_rows.keys().next().is_some()))
    }
}

impl Scorer for RatingModel {
    fn score(&self, prompt: &[Message], answer: &str) -> Result<Option<f64>, Problem> {
        let encoder = Encoder { tokenizer: &self.tokenizer, template: self.template.as_ref() };
        let row = Example::Answer { prompt: prompt.to_vec(), completion: vec![Message::assistant(answer)] };
        let context = self.policy.borrow().decoder().spec().context;
        let sequences = match scored_rows(&[row], &encoder, context, false) {
            Err(TrainError::NoRows { .. }) => return Ok(None),
            prepared => prepared?.items.into_iter().flat_map(|item| item.sequences).collect::<Vec<_>>(),
        };
        let scores = self.policy.borrow_mut().score_with(ScorerKind::Reward, &sequences)?;
        Ok(scores.first().map(|score| self.sign * score).filter(|score| score.is_finite()))
    }

    fn score_rows(&self, rows: &[Example], watch: Listener) -> Result<Vec<ScoredRow>, Problem> {
        let encoder = Encoder { tokenizer: &self.tokenizer, template: self.template.as_ref() };
        let items = match self.training.prepare(rows, &encoder) {
            // Held-out rows that say nothing of the question are no figure, and no fault of the run.
            Err(TrainError::NoRows { .. }) => return Ok(Vec::new()),
            prepared => prepared?.items,
        };
        let mut policy = self.policy.borrow_mut();
        let mut given = self.given.borrow_mut();
        let fits = |range: Range<usize>| self.budget.reads(items[range].iter().map(tokens_of).sum());
        let mut rated = Vec::with_capacity(items.len());
        for range in batches(items.len(), ROWS, fits) {
            let end = range.end;
            let chunk = &items[range];
            let sequences: Vec<TokenRow> = chunk.iter().flat_map(|item| item.sequences.clone()).collect();
            let scores = policy.score_with(ScorerKind::Reward, &sequences)?;
            for ((item, scores), rows) in chunk.iter().zip(scores.chunks(2)).zip(sequences.chunks(2)) {
                let ([wanted, other], [first, second]) = (scores, rows) else { continue };
                given[0].push(*wanted);
                given[1].push(*other);
                let answer = |score: f64, row: &TokenRow| ScoredAnswer {
                    score: Some(self.sign * score),
                    tokens: row.ids.len(),
                    scored: row.scored_tokens(),
                };
                let (wanted, other) = (answer(*wanted, first), answer(*other, second));
                rated.push(ScoredRow { row: item.row - 1, wanted, other: Some(other) });
            }
            if !watch(end, end as f64 / items.len() as f64) {
                return Err(Problem::ended());
            }
        }
        Ok(rated)
    }
}

/// Scores held-out pairs with what a run has made; `None` when there are none.
///
/// # Errors
/// When the adapter cannot be loaded or a row cannot be read.
pub fn evaluate_scorer(
    plan: &Plan,
    adapter: &Path,
    rows: Vec<Example>,
    clock: &Clock,
) -> Result<Option<Evaluation>, Problem> {
    if rows.is_empty() {
        return Ok(None);
    }
    let now = plan.now.unwrap_or_else(crate::local_time);
    let training = method(&plan.method)?.configure(&plan.settings)?;
    let rates = training.scorer_kind();
    let model = RatingModel::open(&plan.model_dir, adapter, training, rates, now)?;
    let question = Question::new(suite(HELD_OUT_PAIRS)?, &Material { prompts: Vec::new(), rows }, None, None);
    let Some(part) = model.part(&question)? else { return Ok(None) };
    let sha256 = adapter_sha256(adapter)?;
    let adapter = AdapterRef { id: plan.run.clone(), name: plan.adapter_name.clone(), sha256 };
    let stack = evaluated(&Stack::with_adapter(plan.model.clone(), adapter));
    let mut evaluation = conclude(&question, &[], &[(&stack, &part)], 0, (KEPT, clock.seconds()));
    let [preferred, other] = &*model.given.borrow();
    evaluation.scores = histogram(preferred, other, BINS);
    Ok(Some(evaluation))
}

/// Scores held-out pairs with each of some adapters, one after another; changes are counted from the first.
///
/// # Errors
/// When one of them is no reward or cost model of this base, or no row is a pair.
pub fn evaluate_scorers(
    comparison: &Comparison,
    asked: &Questions,
    stacks: &[EvaluatedStack],
    clock: &Clock,
) -> Result<Vec<Evaluation>, Problem> {
    let question = asked.of_suite(HELD_OUT_PAIRS)?;
    let mut found = Vec::with_capacity(stacks.len());
    for (adapter, stack) in comparison.adapters.iter().zip(stacks) {
        provenance::unchanged(adapter).map_err(|problem| problem.at("adapter"))?;
        let context =
            ModelFolder::open(&comparison.model).map_err(|error| Problem::from(error).at("model"))?.spec.context;
        let reader = whole_rows(context)?;
        let rates = provenance::scores(adapter);
        let model = RatingModel::open(&comparison.model, adapter, reader, rates, crate::local_time())?;
        let part = model.part(&question)?.ok_or_else(|| {
            Problem::input(Words::new(
                "The rows hold no pair of a preferred and another answer.",
                "数据中没有由优选回答和另一个回答组成的偏好对。",
            ))
            .hint(Words::new(
                "Name pairs, such as those that a reward model is trained on.",
                "请指定偏好对，例如用于训练奖励模型的数据。",
            ))
            .at("data")
        })?;
        found.push((stack, part));
    }
    let parts: Vec<(&EvaluatedStack, &Part)> = found.iter().map(|(stack, part)| (*stack, part)).collect();
    Ok(vec![conclude(&question, &[], &parts, 0, (KEPT, clock.seconds()))])
}

/// What scores answers of a base model: the oracle, or a reward model on the same base, which has weights of its own.
///
/// # Errors
/// When the adapter cannot be loaded, was changed, or scores harm instead of goodness.
pub fn scorer_of(source: &RewardSource, model: &Path, now: LocalTime) -> Result<Box<dyn Scorer>, Problem> {
    let RewardSource::Adapter { folder } = source else { return Ok(Box::new(WorldOracle)) };
    let at = |problem: Problem| problem.at("scorer");
    provenance::unchanged(folder).map_err(at)?;
    if provenance::scores(folder) == Some(ScorerKind::Cost) {
        let message = Words::new(
            "This is a cost model: it scores harm, so the most harmful answers would be preferred.",
            "这是代价模型：它给危害打分，因此最有害的回答会被优先选中。",
        );
        return Err(at(Problem::input(message).hint(Words::new("Use a reward model.", "请使用奖励模型。"))));
    }
    let context = ModelFolder::open(model).map_err(|error| Problem::from(error).at("model"))?.spec.context;
    Ok(Box::new(RatingModel::open(model, folder, whole_rows(context)?, Some(ScorerKind::Reward), now)?))
}

/// The method that makes models that score, reading rows as long as the model's context.
fn whole_rows(context: usize) -> Result<Box<dyn Training>, Problem> {
    let mut settings = Settings::default();
    settings.0.insert("max_length".to_owned(), SettingValue::Whole(context as i64));
    before(Before::Scorer)?.configure(&settings)
}
