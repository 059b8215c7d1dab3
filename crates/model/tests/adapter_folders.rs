//! Adapters as others write them: names, patterns, halves, flags; and as we write them, for readers of any age.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;
#[path = "common/made.rs"]
mod made;

use alidade_domain::{LoraSpec, Patterns, TargetModules};
use alidade_model::{
    AdapterWeights, DecoderSpec, ModelFolder, NamedTensor, load_adapter, read_spec, read_tensors, save_adapter,
    save_merged,
};
use common::{floats, largest_gap};
use made::{LATER, QUERY, Weights, config, pairs, peft_name};
use serde_json::{Value, json};
use std::path::Path;

fn spec() -> DecoderSpec {
    read_spec(&config("llama")).unwrap()
}

fn refusal(folder: &tempfile::TempDir) -> String {
    load_adapter(folder.path(), &spec()).unwrap_err().to_string()
}

/// Logits of the small model with an adapter.
fn logits(model: &ModelFolder, adapter: &AdapterWeights) -> Vec<f32> {
    let mut decoder = model.decoder().unwrap();
    decoder.install("a", adapter, false).unwrap();
    decoder.logits(&[vec![1, 7, 3, 20, 9]], Some("a")).unwrap()
}

#[test]
fn names_of_other_makers_give_the_same_adapter() {
    let names: [fn(&str, &str) -> String; 7] = [
        peft_name,
        |path, part| format!("base_model.model.base_model.model.{path}.{part}.weight"),
        |path, part| format!("base_model.model.{path}.{part}.default.weight"),
        |path, part| format!("base_model.model.{path}.{part}.policy.weight"),
        |path, part| format!("{path}.{part}.weight"),
        |path, part| format!("base_model.model.{}.{part}.weight", path.trim_start_matches("model.")),
        |path, part| {
            format!("base_model.model.model.language_model.{}.{part}.weight", path.trim_start_matches("model."))
        },
    ];
    let folders = names.map(|name| made::adapter(json!({}), &pairs(&[QUERY, LATER], 2, name)));
    let read = folders.iter().map(|folder| load_adapter(folder.path(), &spec()).unwrap()).collect::<Vec<_>>();
    assert!(read.iter().all(|weights| weights.tensors == read[0].tensors));
}

#[test]
fn what_is_no_whole_adapter_is_refused_with_the_true_reason() {
    let two = |extra: fn(&str, &str) -> String| {
        let mut both = pairs(&[QUERY], 2, |path, part| format!("base_model.model.{path}.{part}.policy.weight"));
        both.extend(pairs(&[QUERY], 2, extra));
        made::adapter(json!({}), &both)
    };
    let told = refusal(&two(|path, part| format!("base_model.model.{path}.{part}.reference.weight")));
    assert!(told.contains("policy, reference"), "{told}");
    let told = refusal(&two(peft_name));
    assert!(told.contains("twice"), "{told}");

    for (lacks, partner) in [("lora_B", "lora_A"), ("lora_A", "lora_B")] {
        let mut half = pairs(&[QUERY, LATER], 2, peft_name);
        half.remove(&peft_name(LATER, lacks)).unwrap();
        let told = refusal(&made::adapter(json!({}), &half));
        assert!(told.contains("half of the pair") && told.contains(&peft_name(LATER, partner)), "{told}");
    }
    let mlx: Weights =
        [("model.layers.0.self_attn.q_proj.lora_a".to_owned(), made::tensor(&[16, 2], 1, 1.0))].into_iter().collect();
    assert!(refusal(&made::adapter(json!({}), &mlx)).contains("mlx-lm"));
    let folder = made::adapter(json!({"peft_type": null, "fine_tune_type": "lora"}), &mlx);
    assert!(refusal(&folder).contains("mlx-lm"));
    let other =
        pairs(&[QUERY], 2, |path, part| format!("base_model.model.{}.{part}.weight", path.replace("q_proj", "W")));
    assert!(refusal(&made::adapter(json!({}), &other)).contains("another base"));
}

