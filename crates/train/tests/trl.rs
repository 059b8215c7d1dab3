//! Training curves and final adapters against real TRL runs, starting from the same adapter.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may fail loudly and tell its figures"
)]

use alidade_domain::{
    EventKind, Example, LocalTime, Message, Observer, PreferencePair, Problem, SettingValue, Settings,
};
use alidade_model::{AdapterWeights, ModelFolder, Policy, load_adapter};
use alidade_testkit::Never;
use alidade_train::{Encoder, PlanFacts, Session, SessionOptions, method};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

struct Silent;
impl Observer for Silent {
    fn observe(&mut self, _: EventKind) -> Result<(), Problem> {
        Ok(())
    }
}

fn golden(path: &str) -> PathBuf {
    alidade_testkit::golden("trl").join(path)
}

fn messages(value: &Value) -> Vec<Message> {
    serde_json::from_value(value.clone()).unwrap()
}

fn example(row: &Value) -> Example {
    if row.get("messages").is_some() {
        return Example::Conversation { messages: messages(&row["messages"]) };
    }
    let prompt = messages(&row["prompt"]);
    match row.get("chosen") {
        Some(chosen) => {
            let (chosen, rejected) = (messages(chosen), messages(&row["rejected"]));
            Example::Pair(PreferencePair { prompt, chosen, rejected, margin: None, harmful: None })
        }
        None => {
            let completion = messages(&row["completion"]);
            match row.get("label") {
                Some(label) => Example::Rated { prompt, completion, label: label.as_bool().unwrap() },
                None => Example::Answer { prompt, completion },
            }
        }
    }
}

fn lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Trains as `run.json` says; returns our log and the final adapter.
fn train(name: &str) -> (Vec<Value>, AdapterWeights) {
    let run: Value = serde_json::from_slice(&std::fs::read(golden(name).join("run.json")).unwrap()).unwrap();
    let method = method(run["method"].as_str().unwrap()).unwrap();
    let said: BTreeMap<String, SettingValue> = serde_json::from_value(run["settings"].clone()).unwrap();
    let training = method.configure(&Settings(said).resolve(&method.card().settings).unwrap()).unwrap();
    let folder = ModelFolder::open(&golden("model")).unwrap();
    let tokenizer = folder.tokenizer().unwrap();
    let template = folder.chat_template(&tokenizer, LocalTime::day(2026, 11, 28)).unwrap();
    let encoder = Encoder { tokenizer: &tokenizer, template: template.as_ref() };
    let rows: Vec<Example> = lines(&golden(name).join("data.jsonl")).iter().map(example).collect();
    let prepared = training.prepare(&rows, &encoder).unwrap();
    let start = load_adapter(&golden(run["adapter"].as_str().unwrap()), &folder.spec).unwrap();
    let policy = Policy::continuing(folder.decoder().unwrap(), &start).unwrap();
    let out = tempfile::tempdir().unwrap();
    let options = SessionOptions {
        folder: out.path().to_owned(),
        plan: PlanFacts::new(run.clone()),
        seed: 3,
        checkpoint_every: 0,
        clock: &|| 0.0,
        sampler: None,
        rollouts: None,
    };
    let (mut observer, stop) = (Silent, Never);
    let mut session = Session::new(policy, options, &mut observer, &stop);
    training.train(&mut session, &prepared).unwrap();
    (lines(&out.path().join("log.jsonl")), session.policy.adapter().unwrap().unwrap())
}

fn check(name: &str, figures: &[(&str, f64)]) {
    hold(name, "log.json", "adapter", figures, 1e-3);
}

/// Against a run of TRL in float64, which has no float32 noise.
fn check_double(name: &str) {
    let figures: Vec<(&str, f64)> = DPO.iter().map(|(figure, bound)| (*figure, bound.min(DOUBLE))).collect();
    hold(name, "log_f64.json", "adapter_f64", &figures, DOUBLE_ADAPTER);
}

/// Largest gap of any metric to float64, relative to its size where that is above 1.
const DOUBLE: f64 = 1e-6;
/// Largest relative gap of any tensor of the final adapter.
const DOUBLE_ADAPTER: f64 = 1e-5;

