//! A folder is held against itself before anything is made of it: counts, shapes, names, the output matrix.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "common/made.rs"]
mod made;

use alidade_domain::{Purpose, Stream};
use alidade_model::{ModelFolder, load_adapter, model_sha256};
use made::{QUERY, config, pairs, peft_name, with};
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use std::path::Path;

fn refusal(folder: &Path) -> String {
    ModelFolder::open(folder).unwrap_err().to_string()
}

fn set_config(folder: &Path, config: &Value) {
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// Each wrong number is told with its key, itself, and what the files hold.
#[test]
fn counts_are_held_against_the_weight_files() {
    let plain = config("llama");
    let folder = made::model(&plain);
    for (key, value, held) in [
        ("num_hidden_layers", json!(16_777_216), "hold 2 layers"),
        ("num_hidden_layers", json!(1_048_576), "hold 2 layers"),
        ("num_hidden_layers", json!(u64::MAX), "hold 2 layers"),
        ("num_hidden_layers", json!(1), "hold 2 layers"),
        ("num_hidden_layers", json!(0), "hold 2 layers"),
        ("num_hidden_layers", json!(-1), "hold 2 layers"),
        ("vocab_size", json!(16_777_216), "[40, 16]"),
        ("vocab_size", json!(39), "[40, 16]"),
        ("hidden_size", json!(16_777_216), "[40, 16]"),
        ("intermediate_size", json!(16_777_216), "[24, 16]"),
        ("num_attention_heads", json!(8), "[16, 16]"),
        ("num_key_value_heads", json!(4), "[8, 16]"),
        ("num_attention_heads", json!(0), "from 1"),
        ("num_key_value_heads", json!(0), "from 1"),
        ("num_key_value_heads", json!(3), "divide"),
        ("head_dim", json!(3), "even"),
        ("head_dim", json!(0), "from 1"),
        ("num_attention_heads", json!(16_777_216), "wider"),
        ("vocab_size", json!(1e30), "from 1"),
        ("vocab_size", json!("40"), "from 1"),
    ] {
        set_config(folder.path(), &with(plain.clone(), json!({key: value})));
        let told = refusal(folder.path());
        assert!(told.contains(&format!("“{key}”")) && told.contains(&value.to_string()), "{told}");
        assert!(told.contains(held), "{told}");
    }
    // An absent count is the family's.
    set_config(folder.path(), &with(plain, json!({"vocab_size": null})));
    assert!(refusal(folder.path()).contains("“vocab_size” is missing"));
}

#[test]
fn the_head_of_the_file_counts_and_a_missing_one_is_named() {
    let untied = config("llama");
    let tied = with(untied.clone(), json!({"tie_word_embeddings": true}));
    let mut weights = made::weights(&untied);
    let ids = [vec![1, 2, 3, 4]];
    let logits = |folder: &ModelFolder| folder.decoder().unwrap().logits(&ids, None).unwrap();
    let right = made::write(&untied, &weights);
    let right = logits(&ModelFolder::open(right.path()).unwrap());

    let other = made::write(&tied, &weights);
    let other = ModelFolder::open(other.path()).unwrap();
    assert!(!other.spec.tied && other.notes[0].en.contains("lm_head.weight"), "{:?}", other.notes);
    assert_eq!(logits(&other), right);

    weights.insert("lm_head.weight".to_owned(), weights["model.embed_tokens.weight"].clone());
    let same = made::write(&tied, &weights);
    let same = ModelFolder::open(same.path()).unwrap();
    assert!(same.spec.tied && same.notes.is_empty());
    let with_head = logits(&same);

    weights.remove("lm_head.weight");
    let gone = made::write(&tied, &weights);
    assert_eq!(logits(&ModelFolder::open(gone.path()).unwrap()), with_head);
    for config in [untied.clone(), with(untied, json!({"tie_word_embeddings": null}))] {
        let told = refusal(made::write(&config, &weights).path());
        assert!(told.contains("lm_head.weight") && told.contains("tie_word_embeddings"), "{told}");
    }
}

#[test]
fn tensors_without_a_place_and_quantised_ones_are_refused_by_name() {
    let plain = config("llama");
    let weights = made::weights(&plain);
    for (name, words) in [
        (format!("{QUERY}.bias"), "no place for"),
        ("model.layers.1.self_attn.q_norm.weight".to_owned(), "no place for"),
        ("lm_head.bias".to_owned(), "no place for"),
        (format!("{QUERY}.qweight"), "quantised"),
        (format!("{QUERY}.weight_scale_inv"), "quantised"),
        (format!("{QUERY}.weight.quant_state.bitsandbytes__nf4"), "quantised"),
        (format!("{QUERY}.scales"), "quantised"),
    ] {
        let mut more = weights.clone();
        more.insert(name.clone(), made::tensor(&[4], 1, 1.0));
        let told = refusal(made::write(&plain, &more).path());
        assert!(told.contains(&name) && told.contains(words), "{told}");
    }
    let folder = made::model(&plain);
    made::write_weights(&folder.path().join("model.safetensors"), &weights, |name| {
        if name.contains("q_proj") { Dtype::U8 } else { Dtype::F32 }
    });
    assert!(refusal(folder.path()).contains("quantised"), "{}", refusal(folder.path()));
    for name in ["model.layers.0.self_attn.rotary_emb.inv_freq", "score.weight"] {
        let mut more = weights.clone();
        more.insert(name.to_owned(), made::tensor(&[4], 1, 1.0));
        assert!(ModelFolder::open(made::write(&plain, &more).path()).is_ok(), "{name} is harmless");
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let pipe = |path: &Path| {
        std::fs::remove_file(path).ok();
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    for file in ["config.json", "model.safetensors"] {
        let folder = made::model(&config("llama"));
        pipe(&folder.path().join(file));
        let told = refusal(folder.path());
        assert!(told.contains("no ordinary file"), "{file}: {told}");
        assert!(model_sha256(folder.path()).is_err());
    }
    let model = made::model(&config("llama"));
    let spec = ModelFolder::open(model.path()).unwrap().spec;
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        let folder = made::adapter(json!({}), &pairs(&[QUERY], 2, peft_name));
        pipe(&folder.path().join(file));
        let told = load_adapter(folder.path(), &spec).unwrap_err().to_string();
        assert!(told.contains("no ordinary file"), "{file}: {told}");
    }
}

/// Values that a damaged or a malicious file may hold in the place of any other.
fn odd(stream: &mut Stream) -> Value {
    let list = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(3),
        json!(7),
        json!(1 << 20),
        json!(1 << 24),
        json!(u64::MAX),
        json!(1e308),
        json!(-1e-308),
        json!(0.5),
        json!(""),
        json!("yarn"),
        json!("\u{0}\u{1b}[2J"),
        json!("a".repeat(70_000)),
        json!([]),
        json!([1, [2, [3]]]),
        json!({}),
        json!({"rope_type": "llama3", "factor": 0}),
        json!({"x": {"y": {}}}),
        json!(["sliding_attention", "full_attention"]),
    ];
    list[stream.below(list.len())].clone()
}

/// One to three keys get another value, or a name of another key; some files are cut or get a foreign byte.
fn mutated(config: &Value, more: &[&str], seed: u64) -> Vec<u8> {
    let mut stream = Stream::new(seed, Purpose::Shuffle, 0, 0);
    let mut value = config.clone();
    let map = value.as_object_mut().unwrap();
    let keys: Vec<String> = map.keys().cloned().chain(more.iter().map(|key| (*key).to_owned())).collect();
    for _ in 0..1 + stream.below(3) {
        let key = keys[stream.below(keys.len())].clone();
        match stream.below(4) {
            0 => drop(map.remove(&key)),
            _ => drop(map.insert(key, odd(&mut stream))),
        }
    }
    let mut bytes = value.to_string().into_bytes();
    match stream.below(8) {
        0 => bytes.truncate(stream.below(bytes.len() + 1)),
        1 => {
            let at = stream.below(bytes.len());
            bytes[at] = stream.below(256) as u8;
        }
        _ => {}
    }
    bytes
}

const OTHER_KEYS: &[&str] = &[
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "partial_rotary_factor",
    "layer_types",
    "sliding_window",
    "use_sliding_window",
    "max_window_layers",
    "no_rope_layers",
    "no_rope_layer_interval",
    "hidden_act",
    "hidden_activation",
    "attention_bias",
    "mlp_bias",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "query_pre_attn_scalar",
    "sliding_window_pattern",
    "attention_multiplier",
    "logits_scaling",
    "text_config",
    "vision_config",
    "quantization_config",
];

/// Whatever stands in the files, it ends in a model or in words; nothing panics, and nothing is made of absurd numbers.
#[test]
fn mutated_configurations_end_in_a_model_or_in_words() {
    let (mut taken, mut refused) = (0, 0);
    for family in ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3_text", "phi3", "smollm3", "olmo2", "granite"]
    {
        let plain = config(family);
        let folder = made::model(&plain);
        for seed in 0..60 {
            std::fs::write(folder.path().join("config.json"), mutated(&plain, OTHER_KEYS, seed)).unwrap();
            match ModelFolder::open(folder.path()) {
                Ok(opened) => {
                    taken += 1;
                    // A context of one token refuses these; what matters is that it ends.
                    let _ = opened.decoder().unwrap().logits(&[vec![1, 2, 3]], None);
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
    assert!(taken > 50 && refused > 200, "{taken} taken, {refused} refused");
}

#[test]
fn mutated_adapter_configurations_end_in_an_adapter_or_in_words() {
    let model = made::model(&config("llama"));
    let spec = ModelFolder::open(model.path()).unwrap().spec;
    let plain = json!({"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4, "lora_dropout": 0.1,
        "use_dora": false, "use_rslora": false, "bias": "none", "rank_pattern": {}, "alpha_pattern": {"q_proj": 3},
        "target_modules": ["q_proj"], "fan_in_fan_out": false, "modules_to_save": null});
    let folder = made::adapter(json!({}), &pairs(&[QUERY], 2, peft_name));
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..400 {
        let bytes = mutated(&plain, &["layers_pattern", "exclude_modules", "init_lora_weights", "lora_bias"], seed);
        std::fs::write(folder.path().join("adapter_config.json"), bytes).unwrap();
        match load_adapter(folder.path(), &spec) {
            Ok(weights) => {
                taken += 1;
                assert!(weights.config.lora_alpha.is_finite() && weights.config.r == 2);
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(taken > 50 && refused > 100, "{taken} taken, {refused} refused");
}
