//! A generator whose answers are logged: answers from before a kill are taken from the log, the rest is generated in small
//! batches. Each answer is computed as if alone, so the result is the same to the byte wherever the run was killed.

use crate::files::item_log::{ItemLog, item_key};
use alidade_domain::{Generator, Listener, Message, Problem, Response, Sampling, wording};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// Answers per batch; all of them are logged when the batch is done.
pub(crate) const BATCH: usize = 16;

/// A generator that logs its answers.
pub(crate) struct Logged<'a> {
    pub(crate) inner: &'a dyn Generator,
    pub(crate) log: &'a RefCell<ItemLog>,
    /// Identity of what answers: weights, template, date.
    pub(crate) identity: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    text: String,
    tokens: usize,
}

impl Logged<'_> {
    fn key(&self, messages: &[Message], sampling: &Sampling, seed: u64) -> Result<String, Problem> {
        item_key(&(&self.identity, messages, sampling.temperature, sampling.top_p, sampling.max_new_tokens, seed))
    }
}

impl Generator for Logged<'_> {
    fn generate(&self, messages: &[Message], sampling: &Sampling, seed: u64) -> Result<Response, Problem> {
        let answers = self.generate_many(&[messages], sampling, &[seed], &mut |_, _| true)?;
        answers.into_iter().next().ok_or_else(|| {
            Problem::internal(wording!("The model gave no answer to a prompt.", "模型对一个提问没有给出回答。"))
        })
    }

    fn generate_many(
        &self,
        prompts: &[&[Message]],
        sampling: &Sampling,
        seeds: &[u64],
        watch: Listener,
    ) -> Result<Vec<Response>, Problem> {
        let keys = prompts.iter().zip(seeds).map(|(prompt, seed)| self.key(prompt, sampling, *seed));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let response = |kept: Kept| Response { text: kept.text, tokens: kept.tokens };
        let mut responses: Vec<Option<Response>> =
            keys.iter().map(|key| self.log.borrow().result(key).map(response)).collect();
        let missing: Vec<usize> = (0..prompts.len()).filter(|place| responses[*place].is_none()).collect();
        let all = prompts.len().max(1) as f64;
        let mut done = prompts.len() - missing.len();
        for places in missing.chunks(BATCH) {
            let asked: Vec<&[Message]> = places.iter().map(|place| prompts[*place]).collect();
            let drawn: Vec<u64> = places.iter().map(|place| seeds[*place]).collect();
            let mut hear =
                |more: usize, share: f64| watch(done + more, (done as f64 + share * places.len() as f64) / all);
            let answers = self.inner.generate_many(&asked, sampling, &drawn, &mut hear)?;
            for (place, answer) in places.iter().zip(answers) {
                let kept = Kept { text: answer.text.clone(), tokens: answer.tokens };
                self.log.borrow_mut().put(&keys[*place], &kept)?;
                responses[*place] = Some(answer);
            }
            done += places.len();
        }
        if !watch(prompts.len(), 1.0) {
            return Err(Problem::ended());
        }
        Ok(responses.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_testkit::Fails;

    #[test]
    fn a_run_that_was_cut_asks_only_what_is_missing_and_says_the_same() {
        let sampling = Sampling { temperature: 1.0, top_p: 1.0, max_new_tokens: 8, seed: 0 };
        let turns: Vec<Vec<Message>> = (0..40).map(|n| vec![Message::user(format!("q{n}"))]).collect();
        let prompts: Vec<&[Message]> = turns.iter().map(Vec::as_slice).collect();
        let seeds: Vec<u64> = (0..40).collect();
        let run = |folder: &std::path::Path, most: usize, identity: &str| {
            let log = RefCell::new(ItemLog::open(folder).unwrap());
            let inner = Fails::after(most);
            let logged = Logged { inner: &inner, log: &log, identity: identity.to_owned() };
            let answers = logged.generate_many(&prompts, &sampling, &seeds, &mut |_, _| true);
            (answers, inner.left())
        };
        let whole = tempfile::tempdir().unwrap();
        let (expected, left) = run(whole.path(), 40, "m");
        assert_eq!((expected.as_ref().unwrap().len(), left), (40, 0));
        let cut = tempfile::tempdir().unwrap();
        assert!(run(cut.path(), 35, "m").0.is_err());
        // Two whole batches were logged.
        let (answers, left) = run(cut.path(), 8, "m");
        assert_eq!((answers, left), (expected, 0));
        assert!(run(cut.path(), 39, "other weights").0.is_err());
    }
}
