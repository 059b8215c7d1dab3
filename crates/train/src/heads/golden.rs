//! The heads against reference values from TRL (`tests/golden/methods`).

use super::advantage::{GroupScale, best_of, gae, group_advantages, leave_one_out, whiten};
use super::clip;
use super::cpo::{CpoLoss, CpoOptions, cpo_head};
use super::dpo::{Divergence, DpoLoss, PairOptions, dpo_heads};
use super::kl::{AdaptiveKl, k1, k3};
use super::orpo::odds_head;
use super::pair::PairScores;
use super::reward::{bradley_terry, cost};
use crate::declare::Choice;
use alidade_model::{TensorData, read_tensors};
use serde_json::Value;
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/methods").join(name)
}

fn document(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

fn floats(name: &str) -> Vec<f64> {
    let tensors = read_tensors(&fixture("preference.safetensors")).unwrap();
    let TensorData::Floats(values) = &tensors[name].1 else { panic!("{name}") };
    values.iter().map(|value| f64::from(*value)).collect()
}

fn pairs() -> Vec<PairScores> {
    let tensors = read_tensors(&fixture("preference.safetensors")).unwrap();
    let (shape, TensorData::Integers(mask)) = &tensors["dpo.completion_mask"] else { panic!("mask") };
    let lengths: Vec<f64> = mask.chunks(shape[1]).map(|row| row[1..].iter().sum::<i64>() as f64).collect();
    let [c, r, rc, rr] = ["policy_chosen", "policy_rejected", "ref_chosen", "ref_rejected"]
        .map(|name| floats(&format!("dpo.{name}_logps")));
    (0..4)
        .map(|i| PairScores {
            chosen: c[i],
            rejected: r[i],
            reference_chosen: rc[i],
            reference_rejected: rr[i],
            chosen_tokens: lengths[i],
            rejected_tokens: lengths[4 + i],
        })
        .collect()
}

fn close(name: &str, ours: f64, theirs: f64, bound: f64) {
    assert!((ours - theirs).abs() <= bound * theirs.abs().max(1.0), "{name}: {ours}, theirs {theirs}");
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

fn options(label_smoothing: f64, divergence: Divergence) -> PairOptions {
    PairOptions { beta: 0.1, label_smoothing, divergence, alpha: 0.5, tau: 0.05 }
}

#[test]
fn dpo_losses_agree_with_trl() {
    let (expected, pairs) = (document("preference.json"), pairs());
    for loss in DpoLoss::ALL.iter().filter(|loss| **loss != DpoLoss::Sft) {
        let theirs = &expected[format!("dpo_{}", loss.name())];
        let options = options(theirs["label_smoothing"].as_f64().unwrap(), Divergence::ReverseKl);
        let ours = mean(dpo_heads(*loss, &options, &pairs).iter().map(|head| head.loss));
        close(loss.name(), ours, theirs["loss"].as_f64().unwrap(), 1e-5);
    }
    for divergence in Divergence::ALL.iter().filter(|divergence| **divergence != Divergence::ReverseKl) {
        let heads = dpo_heads(DpoLoss::Sigmoid, &options(0.0, *divergence), &pairs);
        let (ours, name) = (mean(heads.iter().map(|head| head.loss)), divergence.name());
        close(name, ours, expected[format!("dpo_sigmoid_{name}")].as_f64().unwrap(), 1e-5);
    }
}

#[test]
fn losses_without_a_reference_agree_with_trl() {
    let (expected, pairs) = (document("preference.json"), pairs());
    for loss in [CpoLoss::Simpo, CpoLoss::Sigmoid, CpoLoss::Hinge] {
        let theirs = &expected[format!("cpo_{}", loss.name())];
        let beta = theirs["beta"].as_f64().unwrap();
        let options = CpoOptions { beta, label_smoothing: 0.0, gamma: 0.5 };
        for (pair, theirs) in pairs.iter().zip(theirs["per_pair"].as_array().unwrap()) {
            close(loss.name(), cpo_head(loss, &options, pair).loss, theirs.as_f64().unwrap(), 1e-5);
        }
    }
    let theirs = &expected["orpo"];
    let ours: Vec<_> = pairs.iter().map(|pair| odds_head(0.1, pair)).collect();
    close("orpo", mean(ours.iter().map(|(head, _)| head.loss)), theirs["minus_mean_odds_term"].as_f64().unwrap(), 1e-5);
    for ((_, odds), theirs) in ours.iter().zip(theirs["log_odds_per_pair"].as_array().unwrap()) {
        close("odds", *odds, theirs.as_f64().unwrap(), 1e-5);
    }
}

#[test]
fn losses_over_scores_agree_with_trl() {
    let (expected, scores) = (document("preference.json"), floats("reward.scores"));
    let loss = |margin: &dyn Fn(usize) -> f64, centre: f64| {
        mean((0..4).map(|i| bradley_terry(scores[i], scores[4 + i], margin(i), centre).loss))
    };
    close("plain", loss(&|_| 0.0, 0.0), expected["reward_bt"].as_f64().unwrap(), 1e-5);
    let margins = &expected["reward_bt_margin"];
    let margin = |i: usize| margins["margin"][i].as_f64().unwrap();
    close("margin", loss(&margin, 0.0), margins["loss"].as_f64().unwrap(), 1e-5);
    close("centre", loss(&|_| 0.0, 0.01), expected["reward_bt_centre_0.01"].as_f64().unwrap(), 1e-5);
    let costs = &expected["cost_model_seq"];
    let number = |key: &str, i: usize| costs[key][i].as_f64().unwrap();
    let ours = mean((0..4).map(|i| {
        let [safer, worse] = ["lower_end_cost", "higher_end_cost"].map(|key| number(key, i));
        cost(safer, worse, number("lower_cost_sign", i) > 0.0, number("higher_cost_sign", i) > 0.0).loss
    }));
    close("cost", ours, costs["loss"].as_f64().unwrap(), 1e-5);
}

/// Rows of a padded matrix without their padding.
fn rows(group: &Value, key: &str) -> Vec<Vec<f64>> {
    let numbers = |row: &Value| row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>();
    let masks = group["mask"].as_array().unwrap().iter().map(numbers);
    let lengths = masks.map(|row| row.iter().sum::<f64>() as usize);
    group[key].as_array().unwrap().iter().zip(lengths).map(|(row, length)| numbers(row)[..length].to_vec()).collect()
}

#[test]
fn ppo_agrees_token_by_token() {
    let ppo = &document("rl_and_misc.json")["ppo"];
    let part = |key: &str| rows(ppo, key);
    let (old, reference, values) = (part("logprobs"), part("ref_logprobs"), part("values"));
    let (mut advantages, mut returns) = (Vec::new(), Vec::new());
    for row in 0..3 {
        let mut rewards: Vec<f64> = old[row].iter().zip(&reference[row]).map(|(a, b)| -0.05 * k1(*a, *b)).collect();
        *rewards.last_mut().unwrap() += ppo["score"][row].as_f64().unwrap();
        rewards.iter().zip(&part("rewards")[row]).for_each(|(a, b)| close("reward", *a, *b, 1e-6));
        for ((logp, reference), theirs) in old[row].iter().zip(&reference[row]).zip(&part("k3")[row]) {
            close("k3", k3(*logp, *reference).0, *theirs, 1e-6);
        }
        let (a, r) = gae(&rewards, &values[row], 1.0, 0.95);
        a.iter().zip(&part("advantages")[row]).for_each(|(a, b)| close("advantage", *a, *b, 1e-6));
        r.iter().zip(&part("returns")[row]).for_each(|(a, b)| close("return", *a, *b, 1e-6));
        advantages.extend(a);
        returns.extend(r);
    }
    whiten(&mut advantages);
    let white = part("whitened_advantages").concat();
    advantages.iter().zip(&white).for_each(|(a, b)| close("whitened", *a, *b, 1e-6));
    let (new, old, predicted, values) =
        (part("new_logprobs").concat(), old.concat(), part("vpred").concat(), values.concat());
    let n = new.len();
    let policy: Vec<_> = (0..n).map(|t| clip::policy(new[t], old[t], advantages[t], 0.2, 0.2)).collect();
    let value: Vec<_> = (0..n).map(|t| clip::value(predicted[t], values[t], returns[t], 0.2)).collect();
    let number = |key: &str| ppo[key].as_f64().unwrap();
    close("pg_loss", mean(policy.iter().map(|head| head.loss)), number("pg_loss"), 1e-6);
    close("vf_loss", mean(value.iter().map(|head| head.loss)), number("vf_loss"), 1e-6);
    close("ratio", mean(policy.iter().map(|head| head.ratio)), number("ratio_mean"), 1e-6);
    let outside = policy.iter().map(|head| f64::from(u8::from((head.ratio - 1.0).abs() > 0.2)));
    close("clipfrac", mean(outside), number("clipfrac"), 1e-6);
    // As TRL counts it: only where the clipped branch decides.
    close("clipped", mean(policy.iter().map(|head| f64::from(u8::from(head.clipped)))), 0.076_923, 1e-6);
    let drift = new.iter().zip(&old).map(|(a, b)| 0.5 * (a - b).powi(2));
    close("approxkl", mean(drift), number("approxkl_masked"), 1e-6);
}

#[test]
fn controllers_and_groups_agree() {
    let misc = document("rl_and_misc.json");
    let mut controller = AdaptiveKl { coefficient: 0.15, target: 6.0, horizon: 10_000.0 };
    for step in misc["adaptive_kl"]["steps"].as_array().unwrap() {
        let number = |key: &str| step[key].as_f64().unwrap();
        controller.update(number("current_kl"), number("n_steps"));
        close("coefficient", controller.coefficient, number("new_kl_coef"), 1e-12);
    }
    let best = &misc["best_of_n"];
    let scores: Vec<f64> = best["scores"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    let expected = best["unbiased_expected_max_of_k"].as_f64().unwrap();
    close("best of k", best_of(&scores, 4), expected, 1e-12);
    let groups = &misc["group_advantages"];
    let flat = |key: &str| -> Vec<f64> {
        let rows = groups[key].as_array().unwrap().iter();
        rows.flat_map(|row| row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap())).collect()
    };
    let scores = flat("rewards");
    let check = |key: &str, ours: Vec<f64>| {
        ours.iter().zip(flat(key)).for_each(|(a, b)| assert!((a - b).abs() <= 1e-6, "{key}: {a}, theirs {b}"));
    };
    check("grpo_std_unbiased_eps1e4", group_advantages(&scores, 4, GroupScale::Group));
    check("dr_grpo_no_std", group_advantages(&scores, 4, GroupScale::None));
    check("batch_std", group_advantages(&scores, 4, GroupScale::Batch));
    check("rloo", leave_one_out(&scores, 4));
}

#[test]
fn grpo_normalisers_agree() {
    let misc = document("rl_and_misc.json");
    let (ppo, grpo) = (&misc["ppo"], &misc["grpo_loss"]);
    let (new, old, reference) = (rows(ppo, "new_logprobs"), rows(ppo, "logprobs"), rows(ppo, "ref_logprobs"));
    let token = |row: usize, t: usize| {
        let advantage = grpo["advantage"][row].as_f64().unwrap();
        let head = clip::policy(new[row][t], old[row][t], advantage, 0.2, 0.2);
        head.loss + 0.04 * k3(new[row][t], reference[row][t]).0
    };
    let sums: Vec<f64> = (0..3).map(|row| (0..new[row].len()).map(|t| token(row, t)).sum()).collect();
    let lengths: Vec<f64> = new.iter().map(|row| row.len() as f64).collect();
    let number = |key: &str| grpo[key].as_f64().unwrap();
    close("grpo", mean(sums.iter().zip(&lengths).map(|(sum, length)| sum / length)), number("grpo"), 1e-6);
    close("bnpo", sums.iter().sum::<f64>() / lengths.iter().sum::<f64>(), number("bnpo_dapo"), 1e-6);
    close("dr_grpo", sums.iter().sum::<f64>() / 18.0, number("dr_grpo"), 1e-6);
}
