//! Stages that do not train: each kind carried out through the program, killed in the middle, and refused where it should be.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::server::{Server, wait_for};
use common::{golden, run_file, text};
use serde_json::{Value, json};
use std::path::Path;

/// All kinds, each leaning on what came before.
fn write_file(folder: &Path) -> std::path::PathBuf {
    let source = golden("../../resources/starter/starter");
    let text = format!(
        "title = \"All kinds\"\nmodel = \"model:starter\"\nseed = 3\n\
         [[stage]]\nkind = \"build\"\nbuilder = \"best_of\"\ndataset = \"dataset:alder-bay-questions\"\n\
         scorer = \"oracle\"\nlimit = 40\n[stage.settings]\nanswers = 3\nmax_new_tokens = 32\n\
         [[stage]]\nkind = \"train\"\nmethod = \"dpo\"\ndataset = \"stage:1\"\n[stage.lora]\nr = 2\n[stage.settings]\n\
         max_steps = 2\nper_device_train_batch_size = 4\nlearning_rate = 1e-3\n\
         [[stage]]\nkind = \"evaluate\"\nstacks = [\"stage:2\"]\nlimit = 12\njudges = [\"refusal\"]\n\
         [[stage]]\nkind = \"export\"\nadapter = \"stage:2\"\nform = \"merged\"\n\
         [[stage]]\nkind = \"fetch\"\nsource = \"{}\"\nname = \"a copy\"\n",
        text(&source)
    );
    let path = folder.join("kinds.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// What was printed without identifiers, which differ from run to run.
fn results(printed: &str) -> Vec<String> {
    let own = |word: &&str| !word.starts_with("dataset:") && !word.starts_with("adapter:");
    printed.lines().map(|line| line.split_whitespace().filter(own).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn every_kind_of_stage_is_carried_out_and_gives_the_same_bytes_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path());
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let (status, plan, words) = run_file(&one, &[text(&path), "--check"]);
    assert_eq!(status, Some(0), "{words}");
    let built = plan.lines().find_map(|line| line.strip_prefix("1 build")).unwrap_or_default();
    assert!(built.split_whitespace().nth(1) == Some("40") && plan.contains("5 fetch"), "{plan}");
    assert!(words.contains("stage.1.dataset: An earlier stage makes the rows"), "{words}");

    let (status, first, words) = run_file(&one, &[text(&path)]);
    assert_eq!(status, Some(0), "{words}");
    let found = results(&first);
    for (wanted, lines) in
        [("1 build", 1), ("2 dpo", 1), ("3 evaluate starter_world", 8), ("4 export", 1), ("5 fetch", 1)]
    {
        assert_eq!(found.iter().filter(|line| line.starts_with(wanted)).count(), lines, "{wanted}: {first}");
    }
    let elsewhere = run_file(&two, &[text(&path)]);
    assert_eq!((elsewhere.0, results(&elsewhere.1)), (Some(0), found), "{}", elsewhere.2);

    let server = Server::start(&one);
    let sets = server.ok("list_datasets", json!({}));
    let built = sets.as_array().unwrap().iter().find(|set| set["bundled"] == false).unwrap();
    assert_eq!((&built["kind"], &built["flagged"]), (&json!("pairs"), &json!(true)));
    let models = server.ok("list_models", json!({}));
    let merged = models.as_array().unwrap().iter().find(|model| model["bundled"] == false).unwrap();
    assert_eq!(merged["model"]["name"], "starter + dpo");
    // The copy has the weights of the bundled model, which is listed once.
    assert_eq!(models.as_array().unwrap().len(), 3, "{models}");

    let experiment = server.ok("list_experiments", json!({}))[0]["experiment"]["id"].clone();
    let report = server.ok("get_report", json!({"experiment": experiment, "language": "en"}));
    let markdown = report["markdown"].as_str().unwrap();
    assert!(markdown.contains("1 · Building data") && markdown.contains("5 · Fetching a model"), "{markdown}");
    // Its model goes with the experiment, the built rows stay.
    server.ok("delete_experiment", json!({"id": experiment}));
    assert_eq!(server.ok("list_models", json!({})).as_array().unwrap().len(), 2);
    let rows = server.ok("dataset_rows", json!({"id": built["id"], "offset": 0, "limit": 5}));
    assert_eq!(rows["rows"][0]["kind"], "pair");
}

/// Starts an experiment of one stage and gives the identifier of its run.
fn begin(server: &Server, stage: &Value) -> (String, String) {
    let made = server.ok("create_experiment", json!({"title": "t", "question": "", "stages": [stage]}));
    let id = made["experiment"]["id"].as_str().unwrap().to_owned();
    let started = server.ok("start_experiment", json!({"id": id}));
    (id, started["runs"][0]["id"].as_str().unwrap().to_owned())
}

fn state(server: &Server, run: &str) -> Value {
    server.ok("get_run", json!({"run": run}))["state"].clone()
}

fn events(home: &Path, run: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(home.join("runs").join(run).join("events.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_build_and_an_evaluation_that_were_killed_go_on_and_give_the_same() {
    let build = json!({
        "kind": "build", "builder": "best_of", "model": "model:starter", "dataset": "dataset:alder-bay-questions",
        "scorer": "oracle", "seed": 5, "limit": 300, "settings": {"answers": 6, "max_new_tokens": 64},
    });
    let evaluate = json!({
        "kind": "evaluate", "model": "model:starter", "stacks": [], "judges": ["refusal"], "limit": 200,
    });
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (stage, result) in [(build, "built.jsonl"), (evaluate, "answers.json")] {
        let server = Server::start(whole.path());
        let (_, run) = begin(&server, &stage);
        wait_for("the whole run", || state(&server, &run) == "finished");
        let expected = std::fs::read(whole.path().join("runs").join(&run).join(result)).unwrap();
        let items = |home: &Path, run: &str| {
            let path = home.join("runs").join(run).join("items.jsonl");
            std::fs::read_to_string(path).unwrap_or_default().lines().count()
        };
        let all = items(whole.path(), &run);
        drop(server);

        let server = Server::start(cut.path());
        let (id, run) = begin(&server, &stage);
        let mut kills = 0;
        for share in [4, 2] {
            wait_for("some items", || items(cut.path(), &run) > all / share || state(&server, &run) == "finished");
            let pid = events(cut.path(), &run).iter().rev().find_map(|event| event["pid"].as_u64());
            if state(&server, &run) == "finished" {
                break;
            }
            std::process::Command::new("kill").args(["-9", &pid.unwrap().to_string()]).status().unwrap();
            wait_for("the interruption", || {
                let state = state(&server, &run);
                state == "interrupted" || state == "finished"
            });
            kills += 1;
            if state(&server, &run) == "interrupted" {
                server.ok("start_experiment", json!({"id": id}));
            }
        }
        wait_for("the end", || state(&server, &run) == "finished");
        assert!(kills > 0, "{result}: it was over before it could be killed");
        assert!(std::fs::read(cut.path().join("runs").join(&run).join(result)).unwrap() == expected, "{result}");
        // Nothing was answered twice but what a kill cut off.
        assert_eq!(items(cut.path(), &run), all, "{result}");
    }
}

#[test]
fn what_does_not_go_together_is_told_at_its_field() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let build = json!({
        "kind": "build", "builder": "best_of", "model": "model:starter", "dataset": "dataset:alder-bay-questions",
        "scorer": "oracle",
    });
    let train = json!({
        "kind": "train", "method": "dpo", "model": "model:starter", "dataset": "stage:1", "seed": 1, "settings": {},
    });
    let evaluate = json!({"kind": "evaluate", "model": "model:starter", "stacks": ["stage:1"]});
    let export = json!({"kind": "export", "model": "model:starter", "adapter": "stage:2"});
    let with = |stage: &Value, key: &str, value: Value| {
        let mut stage = stage.clone();
        stage[key] = value;
        stage
    };
    for (stages, field) in [
        (json!([with(&build, "builder", json!("best_off"))]), "stage.0.builder"),
        (json!([with(&build, "settings", json!({"answers": 1}))]), "stage.0.settings.answers"),
        (json!([with(&build, "settings", json!({"answer": 3}))]), "stage.0.settings.answer"),
        (json!([with(&build, "scorer", json!("judge:refusal"))]), "stage.0.scorer"),
        (json!([with(&build, "scorer", json!(null))]), "stage.0.scorer"),
        (json!([with(&build, "limit", json!(0))]), "stage.0.limit"),
        (json!([with(&build, "dataset", json!("dataset:nothing"))]), "stage.0.dataset"),
        (json!([with(&build, "model", json!("model:nothing"))]), "stage.0.model"),
        (json!([with(&build, "adapter", json!("stage:1"))]), "stage.0.adapter"),
        (json!([with(&build, "builder", json!("sample")), train]), "stage.1.dataset"),
        (json!([build, with(&train, "dataset", json!("stage:2"))]), "stage.1.dataset"),
        (json!([build, with(&train, "adapter", json!("stage:1"))]), "stage.1.adapter"),
        (json!([build, evaluate]), "stage.1.stacks.0"),
        (json!([with(&evaluate, "stacks", json!(["model:starter"]))]), "stage.0.stacks.0"),
        (json!([with(&evaluate, "suite", json!("nothing"))]), "stage.0.suite"),
        (json!([with(&evaluate, "suite", json!("held_out_rows"))]), "stage.0.dataset"),
        (json!([with(&evaluate, "judges", json!(["nothing"]))]), "stage.0.judges"),
        (json!([with(&evaluate, "dataset", json!("stage:4"))]), "stage.0.dataset"),
        (json!([export]), "stage.0.adapter"),
        (json!([json!({"kind": "fetch", "source": "/nowhere"})]), "stage.0.source"),
    ] {
        let checked = server.ok("check_pipeline", json!({"stages": stages}));
        let fields: Vec<&Value> = checked["problems"].as_array().unwrap().iter().map(|p| &p["field"]).collect();
        assert!(fields.contains(&&json!(field)), "{field}: {checked}");
    }
    let ready = server
        .ok("check_pipeline", json!({"stages": [build, train, with(&evaluate, "stacks", json!(["stage:2"])), export]}));
    assert_eq!((&ready["ready"], &ready["problems"]), (&json!(true), &json!([])), "{ready}");
    assert_eq!(ready["stages"].as_array().unwrap().len(), 3);
}

#[test]
fn a_model_with_other_weights_than_asked_for_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let source = golden("../../resources/starter/starter");
    let fetch = json!({"kind": "fetch", "source": text(&source), "sha256": "ab".repeat(32)});
    let (_, run) = begin(&server, &fetch);
    wait_for("the refusal", || state(&server, &run) == "failed");
    let problem = server.ok("get_run", json!({"run": run}))["problem"].clone();
    assert_eq!(problem["field"], "sha256", "{problem}");
    assert_eq!(server.ok("list_models", json!({})).as_array().unwrap().len(), 2);
}

#[test]
fn a_build_that_is_paused_goes_on_and_one_that_is_stopped_keeps_its_rows() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let build = json!({
        "kind": "build", "builder": "sample", "model": "model:starter", "dataset": "dataset:alder-bay-questions",
        "settings": {"temperature": 1.0, "max_new_tokens": 96},
    });
    let (id, run) = begin(&server, &build);
    let made = |events: &[Value]| events.iter().filter(|event| event["kind"] == "item").count();
    wait_for("some items", || made(&events(home.path(), &run)) > 3);
    server.ok("pause_run", json!({"run": run}));
    wait_for("the pause", || state(&server, &run) == "paused");
    server.ok("start_experiment", json!({"id": id}));
    let earlier = made(&events(home.path(), &run));
    wait_for("more items", || made(&events(home.path(), &run)) > earlier);
    server.ok("stop_run", json!({"run": run}));
    wait_for("the stop", || state(&server, &run) == "stopped");
    let view = server.ok("get_run", json!({"run": run}));
    let rows = view["artifacts"][0]["rows"].as_u64().unwrap();
    assert!(rows > 3 && rows < 1_800, "{view}");
    wait_for("the data set", || {
        let sets = server.ok("list_datasets", json!({}));
        sets.as_array().unwrap().iter().any(|set| set["id"] == json!(run) && set["summary"]["kept"] == json!(rows))
    });
}

#[test]
fn a_stage_works_on_the_model_that_an_earlier_one_brought_or_merged() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let source = golden("../../resources/starter/starter");
    let train = |model: &str| {
        json!({
            "kind": "train", "method": "sft", "model": model, "dataset": "dataset:alder-bay-answers", "seed": 1,
            "lora": {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0},
            "settings": {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 1e-3},
        })
    };
    let stages = json!([
        {"kind": "fetch", "source": text(&source)},
        train("stage:1"),
        {"kind": "export", "model": "stage:1", "adapter": "stage:2", "form": "merged"},
        {"kind": "evaluate", "model": "stage:3", "stacks": [], "limit": 4},
    ]);
    let checked = server.ok("check_pipeline", json!({"stages": stages}));
    let fields: Vec<&Value> = checked["warnings"].as_array().unwrap().iter().map(|note| &note["field"]).collect();
    assert_eq!(checked["problems"], json!([]));
    assert_eq!(fields, ["stage.1.model", "stage.2.model", "stage.3.model"]);
    for (wrong, number) in [("stage:2", 1), ("stage:9", 1), ("stage:1", 0)] {
        let mut others = stages.clone();
        others[number] = train(wrong);
        let problems = server.ok("check_pipeline", json!({"stages": others}))["problems"].clone();
        assert_eq!(problems[0]["field"], format!("stage.{number}.model"), "{wrong}: {problems}");
    }
    let made = server.ok("create_experiment", json!({"title": "t", "question": "", "stages": stages}));
    let id = made["experiment"]["id"].clone();
    server.ok("start_experiment", json!({"id": id}));
    wait_for("all stages", || {
        let summary = server.ok("get_experiment", json!({"id": id}));
        assert_ne!(summary["state"], "failed", "{summary}");
        summary["state"] == "finished"
    });
    let summary = server.ok("get_experiment", json!({"id": id}));
    let runs = summary["runs"].as_array().unwrap();
    // The fetched model is the bundled one; the merged one is new.
    assert_eq!(runs[1]["work"]["model"], "model:starter");
    assert_eq!(runs[3]["work"]["model"], format!("model:{}", runs[2]["id"].as_str().unwrap()));
    assert_eq!(runs[3]["evaluations"][0]["suite"], "starter_world");
    server.ok("get_report", json!({"experiment": id, "language": "en"}));
}
