//! What other programs rely on, and what bad input gets to hear.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use alidade_train::METHODS;
use common::{golden, lines, ok, recipe, refused, run, small, text};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::Path;

#[test]
fn train_writes_adapter_log_and_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = recipe(folder.path(), "sft", "max_steps = 4\nlearning_rate = 1e-3");
    let out = ok(&["train", text(&path), "--json"]);
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().filter(|event| event["kind"] == "step").count(), 4);
    assert_eq!(events.last().unwrap()["kind"], "finished");
    let out = folder.path().join("out");
    let log = lines(&out.join("log.jsonl"));
    assert_eq!(log.iter().map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for key in ["loss", "grad_norm", "learning_rate", "mean_token_accuracy", "num_tokens", "epoch"] {
        assert!(log[0][key].is_number(), "{key}");
    }
    let record: Value = serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["plan"]["settings"]["max_steps"], 4);
    assert_eq!(record["hashes"]["adapter"].as_str().unwrap().len(), 64);
    peft_format(&out.join("adapter"));

    let words = refused(&["train", text(&path)], 2);
    assert!(words.contains("--overwrite"), "{words}");
    ok(&["train", text(&path), "--overwrite"]);
    assert_eq!(lines(&out.join("log.jsonl")).len(), 4);
}

#[test]
fn benchmarks_of_nothing_are_refused() {
    for (option, least) in [("--batch", 1), ("--tokens", 8)] {
        let words = refused(&["bench", "generate", "--model", "nowhere", option, "0"], 2);
        assert!(words.contains(option) && words.contains(&format!("from {least} on")), "{words}");
    }
}

/// What `peft` needs to load a folder.
fn peft_format(folder: &std::path::Path) {
    let config: Value = serde_json::from_slice(&std::fs::read(folder.join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!((config["peft_type"].as_str(), config["task_type"].as_str()), (Some("LORA"), Some("CAUSAL_LM")));
    assert_eq!(config["r"], 4);
    let bytes = std::fs::read(folder.join("adapter_model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for name in tensors.names() {
        assert!(name.starts_with("base_model.model.model.layers.") && name.ends_with(".weight"), "{name}");
        assert!(name.contains(".lora_A.") || name.contains(".lora_B."), "{name}");
    }
}

#[test]
fn each_method_learns_its_toy_task() {
    for method in METHODS {
        // What is read first of a run: a loss that falls, or a figure that rises.
        let (name, key) = (method.name(), method.watch().needs[0]);
        let folder = tempfile::tempdir().unwrap();
        let shared = "max_steps = 40\nlearning_rate = 5e-3\nlr_scheduler_type = \"constant\"\nwarmup_ratio = 0.0";
        ok(&["train", text(&recipe(folder.path(), name, &format!("{shared}\n{}", small(*method))))]);
        let log = lines(&folder.path().join("out/log.jsonl"));
        let mean =
            |part: &[Value]| part.iter().map(|line| line[key].as_f64().unwrap()).sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&log[..4]), mean(&log[36..]));
        let learned = match key {
            "loss" => last < 0.7 * first,
            "rewards/margins" => last > first + 0.5,
            "objective/scores" => last > first + 0.1,
            _ => last > first + 0.05,
        };
        assert!(learned, "{name}: {key} from {first} to {last}");
    }
}

/// With the reward taken for a cost as well, a light price lets the score rise and a heavy one makes it fall; the price
/// rises while the limit is missed and falls while it is kept.
#[test]
fn a_price_on_harm_turns_the_policy() {
    let trained = |own: &str| {
        let folder = tempfile::tempdir().unwrap();
        let shared = "max_steps = 50\nlearning_rate = 4e-3\nlr_scheduler_type = \"constant\"\nkl_coef = 0.0\nmissing_eos_penalty = 0.0";
        let answers = "response_length = 6\nper_device_train_batch_size = 16";
        ok(&["train", text(&recipe(folder.path(), "ppo", &format!("{shared}\n{answers}\n{own}")))]);
        let log = lines(&folder.path().join("out/log.jsonl"));
        let mean = |part: &[Value], key: &str| {
            part.iter().map(|line| line[key].as_f64().unwrap()).sum::<f64>() / part.len() as f64
        };
        assert_eq!(mean(&log, "objective/scores"), mean(&log, "objective/costs"));
        let price = |at: usize| log[at]["objective/lagrange"].as_f64().unwrap();
        (mean(&log[25..], "objective/scores"), price(49) / price(0))
    };
    let (kept, falling) = trained("lagrange_init = 0.01\nlagrange_lr = 0.01\ncost_limit = 100.0");
    let (missed, rising) = trained("lagrange_init = 100.0\nlagrange_lr = 0.0001\ncost_limit = -1.0");
    assert!(falling < 1.0 && rising > 1.0, "prices move by {falling} and {rising}");
    assert!(kept > missed + 0.2, "mean score {kept} at a light price, {missed} at a heavy one");
}

#[test]
fn one_two_and_three_threads_give_the_same_bytes() {
    let train = |method: &str, own: &str, threads: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = recipe(folder.path(), method, &format!("max_steps = 3\nlearning_rate = 1e-3\n{own}"));
        let status =
            common::alidade(&["train", text(&path)]).env("RAYON_NUM_THREADS", threads).output().unwrap().status;
        assert!(status.success());
        let out = folder.path().join("out");
        (
            std::fs::read(out.join("log.jsonl")).unwrap(),
            std::fs::read(out.join("adapter/adapter_model.safetensors")).unwrap(),
        )
    };
    for method in METHODS {
        let (method, own) = (method.name(), &small(*method));
        let one = train(method, own, "1");
        assert!(one == train(method, own, "2"), "{method}: two threads change the result");
        assert!(one == train(method, own, "3"), "{method}: three threads change the result");
        assert!(one == train(method, own, "2"), "{method}: a second run changes the result");
    }
}