#[test]
fn numbers_that_make_no_sense_are_refused_by_their_key() {
    let tensors = pairs(&[QUERY, LATER], 2, peft_name);
    for (changes, key, words) in [
        (json!({"r": 0}), "r", "is 0"),
        (json!({"r": -2}), "r", "is -2"),
        (json!({"r": 2.5}), "r", "is 2.5"),
        (json!({"r": "2"}), "r", "is \"2\""),
        (json!({"r": 1_000_000}), "r", "is 1000000"),
        (json!({"r": null}), "r", "missing"),
        (json!({"r": 4}), "r", "rank 4"),
        (json!({"rank_pattern": {"q_proj": 8}}), "rank_pattern", "rank 8"),
        (json!({"rank_pattern": {"q_proj": 0}}), "rank_pattern", "q_proj"),
        (json!({"lora_alpha": null}), "lora_alpha", "missing"),
        (json!({"lora_alpha": "x"}), "lora_alpha", "is \"x\""),
        (json!({"lora_alpha": 1e300}), "lora_alpha", "number"),
        (json!({"lora_dropout": 1.0}), "lora_dropout", "is 1.0"),
        (json!({"alpha_pattern": {"q_proj": "8"}}), "alpha_pattern", "q_proj"),
        (json!({"alpha_pattern": ["q_proj"]}), "alpha_pattern", "patterns"),
        (json!({"use_rslora": "true"}), "use_rslora", "true or false"),
        (json!({"use_dora": true}), "use_dora", "no lora_magnitude_vector"),
        (json!({"bias": "all"}), "", "bias"),
        (json!({"alpha_pattern": {"q_proj(": 8}}), "", "q_proj("),
    ] {
        let told = refusal(&made::adapter(changes.clone(), &tensors));
        assert!(told.contains(key) && told.contains(words), "{changes}: {told}");
    }
    let mut nan = tensors.clone();
    nan.get_mut(&peft_name(QUERY, "lora_A")).unwrap().values[3] = f32::NAN;
    assert!(refusal(&made::adapter(json!({}), &nan)).contains("not finite"));
}

#[test]
fn the_flag_of_dora_and_its_magnitudes_must_agree() {
    let mut tensors = pairs(&[QUERY], 2, peft_name);
    tensors.insert(format!("base_model.model.{QUERY}.lora_magnitude_vector"), made::tensor(&[16], 3, 1.0));
    for flag in [json!(false), Value::Null] {
        let told = refusal(&made::adapter(json!({"use_dora": flag}), &tensors));
        assert!(told.contains("use_dora") && told.contains("lora_magnitude_vector"), "{told}");
    }
    assert!(load_adapter(made::adapter(json!({"use_dora": true}), &tensors).path(), &spec()).is_ok());
}

/// Scales by hand: the merged weight is W + (α/r)·B·A with the α of the first pattern that matches.
#[test]
fn the_first_pattern_counts_and_look_around_is_obeyed() {
    let folder = made::model(&config("llama"));
    let (model, base) = (ModelFolder::open(folder.path()).unwrap(), made::weights(&config("llama")));
    let tensors = pairs(&[QUERY, LATER], 2, peft_name);
    for (patterns, first, second) in [
        (json!({"q_proj": 64, "layers.0.self_attn.q_proj": 16}), 64.0, 64.0),
        (json!({"layers.0.self_attn.q_proj": 16, "q_proj": 64}), 16.0, 64.0),
        (json!({"layers\\.(?!0\\.)\\d+\\.self_attn\\.q_proj": 64}), 4.0, 64.0),
        (json!({"^q_proj": 64}), 4.0, 4.0),
    ] {
        let adapter =
            load_adapter(made::adapter(json!({"alpha_pattern": patterns}), &tensors).path(), &spec()).unwrap();
        let out = tempfile::tempdir().unwrap();
        save_merged(&model, &adapter, out.path()).unwrap();
        let merged = read_tensors(&out.path().join("model.safetensors")).unwrap();
        for (path, alpha) in [(QUERY, first), (LATER, second)] {
            let expected = added(&base[&format!("{path}.weight")], &tensors, path, alpha / 2.0);
            let gap = largest_gap(floats(&merged, &format!("{path}.weight")), &expected);
            assert!(gap < 1e-6, "{patterns}, {path}: {gap}");
        }
        let idle = adapter.notes().unwrap();
        assert_eq!(idle.len(), usize::from(patterns.get("^q_proj").is_some()), "{idle:?}");
        assert!(idle.iter().all(|note| note.en.contains("alpha_pattern") && note.en.contains("^q_proj")));
    }
}

