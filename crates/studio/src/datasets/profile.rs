//! What a data set looks like to a model: the lengths of its prompts and answers in tokens, how often the chosen answer is
//! the longer one, how many rows repeat another. Counted in a child, because the tokenizer may be a stranger's.

use crate::confined::{self, Job, Link, request_of};
use crate::experiments::presets::STARTER;
use crate::models::vetting::limits_for;
use crate::studio::{Studio, lock};
use crate::views::{DatasetProfile, Histogram};
use alidade_domain::{Example, Problem, Wording, wording};
use alidade_jobs::train::execute::read_rows;
use alidade_model::{ModelFolder, TextTokenizer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Name of the task.
pub(crate) const TASK: &str = "profile_dataset";
/// Rows that are counted; more take too long for a screen.
const MOST: usize = 10_000;
/// Bins of a histogram.
const BINS: usize = 16;
/// An answer that is longer than the other by this factor is clearly longer, as in the advice of a plan.
const CLEARLY: f64 = 1.2;
/// Memory per byte of rows, which exist as text, as examples and as tokens.
const PER_ROW_BYTE: u64 = 16;

#[derive(Serialize, Deserialize)]
struct Request {
    model: String,
    folder: PathBuf,
    context_tokens: usize,
    rows: PathBuf,
}

impl Studio {
    /// Lengths and repetitions of a data set, in tokens of a model; those of the starter model without one.
    ///
    /// # Errors
    /// When the data set or the model is missing, or its tokenizer cannot be used.
    pub fn dataset_profile(&self, id: &str, model: Option<&str>) -> Result<DatasetProfile, Problem> {
        let set = self.dataset(id)?;
        let model = self.model(model.unwrap_or(STARTER)).map_err(|problem| problem.at("model"))?;
        let key = format!("{} {}", set.sha256, model.model.sha256);
        if let Some(known) = lock(&self.profiles).get(&key) {
            return Ok(DatasetProfile { model: model.model.id, ..known.clone() });
        }
        let rows = self.rows_path(id);
        let bytes = std::fs::metadata(&rows).map_or(0, |data| data.len());
        let limits = limits_for(&PathBuf::from(&model.folder), false).plus(bytes, PER_ROW_BYTE);
        let (name, counting) = (&set.name, &model.model.name);
        let what = wording!(
            "Counting the tokens of “{name}” as the model “{counting}” does",
            "按模型“{counting}”的方式计算“{name}”的词元"
        );
        let (stop, program) = (AtomicBool::new(false), &self.configuration.program);
        let job = Job { program, task: TASK, what, field: "model", limits, stop: &stop };
        let request = Request {
            model: model.model.id,
            folder: PathBuf::from(model.folder),
            context_tokens: model.context_tokens,
            rows,
        };
        let profile: DatasetProfile = confined::run(&job, &request, &mut |_| ())?;
        lock(&self.profiles).insert(key, profile.clone());
        Ok(profile)
    }
}

/// The task in the child.
pub(crate) fn task(request: Value, _: &mut Link) -> Result<Value, Problem> {
    let request: Request = request_of(request)?;
    let folder = ModelFolder::open(&request.folder).map_err(|error| Problem::from(error).at("model"))?;
    let tokenizer = folder.tokenizer().map_err(|error| Problem::from(error).at("model"))?;
    let profile = profile(&request, &read_rows(&request.rows)?, &tokenizer)?;
    serde_json::to_value(profile).map_err(|error| Problem::internal(Wording::name(error.to_string())))
}

fn profile(request: &Request, rows: &[Example], tokenizer: &TextTokenizer) -> Result<DatasetProfile, Problem> {
    let rows = &rows[..rows.len().min(MOST)];
    let (mut prompts, mut answers, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    let (mut longer, mut too_long, mut seen) = (0, 0, BTreeSet::new());
    for row in rows {
        let count = |text: &str| Ok::<_, Problem>(if text.is_empty() { 0 } else { tokenizer.encode(text)?.len() });
        let (prompt, answer) = (count(&row.prompt_text())?, count(&row.answer_text())?);
        let other = row.other_text().map(|text| count(&text)).transpose()?;
        // A document and a conversation are one text, which their prompt is a part of.
        let whole = matches!(row, Example::Text { .. } | Example::Conversation { .. });
        if !whole {
            prompts.push(prompt);
        }
        if !matches!(row, Example::Prompt { .. }) {
            answers.push(answer);
        }
        rejected.extend(other);
        longer += usize::from(other.is_some_and(|other| answer as f64 > CLEARLY * other as f64));
        let length = if whole { answer } else { prompt + answer.max(other.unwrap_or(0)) };
        too_long += usize::from(length > request.context_tokens);
        seen.insert(serde_json::to_string(row).unwrap_or_default());
    }
    let chosen_longer = (!rejected.is_empty()).then(|| longer as f64 / rejected.len() as f64);
    Ok(DatasetProfile {
        model: request.model.clone(),
        rows: rows.len(),
        prompts: histogram(prompts),
        answers: histogram(answers),
        rejected: histogram(rejected),
        chosen_longer,
        duplicates: rows.len() - seen.len(),
        too_long,
    })
}

/// Equal bins from 0 to the longest; `None` without a length.
fn histogram(mut lengths: Vec<usize>) -> Option<Histogram> {
    lengths.sort_unstable();
    let (longest, median) = (*lengths.last()?, lengths[lengths.len() / 2]);
    let width = longest.div_ceil(BINS).max(1);
    let mut counts = vec![0; longest / width + 1];
    for length in lengths {
        counts[length / width] += 1;
    }
    Some(Histogram { low: 0.0, width: width as f64, counts, median, longest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::{Message, PreferencePair};

    #[test]
    fn lengths_repetitions_and_the_longer_answer_are_counted() {
        let folder = ModelFolder::open(&alidade_testkit::golden("trl/model")).unwrap();
        let tokenizer = folder.tokenizer().unwrap();
        let pair = |chosen: &str| {
            Example::Pair(PreferencePair {
                prompt: vec![Message::user("Why?")],
                chosen: vec![Message::assistant(chosen)],
                rejected: vec![Message::assistant("No.")],
                margin: None,
                harmful: None,
            })
        };
        let long = "Because it is so, and because it has always been so.";
        let rows = [pair(long), pair("No."), pair(long), Example::Text { text: "x".repeat(400) }];
        let request =
            Request { model: "m".to_owned(), folder: PathBuf::new(), context_tokens: 100, rows: PathBuf::new() };
        let found = profile(&request, &rows, &tokenizer).unwrap();
        assert_eq!((found.rows, found.duplicates, found.too_long), (4, 1, 1));
        assert_eq!(found.chosen_longer, Some(2.0 / 3.0));
        let (prompts, answers) = (found.prompts.unwrap(), found.answers.unwrap());
        assert_eq!((prompts.counts.iter().sum::<usize>(), answers.counts.iter().sum::<usize>()), (3, 4));
        assert!(answers.longest > 100 && answers.median <= answers.longest && prompts.median > 0);
        assert_eq!(histogram(vec![0, 0]).unwrap().counts, [2]);
        assert!(histogram(Vec::new()).is_none());
    }
}