#[test]
fn logits_and_generate_agree_with_the_fixtures() {
    let folder = tempfile::tempdir().unwrap();
    let model = golden("models/llama");
    let (adapter, input, output) =
        (model.join("adapter"), model.join("expected.safetensors"), folder.path().join("out.safetensors"));
    let (model, adapter) = (text(&model), text(&adapter));
    let (at, to) = (text(&input), text(&output));
    ok(&["logits", "--model", model, "--adapter", adapter, "--input", at, "--output", to, "--gradients"]);
    let (ours, theirs) = (std::fs::read(&output).unwrap(), std::fs::read(&input).unwrap());
    let (ours, theirs) = (SafeTensors::deserialize(&ours).unwrap(), SafeTensors::deserialize(&theirs).unwrap());
    let floats = |tensors: &SafeTensors, name: &str| -> Vec<f32> {
        let data = tensors.tensor(name).unwrap().data().to_vec();
        data.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    assert_eq!(ours.tensor("logits").unwrap().shape(), theirs.tensor("lora_logits").unwrap().shape());
    let (mine, other) = (floats(&ours, "logits"), floats(&theirs, "lora_logits"));
    let gap = mine.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap <= 1e-4, "logits differ by {gap}");
    assert!((floats(&ours, "loss")[0] - floats(&theirs, "loss")[0]).abs() <= 1e-4);
    let gradients = |tensors: &SafeTensors| tensors.names().iter().filter(|name| name.starts_with("grad.")).count();
    assert_eq!(gradients(&ours), gradients(&theirs));

    let arguments = [
        "generate",
        "--model",
        model,
        "--input",
        at,
        "--max-new-tokens",
        "32",
        "--temperature",
        "0",
        "--ignore-eos",
        "--json",
    ];
    let found: Value = serde_json::from_str(&ok(&arguments)).unwrap();
    let greedy = theirs
        .tensor("greedy")
        .unwrap()
        .data()
        .chunks(8)
        .map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
        .collect::<Vec<_>>();
    assert_eq!(found["ids"][0], Value::from(greedy));

    let rounded = |dtype: &'static str| [&arguments[..], &["--dtype", dtype]].concat();
    for dtype in ["bf16", "q8_0", "q4_0"] {
        let found: Value = serde_json::from_str(&ok(&rounded(dtype))).unwrap();
        assert_eq!(found["ids"][0].as_array().map(Vec::len), Some(32), "{dtype}");
    }
    assert!(refused(&rounded("q5_0"), 2).contains("q8_0"));
}

