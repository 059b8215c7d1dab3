//! From rewards to advantages: generalised advantage estimation (Schulman et al., arXiv 1506.02438), whitening, and the
//! group baselines of GRPO (Shao et al., arXiv 2402.03300), Dr. GRPO (arXiv 2503.20783) and RLOO (arXiv 2402.14740).

use crate::declare::options;

/// Advantages and returns of one answer, token by token. `values[t]` is the value of the state before token t; the
/// state after the last token has value 0.
pub(crate) fn gae(rewards: &[f64], values: &[f64], gamma: f64, lambda: f64) -> (Vec<f64>, Vec<f64>) {
    let mut advantages = vec![0.0; rewards.len()];
    let (mut next_value, mut running) = (0.0, 0.0);
    for t in (0..rewards.len()).rev() {
        let delta = rewards[t] + gamma * next_value - values[t];
        running = delta + gamma * lambda * running;
        advantages[t] = running;
        next_value = values[t];
    }
    let returns = advantages.iter().zip(values).map(|(advantage, value)| advantage + value).collect();
    (advantages, returns)
}

/// (x − mean) / √(unbiased variance + 1e-8); a single value is only centred.
pub(crate) fn whiten(values: &mut [f64]) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let scale = if values.len() > 1 { 1.0 / (variance + 1e-8).sqrt() } else { 1.0 };
    values.iter_mut().for_each(|value| *value = (*value - mean) * scale);
}

options! {
    /// What the scores of a group are divided by: the standard deviation of the group, that of the whole step, or nothing.
    pub(crate) enum GroupScale { Group = "group", Batch = "batch", None = "none" }
}

/// Advantages of the answers of equal groups of `size` in order: score minus group mean, divided as `scale` says.
pub(crate) fn group_advantages(scores: &[f64], size: usize, scale: GroupScale) -> Vec<f64> {
    let whole = deviation(scores);
    let group = |group: &[f64]| -> Vec<f64> {
        let mean = group.iter().sum::<f64>() / group.len() as f64;
        let divisor = match scale {
            GroupScale::Group => deviation(group) + 1e-4,
            GroupScale::Batch => whole + 1e-4,
            GroupScale::None => 1.0,
        };
        group.iter().map(|score| (score - mean) / divisor).collect()
    };
    scores.chunks(size.max(1)).flat_map(group).collect()
}

/// Score minus the mean of the others of its group.
pub(crate) fn leave_one_out(scores: &[f64], size: usize) -> Vec<f64> {
    let group = |group: &[f64]| -> Vec<f64> {
        let (sum, others) = (group.iter().sum::<f64>(), (group.len() as f64 - 1.0).max(1.0));
        group.iter().map(|score| score - (sum - score) / others).collect()
    };
    scores.chunks(size.max(1)).flat_map(group).collect()
}

/// Share of groups whose answers all have the same score, which give no gradient.
pub(crate) fn zero_std_groups(scores: &[f64], size: usize) -> f64 {
    let groups = scores.chunks(size.max(1));
    let count = groups.len().max(1) as f64;
    groups.filter(|group| group.iter().all(|score| *score == group[0])).count() as f64 / count
}

/// Expected maximum of k scores drawn without replacement from the given ones: Σ s₍ᵢ₎·C(i − 1, k − 1) / C(n, k) over the
/// scores in rising order; k above n counts as n.
pub(crate) fn best_of(scores: &[f64], k: usize) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (n, k) = (sorted.len(), k.clamp(1, sorted.len().max(1)));
    // The weight of the i-th score, C(i − 1, k − 1) / C(n, k), computed from its neighbour's, from the largest down.
    let (mut sum, mut weight) = (0.0, k as f64 / n.max(1) as f64);
    for i in (k..=n).rev() {
        sum += sorted[i - 1] * weight;
        weight *= (i - k) as f64 / (i as f64 - 1.0).max(1.0);
    }
    sum
}

/// Standard deviation with n − 1 in the denominator; 0 for fewer than two values.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_lambda_and_gamma_1_an_advantage_is_what_is_still_to_come_minus_the_value() {
        let (rewards, values) = ([0.5, -1.0, 2.0], [0.1, 0.7, -0.4]);
        let (advantages, returns) = gae(&rewards, &values, 1.0, 1.0);
        for t in 0..3 {
            let rest: f64 = rewards[t..].iter().sum();
            assert!((advantages[t] - (rest - values[t])).abs() < 1e-12 && (returns[t] - rest).abs() < 1e-12);
        }
    }

    #[test]
    fn odd_cases_are_defined() {
        let mut one = [3.0];
        whiten(&mut one);
        assert_eq!(one, [0.0]);
        whiten(&mut []);
        assert_eq!((best_of(&[], 3), best_of(&[2.0], 1), best_of(&[1.0, 3.0], 9)), (0.0, 2.0, 3.0));
        assert_eq!(best_of(&[1.0, 2.0, 6.0], 1), 3.0);
        assert_eq!(leave_one_out(&[1.0], 1), [1.0]);
        assert_eq!(zero_std_groups(&[1.0, 1.0, 0.0, 1.0], 2), 0.5);
    }
}
