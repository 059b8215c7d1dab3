//! Experiments through the server, as the window makes them: stages that lean on what other experiments have made.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::server::{Server, wait_for};
use serde_json::{Value, json};

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
    assert_eq!(runs[0]["evaluation"]["before_stack"].as_str().unwrap().split(" · ").next(), Some("starter + sft"));
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