/// W + scale·B·A in f64.
fn added(weight: &NamedTensor, tensors: &Weights, path: &str, scale: f64) -> Vec<f32> {
    let (a, b) = (&tensors[&peft_name(path, "lora_A")], &tensors[&peft_name(path, "lora_B")]);
    let (rank, inputs) = (a.shape[0], a.shape[1]);
    let entry = |at: usize| {
        let (row, column) = (at / inputs, at % inputs);
        let sum: f64 =
            (0..rank).map(|k| f64::from(b.values[row * rank + k]) * f64::from(a.values[k * inputs + column])).sum();
        (f64::from(weight.values[at]) + scale * sum) as f32
    };
    (0..weight.values.len()).map(entry).collect()
}

fn fresh(lora: &LoraSpec) -> Result<AdapterWeights, String> {
    AdapterWeights::fresh(&spec(), lora, "base", 7, &|_| unreachable!()).map_err(|error| error.to_string())
}

fn patterns<T: Copy>(pairs: &[(&str, T)]) -> Patterns<T> {
    Patterns(pairs.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect())
}

#[test]
fn a_recipe_is_obeyed_in_its_own_order_and_idle_patterns_are_refused() {
    let rank = |weights: &AdapterWeights, path: &str| weights.tensors[&peft_name(path, "lora_A")].shape[0];
    let order = LoraSpec {
        r: 4,
        rank_pattern: patterns(&[("q_proj", 8), ("layers.0.self_attn.q_proj", 16)]),
        ..LoraSpec::default()
    };
    let made = fresh(&order).unwrap();
    assert_eq!([rank(&made, QUERY), rank(&made, LATER)], [8, 8]);
    let order = LoraSpec {
        r: 4,
        rank_pattern: patterns(&[("layers.0.self_attn.q_proj", 16), ("q_proj", 8)]),
        ..LoraSpec::default()
    };
    let made = fresh(&order).unwrap();
    assert_eq!([rank(&made, QUERY), rank(&made, LATER)], [16, 8]);
    for (key, lora) in [
        ("q_porj", LoraSpec { rank_pattern: patterns(&[("q_proj", 4), ("q_porj", 16)]), ..LoraSpec::default() }),
        ("^q_proj", LoraSpec { alpha_pattern: patterns(&[("^q_proj", 64.0)]), ..LoraSpec::default() }),
        ("(", LoraSpec { target_modules: TargetModules::Pattern("(".to_owned()), ..LoraSpec::default() }),
    ] {
        let told = fresh(&lora).unwrap_err();
        assert!(told.contains(&format!("“{key}”")), "{told}");
    }
    let look = r"^(model(?=\.).*\.(q_proj|v_proj))$".to_owned();
    let made = fresh(&LoraSpec { target_modules: TargetModules::Pattern(look), ..LoraSpec::default() }).unwrap();
    assert_eq!(made.tensors.len(), 8);
}

