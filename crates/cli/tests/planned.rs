//! Plans of models that the program does not know: made in a child, given up when nobody waits, and never the program's death.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use alidade_domain::{CheckedPipeline, PlanNews, Planning, ProblemCode, Recipe, Stage};
use alidade_studio::{Configuration, Studio};
use common::hostile;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn studio(home: &Path) -> Arc<Studio> {
    let resources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../resources");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_alidade"));
    Studio::open(Configuration { home: home.join("home"), resources, program, threads: 2 }).unwrap()
}

/// A model and forty answers of a stranger, and a stage that learns from them.
fn stage(studio: &Studio, folder: &Path) -> (PathBuf, Recipe) {
    let model = hostile::model(folder, "m");
    let row = |i: usize| {
        format!(
            "{{\"messages\": [{{\"role\": \"user\", \"content\": \"What is {i}?\"}}, {{\"role\": \"assistant\", \"content\": \"It is {i}.\"}}]}}\n"
        )
    };
    let rows = folder.join("rows.jsonl");
    std::fs::write(&rows, (0..40).map(row).collect::<String>()).unwrap();
    let added = studio.add_model(&studio.hand_out(model.clone()), None).unwrap();
    let data = studio.import_dataset(&studio.hand_out(rows), None).unwrap();
    let text = format!("method = \"sft\"\nmodel = \"model:{}\"\ndataset = \"dataset:{}\"", added.model.id, data.id);
    (model, Recipe::from_toml(&text).unwrap())
}

fn check(studio: &Studio, recipe: &Recipe) -> CheckedPipeline {
    studio.check_pipeline(&[Stage::Train(recipe.clone())]).unwrap()
}

#[test]
fn a_plan_is_measured_in_a_child_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let studio = studio(folder.path());
    let (_, recipe) = stage(&studio, folder.path());
    let mut told = Vec::new();
    let checked = studio
        .plan_pipeline(&[Stage::Train(recipe.clone())], &mut |news| {
            if let PlanNews::Working { doing, .. } = news {
                told.push(doing);
            }
            true
        })
        .unwrap();
    assert!(checked.ready, "{:?}", checked.problems);
    assert!(checked.stages[0].seconds > 0.0 && checked.stages[0].comparing_seconds > 0.0);
    assert!(told.contains(&Planning::Measuring), "{told:?}");
    // The next program on this machine measures nothing again.
    let kept = std::fs::read(folder.path().join("home/paces.json")).unwrap();
    drop(studio);
    let again = check(&self::studio(folder.path()), &recipe);
    assert_eq!(
        (again.stages[0].seconds, std::fs::read(folder.path().join("home/paces.json")).unwrap()),
        (checked.stages[0].seconds, kept)
    );
}

#[test]
fn nobody_waits_for_a_plan_that_is_not_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let studio = studio(folder.path());
    let (model, recipe) = stage(&studio, folder.path());
    let endless = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}x";
    std::fs::write(model.join("chat_template.jinja"), endless).unwrap();
    let began = Instant::now();
    let problem =
        studio.plan_pipeline(&[Stage::Train(recipe.clone())], &mut |_| began.elapsed() < Duration::from_secs(1));
    // The template may be refused for its length before the wish is heard; then that is what the plan says.
    match problem {
        Err(problem) => assert_eq!(problem.code, ProblemCode::Conflict, "{problem:?}"),
        Ok(checked) => assert!(!checked.ready),
    }
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_template_that_kills_its_reader_is_a_fault_of_its_stage() {
    let folder = tempfile::tempdir().unwrap();
    let studio = studio(folder.path());
    let (model, recipe) = stage(&studio, folder.path());
    let mut faults = 0;
    for (name, template) in hostile::deep().into_iter().take(2).chain(hostile::wide().into_iter().take(2)) {
        std::fs::write(model.join("chat_template.jinja"), template).unwrap();
        let checked = check(&studio, &recipe);
        faults += usize::from(!checked.ready);
        // What reads it within its bounds may go on; what does not ends without this program.
        let field = checked.problems.first().and_then(|problem| problem.field.clone()).unwrap_or_default();
        assert!(checked.ready || field.starts_with("stage.0."), "{name}: {:?}", checked.problems);
    }
    assert!(faults > 0, "none of them was a fault");
}