#[test]
fn import_prints_one_document() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    let rows = "{\"prompt\":\"a?\",\"chosen\":\"b\",\"rejected\":\"c\"}\n{\"prompt\":\"a?\",\"chosen\":\"\",\"rejected\":\"c\"}\n";
    std::fs::write(&file, rows).unwrap();
    let found: Value = serde_json::from_str(&ok(&["check", text(&file), "--json"])).unwrap();
    assert_eq!((found["read"].as_u64(), found["kept"].as_u64()), (Some(2), Some(1)));
    assert_eq!(found["dropped"][0]["rows"], 1);
    assert_eq!(found["dataset"]["issues"][0]["row"], 2);
}

/// A link to a device has no end; reading it must.
#[cfg(unix)]
#[test]
fn files_without_an_end_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (at, endless) = (folder.path(), Path::new("/dev/zero"));
    for entry in std::fs::read_dir(golden("models/llama")).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), at.join(entry.file_name())).unwrap();
    }
    let input = golden("models/llama").join("expected.safetensors");
    let asked = ["generate", "--model", text(at), "--input", text(&input), "--json"];
    ok(&asked);
    std::fs::remove_file(at.join("config.json")).unwrap();
    std::os::unix::fs::symlink(endless, at.join("config.json")).unwrap();
    assert!(refused(&asked, 2).contains("no ordinary file"));
    let output = at.join("out.safetensors");
    let model = golden("models/llama");
    for asked in [
        vec!["train", text(endless)],
        vec!["logits", "--model", text(&model), "--input", text(endless), "--output", text(&output)],
    ] {
        let words = refused(&asked, 2);
        assert!(words.contains("larger than") || words.contains("no ordinary file"), "{words}");
    }
}

#[test]
fn bad_input_says_what_was_found_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let train = |change: &dyn Fn(String) -> String| {
        let path = recipe(at, "sft", "max_steps = 1");
        std::fs::write(&path, change(std::fs::read_to_string(&path).unwrap())).unwrap();
        refused(&["train", text(&path)], 2)
    };
    assert!(train(&|text| text.replace("max_steps", "max_stps")).contains("Did you mean max_steps?"));
    assert!(train(&|text| text.replace("r = 4", "rank = 4")).contains("lora"));
    assert!(train(&|text| text.replace("trl/model", "trl/no-model")).contains("error (model)"));
    assert!(train(&|text| text.replace("max_steps = 1", "learning_rate = -1")).contains("settings.learning_rate"));
    assert!(train(&|text| text.replace("data.jsonl", "none.jsonl")).contains("error (dataset)"));
    std::fs::write(at.join("empty.jsonl"), "").unwrap();
    let empty = format!("{:?}", at.join("empty.jsonl"));
    let swap = |text: String| {
        let line = text.lines().find(|line| line.starts_with("dataset")).unwrap().to_owned();
        text.replace(&line, &format!("dataset = {empty}"))
    };
    assert!(train(&swap).contains("error"), "an empty data set");
    assert!(refused(&["train", text(&at.join("missing.toml"))], 2).contains("missing.toml"));
}

#[test]
fn adapters_that_do_not_belong_are_refused_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let train = |method: &str, line: &str| {
        let path = recipe(folder.path(), method, "max_steps = 1\nwarmup_steps = 0");
        let recipe = std::fs::read_to_string(&path).unwrap().replace("[lora]\nr = 4\nlora_dropout = 0.1\n", "");
        let replaced = |old: &str| line.split(' ').next().is_some_and(|key| !key.is_empty() && old.starts_with(key));
        let kept: Vec<&str> = recipe.lines().filter(|old| !replaced(old)).collect();
        std::fs::write(&path, format!("{line}\n{}", kept.join("\n"))).unwrap();
        refused(&["train", text(&path)], 2)
    };
    let other = golden("models/qwen3/adapter");
    let words = train("sft", &format!("adapter = {other:?}"));
    assert!(words.contains("error (adapter)") && words.contains("another base"), "{words}");
    let words = train("ppo", &format!("reward = {other:?}"));
    assert!(words.contains("error (reward)"), "{words}");
    let plain = golden("trl/adapter_init");
    let words = train("ppo", &format!("reward = {plain:?}"));
    assert!(words.contains("no score head"), "{words}");
    let words = train("sft", "reward = \"oracle\"");
    assert!(words.contains("error (reward)"), "{words}");
    let words = train("dpo", "cost = \"oracle\"");
    assert!(words.contains("error (cost)") && words.contains("use ppo"), "{words}");
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    ok(&["train", text(&recipe(&other, "reward_model", "max_steps = 1\nwarmup_steps = 0"))]);
    let kept = other.join("out/adapter");
    let words = train("ppo", &format!("cost = {kept:?}"));
    assert!(words.contains("error (cost)") && words.contains("would penalise good answers"), "{words}");
}

