//! Experiments through the server, as the window makes them: stages that lean on what other experiments have made.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::server::{Server, wait_for};
use common::{hostile, run_file, text};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A stage of two steps on the bundled model.
fn stage(method: &str, dataset: &str, more: &Value) -> Value {
    let settings = json!({"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 1e-3});
    let mut recipe = json!({
        "method": method, "model": "model:starter", "dataset": format!("dataset:{dataset}"), "seed": 7, "settings": settings,
    });
    recipe.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    recipe
}

fn lora() -> Value {
    json!({"r": 2, "lora_alpha": 4, "lora_dropout": 0.0})
}

fn make(server: &Server, pipeline: &Value) -> String {
    let made = server.ok("create_experiment", json!({"title": "t", "question": "", "stages": pipeline}));
    made["experiment"]["id"].as_str().unwrap().to_owned()
}

/// Starts an experiment, waits for its end and gives its runs.
fn finish(server: &Server, id: &str) -> Vec<Value> {
    server.ok("start_experiment", json!({"id": id}));
    wait_for("the experiment", || {
        let state = server.ok("get_experiment", json!({"id": id}))["state"].clone();
        assert_ne!(state, "failed", "{}", server.ok("get_experiment", json!({"id": id})));
        state == "finished"
    });
    server.ok("get_experiment", json!({"id": id}))["runs"].as_array().unwrap().clone()
}

#[test]
fn an_experiment_goes_on_with_what_another_has_made() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let sft = stage("sft", "alder-bay-answers", &json!({"lora": lora()}));
    let rewards = stage("reward_model", "alder-bay-comparisons", &json!({"lora": lora()}));
    let first = make(&server, &json!([sft, rewards]));
    let runs = finish(&server, &first);
    let (policy, scorer) = (runs[0]["id"].as_str().unwrap(), runs[1]["id"].as_str().unwrap());

    let check = |more: &Value| server.ok("check_pipeline", json!({"stages": [stage("dpo", "alder-bay-pairs", more)]}));
    let faults = |adapter: &str| check(&json!({"adapter": adapter}))["problems"].clone();
    for wrong in [format!("adapter:{scorer}"), "adapter:nobody".to_owned(), "stage:1".to_owned(), "stage:x".to_owned()]
    {
        assert_eq!(faults(&wrong)[0]["field"], "stage.0.adapter", "{wrong}: {}", faults(&wrong));
    }
    let from_scratch = check(&json!({"lora": lora()}));
    let adapter = format!("adapter:{policy}");
    let going_on = check(&json!({"adapter": adapter}));
    assert_eq!(going_on["problems"], json!([]));
    // The shape comes from the adapter of the other experiment.
    let trainable = |checked: &Value| checked["stages"][0]["trainable_parameters"].clone();
    assert_eq!(trainable(&going_on), trainable(&from_scratch));

    let second = make(&server, &json!([stage("dpo", "alder-bay-pairs", &json!({"adapter": adapter}))]));
    let runs = finish(&server, &second);
    assert_eq!(runs[0]["adapter"]["name"], "sft + dpo");
    assert_eq!(
        runs[0]["evaluations"][0]["stacks"][0]["label"].as_str().unwrap().split(" · ").next(),
        Some("starter + sft")
    );
}

#[test]
fn answers_are_rated_by_a_reward_model_of_another_experiment() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let first = make(&server, &json!([stage("reward_model", "alder-bay-comparisons", &json!({"lora": lora()}))]));
    let scorer = finish(&server, &first)[0]["id"].as_str().unwrap().to_owned();
    let ppo = |reward: &str| {
        let mut recipe = stage("ppo", "alder-bay-questions", &json!({"lora": lora(), "reward": reward}));
        recipe["settings"]["response_length"] = json!(6);
        json!([recipe])
    };
    let problems = server.ok("check_pipeline", json!({"stages": ppo("judge:exact")}))["problems"].clone();
    assert_eq!(problems[0]["field"], "stage.0.reward", "{problems}");
    let second = make(&server, &ppo(&format!("adapter:{scorer}")));
    assert_eq!(finish(&server, &second).len(), 1);
}