fn hold(name: &str, log: &str, adapter: &str, figures: &[(&str, f64)], last: f64) {
    let (ours, trained) = train(name);
    let theirs: Vec<Value> = serde_json::from_slice(&std::fs::read(golden(name).join(log)).unwrap()).unwrap();
    assert_eq!(ours.len(), theirs.len());
    for (figure, bound) in figures {
        let gap = |(ours, theirs): (&Value, &Value)| {
            let (a, b) = (ours[*figure].as_f64().unwrap(), theirs[*figure].as_f64().unwrap());
            (a - b).abs() / b.abs().max(1.0)
        };
        let worst = ours.iter().zip(&theirs).map(gap).fold(0.0, f64::max);
        println!("{name}: {figure} differs by {worst:.1e}");
        assert!(worst <= *bound, "{name}: {figure} differs by {worst}");
    }
    let folder = ModelFolder::open(&golden("model")).unwrap();
    let expected = load_adapter(&golden(name).join(adapter), &folder.spec).unwrap();
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let gap = |tensor: &str| {
        let (ours, theirs) = (&trained.tensors[tensor].values, &expected.tensors[tensor].values);
        let difference = square(&mut ours.iter().zip(theirs).map(|(a, b)| f64::from(a - b)));
        (difference / square(&mut theirs.iter().map(|value| f64::from(*value)))).sqrt()
    };
    let worst = expected.tensors.keys().map(|tensor| gap(tensor)).fold(0.0, f64::max);
    println!("{name}: final adapter differs by {worst:.1e}");
    assert!(worst <= last, "{name}: final adapter differs by {worst}");
}

const SFT: &[(&str, f64)] = &[
    ("loss", 1e-4),
    ("grad_norm", 1e-3),
    ("learning_rate", 1e-9),
    ("mean_token_accuracy", 1e-6),
    ("entropy", 1e-3),
    ("num_tokens", 0.0),
    ("epoch", 1e-9),
];

const DPO: &[(&str, f64)] = &[
    ("loss", 1e-4),
    ("grad_norm", 1e-3),
    ("learning_rate", 1e-9),
    ("rewards/chosen", 1e-3),
    ("rewards/rejected", 1e-3),
    ("rewards/margins", 1e-3),
    ("rewards/accuracies", 1e-3),
    ("logps/chosen", 1e-3),
    ("logps/rejected", 1e-3),
    ("logits/chosen", 1e-3),
    ("logits/rejected", 1e-3),
    ("mean_token_accuracy", 1e-6),
    ("entropy", 1e-3),
    ("num_tokens", 0.0),
];

#[test]
fn sft_on_completions_agrees_with_trl() {
    check("sft_completion_only", SFT);
}

#[test]
fn sft_on_all_tokens_agrees_with_trl() {
    check("sft_all_tokens", SFT);
}

#[test]
fn sft_with_accumulation_agrees_with_trl() {
    check("sft_grad_accum_8x1", &[("loss", 1e-4), ("grad_norm", 1e-3), ("learning_rate", 1e-9)]);
}

#[test]
fn the_dpo_family_agrees_with_trl() {
    for loss in ["sigmoid", "hinge", "robust", "nca_pair", "sppo_hard", "apo_zero"] {
        check(&format!("dpo_{loss}"), DPO);
    }
    // Small gradients, which AdamW amplifies: compared in float64.
    for loss in ["ipo", "sigmoid_norm"] {
        check_double(&format!("dpo_{loss}"));
    }
}

#[test]
fn kto_agrees_with_trl() {
    let figures = ["kl", "rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "logps/rejected"];
    let mut all: Vec<(&str, f64)> = figures.map(|figure| (figure, 1e-3)).to_vec();
    all.extend([("loss", 1e-4), ("grad_norm", 1e-3), ("entropy", 1e-3), ("num_tokens", 0.0)]);
    all.extend([("logits/chosen", 1e-3), ("logits/rejected", 1e-3)]);
    check("kto", &all);
}

const WITHOUT_REFERENCE: &[(&str, f64)] = &[
    ("loss", 1e-4),
    ("grad_norm", 1e-3),
    ("learning_rate", 1e-9),
    ("rewards/chosen", 1e-3),
    ("rewards/rejected", 1e-3),
    ("rewards/margins", 1e-3),
    ("rewards/accuracies", 1e-3),
    ("logps/chosen", 1e-3),
    ("logps/rejected", 1e-3),
    ("nll_loss", 1e-4),
];

#[test]
fn simpo_agrees_with_trl() {
    check("simpo", WITHOUT_REFERENCE);
}

#[test]
fn orpo_agrees_with_trl() {
    let odds = [("log_odds_ratio", 1e-4), ("log_odds_chosen", 1e-4)];
    check("orpo", &[WITHOUT_REFERENCE, &odds].concat());
}

#[test]
fn reward_models_agree_with_trl() {
    let figures = ["min_reward", "mean_reward", "max_reward", "accuracy", "margin"].map(|figure| (figure, 1e-3));
    let shared = [("loss", 1e-4), ("grad_norm", 1e-3), ("learning_rate", 1e-9), ("num_tokens", 0.0)];
    check("reward_model", &[&figures[..], &shared].concat());
}
