//! Histograms of the scores of preferred and of other answers.

use alidade_domain::ScoreHistogram;

/// Counts both kinds of scores in `bins` equal bins from the lowest to the highest score of all; `None` without a score.
/// Scores that are not finite are left out.
pub fn histogram(chosen: &[f64], rejected: &[f64], bins: usize) -> Option<ScoreHistogram> {
    let finite = || chosen.iter().chain(rejected).copied().filter(|score| score.is_finite());
    let (low, high) = (finite().reduce(f64::min)?, finite().reduce(f64::max)?);
    // Equal scores make one bin of width 1.
    let (bins, width) = if high > low { (bins.max(1), (high - low) / bins.max(1) as f64) } else { (1, 1.0) };
    let count = |scores: &[f64]| {
        let mut counts = vec![0; bins];
        for score in scores.iter().filter(|score| score.is_finite()) {
            counts[(((score - low) / width) as usize).min(bins - 1)] += 1;
        }
        counts
    };
    Some(ScoreHistogram { low, width, chosen: count(chosen), rejected: count(rejected) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_is_counted_once() {
        let found = histogram(&[1.0, 2.0, 2.0], &[-2.0, 0.0, f64::NAN], 4).expect("there are scores");
        assert_eq!((found.low, found.width), (-2.0, 1.0));
        assert_eq!(found.chosen, [0, 0, 0, 3]);
        assert_eq!(found.rejected, [1, 0, 1, 0]);
    }

    #[test]
    fn equal_scores_and_no_scores_are_handled() {
        let found = histogram(&[0.5, 0.5], &[0.5], 12).expect("there are scores");
        assert_eq!((found.chosen, found.rejected), (vec![2], vec![1]));
        assert_eq!(histogram(&[], &[f64::NAN], 12), None);
    }
}
