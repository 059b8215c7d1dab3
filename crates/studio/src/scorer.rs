//! What a reward model is worth: how often it ranks held-out pairs as their source does, and whether length sways it.

use crate::Clock;
use crate::asking::batches;
use crate::compute;
use crate::memory::AtOnce;
use alidade_domain::{AdapterRef, Evaluation, Example, Plan, Precision, Problem, Stack};
use alidade_evaluation::{Observations, compare, histogram};
use alidade_model::{Backend, ModelFolder, Policy, Rater, TokenRow, adapter_sha256, load_adapter};
use alidade_train::{Encoder, Item, TrainError, method};
use std::ops::Range;
use std::path::Path;

/// Rows that are scored together.
const ROWS: usize = 16;
/// Steps of the histogram of scores.
const BINS: usize = 24;

/// Scores held-out pairs; `None` when there are none.
///
/// # Errors
/// When the adapter cannot be loaded or a row cannot be read.
pub(crate) fn evaluate_scorer(
    plan: &Plan,
    adapter: &Path,
    rows: Vec<Example>,
    clock: &Clock,
) -> Result<Option<Evaluation>, Problem> {
    if rows.is_empty() {
        return Ok(None);
    }
    let folder = ModelFolder::open(&plan.model_dir)?;
    let tokenizer = folder.tokenizer()?;
    let template = folder.chat_template(&tokenizer, plan.now.unwrap_or_else(crate::local_time))?;
    let encoder = Encoder { tokenizer: &tokenizer, template: template.as_ref() };
    let training = method(&plan.method)?.configure(&plan.settings)?;
    let items = match training.prepare(&rows, &encoder) {
        // Held-out rows that say nothing of the question are no figure, and no fault of the run.
        Err(TrainError::NoRows { .. }) => return Ok(None),
        prepared => prepared?.items,
    };
    // A cost is lower for the better answer.
    let sign = if training.rates() == Some(Rater::Cost) { -1.0 } else { 1.0 };
    let set = compute::instructions()?;
    let mut policy = Policy::fresh(folder.decoder_on(Backend::Best(set))?, &load_adapter(adapter, &folder.spec)?)?;
    policy.install_rater(Rater::Reward, &load_adapter(adapter, &folder.spec)?)?;
    let mut observations = Observations::default();
    let (mut preferred, mut other) = (Vec::new(), Vec::new());
    let budget = AtOnce::of(&folder.spec, Precision::Single, set);
    let tokens = |item: &Item| item.sequences.iter().map(|row| row.ids.len()).sum::<usize>();
    let fits = |range: Range<usize>| budget.reads(items[range].iter().map(tokens).sum());
    for range in batches(items.len(), ROWS, fits) {
        let chunk = &items[range];
        let sequences: Vec<TokenRow> = chunk.iter().flat_map(|item| item.sequences.clone()).collect();
        for (scores, rows) in policy.ratings(Rater::Reward, &sequences)?.chunks(2).zip(sequences.chunks(2)) {
            preferred.push(scores[0]);
            other.push(scores[1]);
            let pair = [sign * scores[0], sign * scores[1]];
            observations.push_flag("preference_accuracy", Some(pair[0] > pair[1]));
            observations.push("reward_margin", Some(pair[0] - pair[1]));
            let shorter_wins = rows[0].ids.len() < rows[1].ids.len();
            // Pairs whose preferred answer is the shorter one show whether the model has merely learned length.
            if shorter_wins {
                observations.push_flag("accuracy_when_shorter_wins", Some(pair[0] > pair[1]));
            }
        }
    }
    let sha256 = adapter_sha256(adapter)?;
    let adapter = AdapterRef { id: plan.run.clone(), name: plan.adapter_name.clone(), sha256 };
    Ok(Some(Evaluation {
        suite: "held-out pairs".to_owned(),
        before_stack: Stack::base(plan.model.clone()).label(),
        after_stack: Stack::with_adapter(plan.model.clone(), adapter).label(),
        temperature: 0.0,
        seed: 0,
        measures: compare(&Observations::default(), &observations),
        samples: Vec::new(),
        worst: Vec::new(),
        scores: histogram(&preferred, &other, BINS),
        seconds: clock.seconds(),
    }))
}
