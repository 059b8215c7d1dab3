//! Runs of hundreds of thousands of steps: what is read of them and sent costs a page of memory, and no event is lost. Alone in
//! its process, whose highest mark is what is measured.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(target_os = "linux")]

use alidade_api::{call, stream};
use alidade_domain::{EventKind, Experiment, Recipe, RunEvent, Stage};
use alidade_store::{RunRecord, Store};
use alidade_studio::{Configuration, Studio};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const STEPS: u64 = 200_000;
/// A page as records, as values and as text.
const GROWTH: u64 = 24 << 20;

fn studio(home: &Path) -> Arc<Studio> {
    let resources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../resources");
    let program = PathBuf::from("/nonexistent/alidade");
    Studio::open(Configuration { home: home.to_owned(), resources, program, threads: 1 }).unwrap()
}

fn step(step: u64) -> EventKind {
    let names = ["loss", "grad_norm", "learning_rate", "mean_token_accuracy", "entropy", "num_tokens"];
    let metrics = names.iter().map(|name| ((*name).to_owned(), step as f64 / 7.0)).collect::<BTreeMap<_, _>>();
    EventKind::Step { step, total: STEPS, metrics, tokens_per_second: 1.5, seconds_left: 2.5 }
}

/// A finished run of many steps.
fn long_run(home: &Path) {
    let store = Store::open(&home.join("alidade.db")).unwrap();
    let text = "method = \"sft\"\nmodel = \"model:starter\"\ndataset = \"dataset:alder-bay-answers\"";
    let work = Stage::Train(Recipe::from_toml(text).unwrap());
    let (id, title, question) = ("e".to_owned(), "long".to_owned(), String::new());
    store.put_experiment(&Experiment::new(id, title, question, vec![work.clone()], 1)).unwrap();
    store.put_run(&RunRecord::new("r".to_owned(), "e".to_owned(), 0, work, 1)).unwrap();
    let end = EventKind::Finished { steps: STEPS, artifacts: Vec::new() };
    let mut kinds = (1..=STEPS).map(step).chain([end]);
    let mut sequence = 0;
    loop {
        let event = |kind| {
            sequence += 1;
            RunEvent { run: "r".to_owned(), sequence, at_ms: sequence, kind }
        };
        let some: Vec<RunEvent> = kinds.by_ref().take(5_000).map(event).collect();
        if some.is_empty() {
            return;
        }
        store.take_events("r", &some, sequence).unwrap();
    }
}

/// How far the process grows during some work.
fn grown(work: impl FnOnce()) -> u64 {
    let status = |key: &str| -> u64 {
        let text = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    };
    let before = status("VmRSS:");
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    work();
    status("VmHWM:").saturating_sub(before)
}

#[test]
fn a_run_of_many_steps_is_followed_in_pages() {
    let home = tempfile::tempdir().unwrap();
    let studio = studio(home.path());
    long_run(home.path());
    // Whoever stops listening goes on after the last number that was heard.
    let (mut after, mut last_kind) = (0, Value::Null);
    let growth = grown(|| {
        for most in [1, 30, usize::MAX] {
            let mut messages = 0;
            stream(&studio, "follow_run", json!({"run": "r", "after": after}), &mut |events| {
                let events = events.as_array().unwrap();
                assert!((1..=1_000).contains(&events.len()), "{} events at once", events.len());
                for event in events {
                    assert_eq!(event["sequence"].as_u64(), Some(after + 1));
                    after += 1;
                }
                last_kind = events.last().unwrap()["kind"].clone();
                messages += 1;
                messages < most
            })
            .unwrap();
        }
    });
    assert_eq!((after, &last_kind), (STEPS + 1, &json!("finished")));
    eprintln!("following grows by {:.1} MB", growth as f64 / 1e6);
    assert!(growth < GROWTH, "following a run took {growth} bytes");
    let asked = [("get_run", json!({"run": "r"})), ("list_runs", json!({})), ("get_experiment", json!({"id": "e"}))];
    for (name, request) in asked {
        let growth = grown(|| drop(call(&studio, name, request).unwrap()));
        eprintln!("{name} grows by {:.1} MB", growth as f64 / 1e6);
        assert!(growth < GROWTH, "{name} took {growth} bytes");
    }
    let growth = grown(|| {
        let curve = call(&studio, "run_metric", json!({"run": "r", "name": "loss"})).unwrap();
        assert_eq!(curve.as_array().unwrap().len() as u64, STEPS);
    });
    eprintln!("run_metric grows by {:.1} MB", growth as f64 / 1e6);
}
