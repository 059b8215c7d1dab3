//! Tests of reports: what a finished experiment keeps when its data set and its model are removed, and how time is told apart.

use super::stages::PhaseClock;
use crate::Studio;
use crate::runs::after_power_cut::finished;
use crate::testing::{House, import, queued};
use alidade_domain::{
    Better, Estimate, Experiment, Measure, MeasureWords, ModelSource, Problem, ProblemCode, RunState, Stage, Words,
};
use alidade_store::{DatasetRecord, ModelRecord, RunRecord};
use std::path::Path;

/// A finished experiment on a data set and a model that the person added, with a rate that rose.
fn done(house: &House, studio: &Studio) -> (String, RunRecord) {
    let set = import(studio).id;
    let mut model = studio.bundled[0].clone();
    (model.model.id, model.model.name, model.bundled) = ("m".to_owned(), "my model".to_owned(), false);
    studio.store.put_document(&model, 1).unwrap();
    let mut run = queued(studio, "a", &set, 1);
    let mut recipe = run.work.recipe().unwrap().clone();
    recipe.model = ModelSource::Stored("m".to_owned());
    run.work = Stage::Train(recipe);
    studio.store.put_run(&run).unwrap();
    let experiment = studio.store.experiment("a").unwrap();
    studio.store.put_experiment(&Experiment { stages: vec![run.work.clone()], ..experiment }).unwrap();
    finished(house, studio, &run);
    let mut run = studio.store.run("a").unwrap();
    let estimate = |value: f64| Some(Estimate { value, low: value - 0.02, high: value + 0.02, n: 40, unreadable: 0 });
    let title = Words::new("good answers", "合格回答").into();
    run.evaluations[0].measures = vec![Measure {
        key: "good".to_owned(),
        unit: "rate".to_owned(),
        better: Better::Higher,
        words: MeasureWords { title, ..MeasureWords::default() },
        values: vec![estimate(0.4), estimate(0.9)],
        changes: vec![None, estimate(0.5)],
    }];
    studio.store.put_run(&run).unwrap();
    (set, run)
}

/// What the report says in both languages.
fn said(studio: &Studio) -> [String; 2] {
    ["en", "zh"].map(|language| {
        let view = studio.get_report("a", language).unwrap();
        assert!(view.html.contains("my model") && !view.html.contains("<script"), "{}", view.html);
        view.markdown.replace('\u{a0}', " ")
    })
}

#[test]
fn a_report_outlives_its_data_set_and_its_model() {
    let house = House::new();
    let studio = house.open();
    let (set, run) = done(&house, &studio);
    let whole = said(&studio);
    for wanted in ["90 % of its answers are good, instead of 40 %.", "my model, ", "own: 3", "kind = \"train\"", &set] {
        assert!(whole[0].contains(wanted), "{wanted}: {}", whole[0]);
    }
    assert!(whole[1].contains("合格回答从 40% 变为 90%") && whole[1].contains("条留出"), "{}", whole[1]);
    studio.remove_dataset(&set).unwrap();
    studio.remove_model("m").unwrap();
    assert_eq!(said(&studio), whole);
    let place = house.path().join("report.md");
    let handle = studio.hand_out(place.clone());
    studio.save_report("a", "markdown", "zh", &handle).unwrap();
    assert_eq!(std::fs::read_to_string(&place).unwrap().replace('\u{a0}', " "), whole[1]);

    // In a data folder of an earlier version, even the records are gone.
    studio.store.delete_document::<DatasetRecord>(&set).unwrap();
    studio.store.delete_document::<ModelRecord>("m").unwrap();
    let left = said(&studio);
    assert!(left[0].contains("90 % of its answers are good") && left[0].contains("a data set that was removed: 3"));
    assert!(left[0].contains("cannot be written any more") && left[1].contains("已移除的数据集"), "{}", left[0]);
    assert_eq!(run.state, RunState::Finished);
}

#[test]
fn a_report_asks_for_what_exists() {
    let house = House::new();
    let studio = house.open();
    queued(&studio, "a", &import(&studio).id, 1);
    let fault = |problem: Problem| (problem.code, problem.field.unwrap_or_default());
    let wrong = studio.get_report("a", "fr").unwrap_err();
    assert_eq!(fault(wrong), (ProblemCode::Input, "language".to_owned()));
    assert_eq!(fault(studio.get_report("b", "en").unwrap_err()).0, ProblemCode::NotFound);
    let handle = studio.hand_out(Path::new("/nowhere/report.pdf").to_owned());
    let wrong = studio.save_report("a", "pdf", "en", &handle).unwrap_err();
    assert_eq!(fault(wrong), (ProblemCode::Input, "format".to_owned()));
    // Nothing ran yet.
    assert!(studio.get_report("a", "en").unwrap().markdown.contains("Nothing was measured yet."));
}

#[test]
fn time_is_told_apart_by_phase_and_waiting_is_no_work() {
    let mut clock = PhaseClock::default();
    for (at_ms, kind) in [
        (1_000, "\"queued\""),
        (60_000, "\"started\""),
        (61_000, "\"stage\",\"phase\":\"training\""),
        (65_000, "\"step\",\"step\":1"),
        (66_000, "\"stage\",\"phase\":\"evaluating\""),
        (96_000, "\"stage\",\"phase\":\"saving\""),
        (97_000, "\"paused\""),
        (500_000, "\"started\""),
        (900_000, "\"step\",\"step\":2"),
        (901_000, "\"finished\""),
        (999_000, "\"warning\""),
    ] {
        clock.pass(&format!("{{\"at_ms\":{at_ms},\"kind\":{kind}}}"));
    }
    clock.pass("nonsense");
    assert_eq!((clock.working, clock.comparing), (8_000, 30_000));
}