/// Every weight is trained, the tied embedding included; the result is a model that opens like its base.
#[test]
fn full_training_makes_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "max_steps = 30\nlearning_rate = 3e-3\nlr_scheduler_type = \"constant\"\nwarmup_ratio = 0.0";
    let path = recipe(folder.path(), "sft", settings);
    let full = |method: &str| {
        let text_of = std::fs::read_to_string(&path).unwrap().replace("[lora]\nr = 4\nlora_dropout = 0.1\n", "");
        let text_of = text_of.replace("\"sft\"", &format!("{method:?}")).replace("tuning = \"full\"\n", "");
        std::fs::write(&path, format!("tuning = \"full\"\n{text_of}")).unwrap();
    };
    full("sft");
    ok(&["train", text(&path)]);
    let log = lines(&folder.path().join("out/log.jsonl"));
    let loss = |at: usize| log[at]["loss"].as_f64().unwrap();
    assert!(loss(29) < 0.5 * loss(0), "{} to {}", loss(0), loss(29));
    let model = folder.path().join("out/model");
    ok(&["generate", "--model", text(&model), "--prompt", "The", "--max-new-tokens", "4", "--json"]);
    assert!(!folder.path().join("out/adapter").exists());
    assert!(refused(&["train", text(&path)], 2).contains("already holds a model"));
    let data = std::fs::read_to_string(&path).unwrap().replace("\"sft\"", "\"dpo\"");
    std::fs::write(&path, data.replace("\"out\"", "\"other\"")).unwrap();
    assert!(refused(&["train", text(&path)], 2).contains("error (tuning)"));
}

/// A learned prefix instead of an adapter, and a DoRA adapter with patterns: trained, written, and read again.
#[test]
fn other_adapters_are_trained_from_a_recipe() {
    for (table, kind, tensor) in [
        ("[prefix]\nnum_virtual_tokens = 4", "PREFIX_TUNING", "prompt_embeddings"),
        (
            "[lora]\nr = 4\nuse_dora = true\nuse_rslora = true\nlayers_to_transform = [1]\n[lora.rank_pattern]\nq_proj = 2",
            "LORA",
            "base_model.model.model.layers.1.self_attn.q_proj.lora_magnitude_vector",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let settings = "max_steps = 30\nlearning_rate = 2e-2\nlr_scheduler_type = \"constant\"\nwarmup_ratio = 0.0";
        let path = recipe(folder.path(), "sft", settings);
        let text_of = std::fs::read_to_string(&path).unwrap().replace("[lora]\nr = 4\nlora_dropout = 0.1", table);
        std::fs::write(&path, text_of).unwrap();
        ok(&["train", text(&path)]);
        let log = lines(&folder.path().join("out/log.jsonl"));
        let loss = |at: usize| log[at]["loss"].as_f64().unwrap();
        assert!(loss(29) < loss(0) - 0.15, "{kind}: {} to {}", loss(0), loss(29));
        let adapter = folder.path().join("out/adapter");
        let config: Value =
            serde_json::from_slice(&std::fs::read(adapter.join("adapter_config.json")).unwrap()).unwrap();
        assert_eq!(config["peft_type"], kind);
        let bytes = std::fs::read(adapter.join("adapter_model.safetensors")).unwrap();
        assert!(SafeTensors::deserialize(&bytes).unwrap().names().contains(&tensor), "{kind}");
        let model = golden("trl/model");
        ok(&[
            "generate",
            "--model",
            text(&model),
            "--adapter",
            text(&adapter),
            "--prompt",
            "The",
            "--max-new-tokens",
            "4",
            "--json",
        ]);
    }
}

/// A reward model that fits the shapes but was trained with another tokenizer gives meaningless scores.
#[test]
fn a_reward_model_of_another_tokenizer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("model");
    copy(&golden("trl/model"), &other);
    let path = recipe(folder.path(), "reward_model", "max_steps = 1\nwarmup_steps = 0");
    ok(&["train", text(&path)]);
    let tokenizer = std::fs::read_to_string(other.join("tokenizer.json")).unwrap();
    std::fs::write(other.join("tokenizer.json"), tokenizer.replacen("\"version\"", " \"version\"", 1)).unwrap();
    let reward = folder.path().join("out/adapter");
    let path = recipe(folder.path(), "ppo", "max_steps = 1");
    let text_of = std::fs::read_to_string(&path).unwrap();
    let lines = text_of.lines().map(|line| match line.split(' ').next() {
        Some("model") => format!("model = {other:?}"),
        Some("reward") => format!("reward = {reward:?}"),
        Some("output_dir") => "output_dir = \"ppo\"".to_owned(),
        _ => line.to_owned(),
    });
    std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let words = refused(&["train", text(&path)], 2);
    assert!(words.contains("error (reward)") && words.contains("another tokenizer"), "{words}");
}