/// PEFT 0.10 to 0.13 stop at keys that came later.
#[test]
fn the_written_configuration_is_short_and_means_the_same_layers_to_any_reader() {
    let known = [
        "alpha_pattern",
        "auto_mapping",
        "base_model_name_or_path",
        "bias",
        "fan_in_fan_out",
        "inference_mode",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
        "lora_alpha",
        "lora_dropout",
        "modules_to_save",
        "peft_type",
        "r",
        "rank_pattern",
        "revision",
        "target_modules",
        "task_type",
        "use_dora",
        "use_rslora",
    ];
    let written = |lora: &LoraSpec| -> Value {
        let out = tempfile::tempdir().unwrap();
        save_adapter(out.path(), &fresh(lora).unwrap()).unwrap();
        let text = std::fs::read_to_string(out.path().join("adapter_config.json")).unwrap();
        load_adapter(out.path(), &spec()).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let names = |list: &[&str]| TargetModules::Names(list.iter().map(|name| (*name).to_owned()).collect());
    let plain = written(&LoraSpec { target_modules: names(&["q_proj", "v_proj"]), ..LoraSpec::default() });
    assert_eq!(plain.as_object().unwrap().keys().collect::<Vec<_>>(), known);
    assert_eq!(plain["target_modules"], json!(["q_proj", "v_proj"]));
    let without = written(&LoraSpec {
        exclude_modules: Some(names(&["layers.0.self_attn.q_proj"])),
        target_modules: names(&["q_proj"]),
        ..LoraSpec::default()
    });
    assert_eq!(without.as_object().unwrap().keys().collect::<Vec<_>>(), known);
    assert_eq!(without["target_modules"], json!([LATER]));
    let one = written(&LoraSpec {
        target_modules: TargetModules::Pattern(r".*\.0\..*q_proj".to_owned()),
        ..LoraSpec::default()
    });
    assert_eq!(one["target_modules"], json!([QUERY]));
    let later =
        written(&LoraSpec { target_modules: names(&["q_proj"]), layers_to_transform: vec![1], ..LoraSpec::default() });
    assert_eq!((&later["target_modules"], &later["layers_to_transform"]), (&json!(["q_proj"]), &json!([1])));
    let order =
        written(&LoraSpec { r: 4, rank_pattern: patterns(&[("v_proj", 2), ("q_proj", 8)]), ..LoraSpec::default() });
    assert_eq!(order["rank_pattern"].as_object().unwrap().keys().collect::<Vec<_>>(), ["v_proj", "q_proj"]);
}

/// An `exclude_modules` of null, as earlier versions wrote it, goes no further.
#[test]
fn an_empty_exclude_modules_is_not_written_again() {
    let folder = made::adapter(json!({}), &pairs(&[QUERY], 2, peft_name));
    let path = folder.path().join("adapter_config.json");
    let text = std::fs::read_to_string(&path).unwrap().replacen('{', "{\"exclude_modules\": null, \"kept\": 1,", 1);
    std::fs::write(&path, text).unwrap();
    let read = load_adapter(folder.path(), &spec()).unwrap();
    let again = |path: &Path| {
        save_adapter(path, &read).unwrap();
        serde_json::from_slice::<Value>(&std::fs::read(path.join("adapter_config.json")).unwrap()).unwrap()
    };
    let written = again(tempfile::tempdir().unwrap().path());
    assert!(written.get("exclude_modules").is_none() && written["kept"] == 1, "{written}");
}

/// PEFT saves the embedding below its pairs as `base_layer`; it counts, live and merged.
#[test]
fn a_base_layer_that_came_with_the_adapter_counts() {
    let folder = made::model(&config("llama"));
    let model = ModelFolder::open(folder.path()).unwrap();
    let mut tensors = pairs(&[QUERY], 2, peft_name);
    let table = "base_model.model.model.embed_tokens";
    tensors.insert(format!("{table}.lora_embedding_A"), made::tensor(&[2, 40], 11, 0.3));
    tensors.insert(format!("{table}.lora_embedding_B"), made::tensor(&[16, 2], 12, 0.3));
    let plain = load_adapter(made::adapter(json!({}), &tensors).path(), &spec()).unwrap();
    tensors.insert(format!("{table}.base_layer.weight"), made::tensor(&[40, 16], 13, 0.3));
    let whole = load_adapter(made::adapter(json!({}), &tensors).path(), &spec()).unwrap();
    let live = logits(&model, &whole);
    assert!(largest_gap(&live, &logits(&model, &plain)) > 1e-2);
    let out = tempfile::tempdir().unwrap();
    save_merged(&model, &whole, out.path()).unwrap();
    let merged = ModelFolder::open(out.path()).unwrap().decoder().unwrap();
    assert!(largest_gap(&live, &merged.logits(&[vec![1, 7, 3, 20, 9]], None).unwrap()) < 1e-4);
    let again = tempfile::tempdir().unwrap();
    save_adapter(again.path(), &whole).unwrap();
    assert_eq!(load_adapter(again.path(), &spec()).unwrap().tensors, whole.tensors);
}
