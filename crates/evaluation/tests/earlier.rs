//! Files of earlier versions are read as they were, and the results computed from them are the same to the digit.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use alidade_domain::{EvaluatedStack, Evaluation, EventKind, RunEvent};
use alidade_evaluation::{
    HELD_OUT_ROWS, KEPT, Material, Part, Question, STARTER_WORLD, Snapshot, conclude, suite, worded,
};
use serde_json::Value;
use std::path::PathBuf;

fn earlier(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/evaluation/earlier");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn evaluated() -> (Evaluation, Value) {
    let event: RunEvent = serde_json::from_str(&earlier("event.json")).unwrap();
    let EventKind::Evaluated { evaluation } = event.kind else { panic!("another event") };
    (*evaluation, serde_json::from_str::<Value>(&earlier("event.json")).unwrap()["evaluation"].clone())
}

#[test]
fn an_event_of_two_stacks_is_read_as_it_was() {
    let (found, raw) = evaluated();
    let labels: Vec<&str> = found.stacks.iter().map(|stack| stack.label.as_str()).collect();
    assert_eq!(labels, [raw["before_stack"].as_str().unwrap(), raw["after_stack"].as_str().unwrap()]);
    assert_eq!((found.suite.as_str(), found.baseline, found.seed), ("starter world oracle", 0, 20_241));
    let measures = raw["measures"].as_array().unwrap();
    assert_eq!(found.measures.len(), measures.len());
    for (measure, raw) in found.measures.iter().zip(measures) {
        let json = |estimate| serde_json::to_value(estimate).unwrap();
        assert_eq!(measure.key, raw["key"].as_str().unwrap());
        assert_eq!(json(measure.value(0)), raw["before"], "{}", measure.key);
        assert_eq!(json(measure.value(1)), raw["after"], "{}", measure.key);
        assert_eq!(json(measure.change(1)), raw["change"], "{}", measure.key);
        assert_eq!(measure.change(0), None);
        assert_eq!(measure.words.title.en, measure.key, "words were not kept then");
    }
    let samples = raw["samples"].as_array().unwrap();
    assert_eq!(found.samples.len(), samples.len());
    for (sample, raw) in found.samples.iter().zip(samples) {
        assert_eq!(sample.answers[0].text, raw["before"].as_str().unwrap());
        let label = sample.answers[1].label.as_ref().map(|label| label.en.as_str());
        assert_eq!(label, raw["after_label"].as_str());
    }
    assert_eq!(found.worst.len(), raw["worst"].as_array().unwrap().len());
}

#[test]
fn what_was_read_is_written_and_read_again_in_todays_form() {
    let (mut found, _) = evaluated();
    worded(&mut found);
    assert_eq!(found.title.zh, "入门世界裁判");
    assert!(
        found
            .measures
            .iter()
            .all(|measure| measure.words.title.en != measure.key || measure.key == "truthful" || measure.key == "kind")
    );
    let text = serde_json::to_string(&found).unwrap();
    assert!(!text.contains("before_stack"));
    assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), found);
}

#[test]
fn a_measure_that_nobody_declares_keeps_its_own_name() {
    let text =
        earlier("event.json").replace("\"kind\", \"unit\"", "\"x\", \"unit\"").replace("\"truthful\"", "\"brave\"");
    let event: RunEvent = serde_json::from_str(&text).unwrap();
    let EventKind::Evaluated { mut evaluation } = event.kind else { panic!("another event") };
    worded(&mut evaluation);
    assert_eq!(evaluation.measure("brave").unwrap().words.title.en, "brave");
}

#[test]
fn earlier_answers_give_the_figures_that_they_gave() {
    let snapshots = ["before.json", "after.json"].map(|name| serde_json::from_str::<Snapshot>(&earlier(name)).unwrap());
    let (before, _) = evaluated();
    let mut checked = 0;
    for name in [STARTER_WORLD, HELD_OUT_ROWS] {
        let question = Question::new(suite(name).unwrap(), &Material::default(), None, None);
        let part = |snapshot: &'_ Snapshot| snapshot.part(name).unwrap().clone();
        let parts = [part(&snapshots[0]), part(&snapshots[1])];
        let of: Vec<(&EvaluatedStack, &Part)> = snapshots.iter().map(|one| &one.stack).zip(&parts).collect();
        let now = conclude(&question, &[], &of, 0, (KEPT, 0.0));
        for measure in &now.measures {
            let then = before.measure(&measure.key).unwrap();
            assert_eq!((&measure.values, &measure.changes), (&then.values, &then.changes), "{}", measure.key);
            assert_eq!((measure.better, &measure.unit), (then.better, &then.unit));
            checked += 1;
        }
    }
    assert_eq!(checked, before.measures.len());
    assert_eq!(snapshots[0].answers().count(), 200);
    assert_eq!(snapshots[1].answers().filter(|(_, label)| label == &Some("good")).count(), 186);
}