/// A loss that is no longer a number ends the run within the step and names where it happened; what was kept stays.
#[test]
fn a_run_that_blows_up_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "max_steps = 60\nsave_steps = 1\nlearning_rate = 1.0\nmax_grad_norm = 0.0\nweight_decay = 0.0\nwarmup_ratio = 0.0\nadam_epsilon = 0.0";
    let path = recipe(folder.path(), "sppo", settings);
    let text_of = std::fs::read_to_string(&path).unwrap().replace("\"sppo\"", "\"dpo\"");
    let data = golden("trl/dpo_sigmoid/data.jsonl");
    let swapped: Vec<String> = text_of
        .lines()
        .map(|line| if line.starts_with("dataset") { format!("dataset = {data:?}") } else { line.to_owned() })
        .collect();
    std::fs::write(&path, swapped.join("\n").replace("[settings]", "[settings]\nloss_type = \"sppo_hard\"")).unwrap();
    let words = refused(&["train", text(&path)], 1);
    for part in ["At step", "became", "learning rate", "data rows"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let log = lines(&folder.path().join("out/log.jsonl"));
    assert!(log.iter().all(|line| line["loss"].as_f64().is_some_and(f64::is_finite)));
}

#[test]
fn broken_models_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copy(&golden("trl/model"), &model);
    let weights = model.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let generate = || run(&["generate", "--model", text(&model), "--prompt", "a", "--max-new-tokens", "1"]);
    let words = |output: std::process::Output| {
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = words(generate());
    assert!(said.contains("model.safetensors") && !said.contains("panicked"), "{said}");
    std::fs::write(&weights, &bytes).unwrap();
    let config = std::fs::read_to_string(model.join("config.json")).unwrap();
    std::fs::write(
        model.join("config.json"),
        config.replace("LlamaForCausalLM", "MambaForCausalLM").replace("\"llama\"", "\"mamba\""),
    )
    .unwrap();
    let said = words(generate());
    assert!(said.contains("mamba") || said.contains("Mamba"), "{said}");
    assert!(said.contains("llama"), "the known families are listed: {said}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Gemma runs on the general back-end, which holds weights as they are computed with.
#[test]
fn weights_that_cannot_be_rounded_are_told() {
    let model = golden("models/gemma2");
    let input = model.join("expected.safetensors");
    let arguments = ["generate", "--model", text(&model), "--input", text(&input), "--max-new-tokens", "2", "--json"];
    let told = |more: &[&str]| {
        let output = run(&[&arguments[..], more].concat());
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(told(&["--dtype", "q8_0"]).contains("cannot run with q8_0 weights here; they are f32"));
    assert_eq!(told(&[]), "");
}