/// An experiment file of two stages on a model and rows beside it.
fn write_file(folder: &Path) -> PathBuf {
    let row = |i: usize| format!("{{\"prompt\": \"What is {i}?\", \"completion\": \"It is {i}.\"}}\n");
    std::fs::write(folder.join("rows.jsonl"), (0..40).map(row).collect::<String>()).unwrap();
    let pair =
        |i: usize| format!("{{\"prompt\": \"What is {i}?\", \"chosen\": \"It is {i}.\", \"rejected\": \"No.\"}}\n");
    std::fs::write(folder.join("pairs.jsonl"), (0..40).map(pair).collect::<String>()).unwrap();
    hostile::model(folder, "m");
    let settings = "max_steps = 3\nlearning_rate = 1e-3\nper_device_train_batch_size = 4";
    let text = format!(
        "title = \"Two stages\"\nmodel = \"m\"\nseed = 3\n\n[[stage]]\nkind = \"train\"\nmethod = \"sft\"\n\
         dataset = \"rows.jsonl\"\n[stage.lora]\nr = 2\n[stage.settings]\n{settings}\n\n[[stage]]\nkind = \"train\"\n\
         method = \"dpo\"\ndataset = \"pairs.jsonl\"\nadapter = \"stage:1\"\n[stage.settings]\n{settings}\n"
    );
    let path = folder.join("experiment.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// The hashes of the adapters that a run of a file names.
fn hashes(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.split_whitespace().last()).collect()
}

#[test]
fn a_file_is_checked_carried_out_and_gives_the_same_bytes_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path());
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let (status, plan, words) = run_file(&one, &[text(&path), "--check"]);
    assert_eq!(status, Some(0), "{words}");
    let steps = |stage: &str| plan.lines().find_map(|line| line.strip_prefix(stage)?.split_whitespace().next());
    assert_eq!((steps("1 sft"), steps("2 dpo")), (Some("3"), Some("3")), "{plan}");

    let (status, first, words) = run_file(&one, &[text(&path)]);
    assert_eq!(status, Some(0), "{words}");
    assert_eq!(hashes(&first).len(), 2, "{first}");
    let again = run_file(&one, &[text(&path)]);
    assert_eq!((again.0, hashes(&again.1)), (Some(0), hashes(&first)), "{}", again.2);
    let elsewhere = run_file(&two, &[text(&path)]);
    assert_eq!((elsewhere.0, hashes(&elsewhere.1)), (Some(0), hashes(&first)), "{}", elsewhere.2);
    // The rows were kept once, whatever the number of runs.
    let server = Server::start(&one);
    let sets = server.ok("list_datasets", json!({}));
    assert_eq!(sets.as_array().unwrap().iter().filter(|set| set["bundled"] == false).count(), 2);

    let wrong = std::fs::read_to_string(&path).unwrap().replace("adapter = \"stage:1\"", "adapter = \"stage:2\"");
    std::fs::write(&path, wrong).unwrap();
    let (status, _, words) = run_file(&one, &[text(&path), "--check"]);
    assert_eq!(status, Some(2), "{words}");
    assert!(words.contains("stage.1.adapter"), "{words}");
}

#[test]
fn an_experiment_saved_as_a_file_opens_elsewhere_and_says_where_it_differs() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let stages = json!([stage("sft", "alder-bay-answers", &json!({"lora": lora()}))]);
    let id = make(&server, &stages);
    let file = server.ok("experiment_file", json!({"id": id}));
    let file = file.as_str().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Server::start(elsewhere.path());
    let open = |text: &str| {
        let handle = other.upload("shared.toml", text.as_bytes());
        other.call("open_experiment_file", json!({"handle": handle}))
    };
    let (status, opened) = open(file);
    assert_eq!(status, 200, "{opened}");
    assert_eq!(opened["experiment"]["stages"], server.ok("get_experiment", json!({"id": id}))["experiment"]["stages"]);
    assert_eq!(opened["state"], "draft");

    let hash = file.lines().find(|line| line.contains("alder-bay-answers\" =")).unwrap().split('"').nth(3).unwrap();
    let (status, problem) = open(&file.replace(hash, &"0".repeat(64)));
    assert_eq!((status, &problem["field"]), (409, &json!("stage.0.dataset")), "{problem}");
    let (_, problem) = open(&file.replace("model:starter", "/etc/model"));
    assert_eq!(problem["field"], "stage.0.model", "{problem}");
}
