//! How far before and after are compared. By default comparing may take as long as training, and never less than half a
//! minute; where that is not enough for everything, the plan chooses how many prompts and rows are compared, and the
//! experiment keeps the number, so that it is the same when the experiment is repeated.

use alidade_domain::{Stage, StageEstimate};

/// Comparing for so long is never too long, in seconds.
const PATIENCE: f64 = 30.0;
/// With fewer items than this nothing can be judged, so a plan never chooses fewer.
const FEWEST: usize = 20;

/// The number that fits, if not everything does; the estimates become those of that number. A stage whose number a person
/// set is left as it is.
pub(super) fn fit(stages: &[Stage], estimates: &mut [StageEstimate]) -> Option<usize> {
    let open = |estimate: &&mut StageEstimate| {
        let recipe = stages.get(estimate.stage).and_then(Stage::recipe);
        recipe.is_some_and(|recipe| recipe.compare.is_none())
    };
    let training: f64 = estimates.iter().map(|estimate| estimate.seconds - estimate.comparing_seconds).sum();
    let budget = training.max(PATIENCE);
    let mut open: Vec<&mut StageEstimate> = estimates.iter_mut().filter(open).collect();
    let all = open.iter().map(|estimate| estimate.comparing_prompts.max(estimate.comparing_rows)).max()?;
    let fits = |most: usize| open.iter().map(|estimate| seconds(estimate, most)).sum::<f64>() <= budget;
    if all <= FEWEST || fits(all) {
        return None;
    }
    let most = (FEWEST..all).rev().find(|most| fits(*most)).unwrap_or(FEWEST);
    for estimate in &mut open {
        let shorter = seconds(estimate, most);
        estimate.seconds -= estimate.comparing_seconds - shorter;
        estimate.comparing_seconds = shorter;
        estimate.comparing_prompts = estimate.comparing_prompts.min(most);
        estimate.comparing_rows = estimate.comparing_rows.min(most);
    }
    Some(most)
}

/// Seconds of comparing on at most so many prompts and rows.
fn seconds(estimate: &StageEstimate, most: usize) -> f64 {
    let left_out = |count: usize| count.saturating_sub(most) as f64;
    let saved = left_out(estimate.comparing_prompts) * estimate.seconds_per_prompt
        + left_out(estimate.comparing_rows) * estimate.seconds_per_row;
    (estimate.comparing_seconds - saved).max(0.0)
}

/// Sets the number in every stage for which nobody set one.
pub(super) fn write(stages: &mut [Stage], most: usize) {
    for stage in stages {
        if let Stage::Train(recipe) = stage {
            recipe.compare.get_or_insert(most);
        }
    }
}

/// True if the stages are the same, apart from a number that a plan chose where the file names none.
pub(super) fn same_work(known: &[Stage], file: &[Stage]) -> bool {
    let mut known = known.to_vec();
    for (own, given) in known.iter_mut().zip(file) {
        if let (Stage::Train(own), Some(given)) = (own, given.recipe())
            && given.compare.is_none()
        {
            own.compare = None;
        }
    }
    known == file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::recipe;

    fn estimate(stage: usize, training: f64, prompts: usize) -> StageEstimate {
        let comparing = 2.0 * prompts as f64 + 1.0;
        let text = serde_json::json!({
            "stage": stage, "optimizer_steps": 1, "rows": 9, "held_out_rows": 3, "skipped_rows": 0, "truncated_rows": 0,
            "tokens": 9, "learned_tokens": 9, "longest_tokens": 9, "trainable_parameters": 1, "model_parameters": 1,
            "memory_bytes": 1, "disk_bytes": 1, "comparing_seconds": comparing, "comparing_prompts": prompts,
            "seconds_per_prompt": 2.0, "seconds": training + comparing
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn comparing_takes_no_longer_than_training_or_half_a_minute() {
        let mut stages = vec![Stage::Train(recipe("a")), Stage::Train(recipe("b"))];
        let mut long = vec![estimate(0, 100.0, 200), estimate(1, 100.0, 200)];
        // 200 seconds of training pay for two times 49 prompts, and for loading twice.
        assert_eq!(fit(&stages, &mut long), Some(49));
        let told =
            |estimate: &StageEstimate| (estimate.comparing_prompts, estimate.comparing_seconds, estimate.seconds);
        assert_eq!(told(&long[0]), (49, 99.0, 199.0));
        let mut short = vec![estimate(0, 1.0, 14)];
        assert_eq!(fit(&stages, &mut short), None);
        let mut slow = vec![estimate(0, 1.0, 100)];
        assert_eq!((fit(&stages, &mut slow), slow[0].comparing_prompts), (Some(FEWEST), FEWEST));
        let plain = stages.clone();
        write(&mut stages, 49);
        assert!(same_work(&stages, &plain) && !same_work(&plain, &stages));
        let mut set = vec![estimate(0, 1.0, 100)];
        assert_eq!((fit(&stages, &mut set), set[0].comparing_prompts), (None, 100));
    }
}
