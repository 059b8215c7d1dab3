//! The table as a host meets it: every command answers, nonsense is refused, and the types in the UI are the ones of today.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use alidade_api::{COMMANDS, STREAMS, call, readme_tables, stream, typescript};
use alidade_domain::ProblemCode;
use alidade_studio::{Configuration, Studio};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn studio(home: &tempfile::TempDir) -> Arc<Studio> {
    let program = PathBuf::from("/nonexistent/alidade");
    let configuration =
        Configuration { home: home.path().to_owned(), resources: root().join("resources"), program, threads: 1 };
    Studio::open(configuration).unwrap()
}

/// A file that follows from the table: written anew when that is wished for, else compared.
fn fresh(file: &str, wanted: impl Fn(&str) -> String) {
    let path = root().join(file);
    let stored = std::fs::read_to_string(&path).unwrap();
    let wanted = wanted(&stored);
    if std::env::var_os("UPDATE_TYPES").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    } else {
        assert!(stored == wanted, "{file} is stale: run UPDATE_TYPES=1 cargo test -p alidade-api");
    }
}

#[test]
fn the_types_of_the_ui_are_fresh() {
    fresh("ui/src/backend/types.ts", |_| typescript());
}

#[test]
fn the_tables_of_the_readme_are_fresh() {
    const MARK: &str = "<!-- The tables are generated from the code. -->\n\n";
    fresh("crates/api/README.md", |text| {
        let (before, rest) = text.split_once(MARK).unwrap();
        let (_, after) = rest.split_once("\n<!-- End of the tables. -->").unwrap();
        format!("{before}{MARK}{}\n<!-- End of the tables. -->{after}", readme_tables())
    });
}

#[test]
fn no_request_makes_a_command_panic() {
    let home = tempfile::tempdir().unwrap();
    let studio = studio(&home);
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!({"id": 7}),
        json!({"id": "../../etc"}),
        json!({"run": "nope", "after": 0}),
        json!({"handle": "/etc/passwd", "name": null}),
    ];
    for command in COMMANDS.iter() {
        for request in &odd {
            let _ = call(&studio, command.name, request.clone());
        }
    }
    for entry in STREAMS.iter() {
        for request in &odd {
            let _ = stream(&studio, entry.name, request.clone(), &mut |_| true);
        }
    }
    let problem = call(&studio, "list_experimnts", json!({})).unwrap_err();
    assert_eq!((problem.code, problem.hints[0].en.as_str()), (ProblemCode::NotFound, "Did you mean list_experiments?"));
}

#[test]
fn a_request_that_does_not_fit_names_the_field() {
    let home = tempfile::tempdir().unwrap();
    let studio = studio(&home);
    for (name, request, word) in [
        ("get_run", json!({}), "missing field `run`"),
        ("get_run", json!({"run": "a", "id": "b"}), "unknown field `id`"),
        ("list_runs", json!({"newest": true}), "unknown field `newest`"),
    ] {
        let problem = call(&studio, name, request).unwrap_err();
        assert!(problem.code == ProblemCode::Input && problem.message.en.contains(word), "{}", problem.message.en);
    }
}

#[test]
fn a_path_is_no_handle() {
    let home = tempfile::tempdir().unwrap();
    let studio = studio(&home);
    let problem = call(&studio, "import_dataset", json!({"handle": "/etc/passwd", "name": null})).unwrap_err();
    assert_eq!(problem.field.as_deref(), Some("handle"));
}

#[test]
fn the_bundled_pipeline_is_ready_and_faults_name_their_field() {
    let home = tempfile::tempdir().unwrap();
    let studio = studio(&home);
    let mut pipeline = pipeline(&studio);
    let checked = call(&studio, "check_pipeline", json!({"stages": pipeline})).unwrap();
    assert_eq!(checked["ready"], Value::Bool(true), "{checked}");
    assert_eq!(checked["stages"].as_array().unwrap().len(), 2);
    pipeline[1]["settings"]["learning_rte"] = json!(1);
    pipeline[0]["dataset"] = json!("dataset:nothing");
    let checked = call(&studio, "check_pipeline", json!({"stages": pipeline})).unwrap();
    let fields: Vec<&str> =
        checked["problems"].as_array().unwrap().iter().filter_map(|problem| problem["field"].as_str()).collect();
    assert_eq!(fields, ["stage.0.dataset", "stage.1.settings.learning_rte"], "{checked}");
}

/// The stages of the ready-made pipeline that everybody meets first.
fn pipeline(studio: &Studio) -> Value {
    let presets = call(studio, "list_presets", json!({})).unwrap();
    presets.as_array().unwrap().iter().find(|preset| preset["id"] == "kind_and_true").unwrap()["stages"].clone()
}

#[test]
fn a_plan_is_told_as_it_is_made_and_given_up_when_nobody_listens() {
    let home = tempfile::tempdir().unwrap();
    let studio = studio(&home);
    let pipeline = pipeline(&studio);
    let heard = stream(&studio, "plan_pipeline", json!({"stages": pipeline}), &mut |_| false);
    assert_eq!(heard.unwrap_err().code, ProblemCode::Conflict);
    let mut news = Vec::new();
    let request = json!({"stages": pipeline});
    stream(&studio, "plan_pipeline", request.clone(), &mut |message| {
        news.push(message);
        true
    })
    .unwrap();
    let last = news.pop().unwrap();
    assert_eq!((last["kind"].as_str(), last["checked"]["ready"].as_bool()), (Some("checked"), Some(true)), "{last}");
    assert!(news.iter().any(|message| message["doing"] == "measuring"), "{news:?}");
    // What was measured is known, to this program and to the next one on this machine.
    let mut messages = 0;
    stream(&studio, "plan_pipeline", request, &mut |_| {
        messages += 1;
        true
    })
    .unwrap();
    assert_eq!(messages, 1);
    assert!(home.path().join("paces.json").is_file());
}

#[test]
fn figures_of_a_stage_name_it_whatever_is_wrong_with_the_others() {
    let home = tempfile::tempdir().unwrap();
    let studio = studio(&home);
    let mut pipeline = pipeline(&studio);
    pipeline[0]["settings"]["learning_rate"] = json!("fast");
    let checked = call(&studio, "check_pipeline", json!({"stages": pipeline})).unwrap();
    let stages = checked["stages"].as_array().unwrap();
    assert_eq!((stages.len(), &stages[0]["stage"], &stages[0]["method"]), (1, &json!(1), &json!("dpo")), "{checked}");
}

#[test]
fn a_stage_of_no_step_is_not_ready_and_few_steps_are_told_at_the_setting_that_says_so() {
    let home = tempfile::tempdir().unwrap();
    let studio = studio(&home);
    let mut pipeline = pipeline(&studio);
    pipeline[0]["settings"]["num_train_epochs"] = json!(0);
    pipeline[1]["settings"]["max_steps"] = json!(2);
    let checked = call(&studio, "check_pipeline", json!({"stages": pipeline})).unwrap();
    assert_eq!(checked["ready"], Value::Bool(false));
    let (problem, warning) = (&checked["problems"][0], &checked["warnings"][0]);
    assert_eq!(problem["field"], "stage.0.settings.num_train_epochs", "{checked}");
    assert!(problem["message"]["en"].as_str().unwrap().contains("no step would be taken"));
    assert_eq!(
        (&warning["field"], &warning["hints"][0]["en"]),
        (&json!("stage.1.settings.max_steps"), &json!("Raise it."))
    );
    assert!(warning["message"]["en"].as_str().unwrap().starts_with("max_steps is 2:"), "{checked}");
}
