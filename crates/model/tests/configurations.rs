//! What config.json says and what is made of it. Expected values are those of the configuration classes of transformers
//! 5.24, asked by hand, or plain arithmetic.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;
#[path = "common/made.rs"]
mod made;

use alidade_model::{DecoderSpec, ModelFolder, read_spec};
use common::largest_gap;
use made::{config, with};
use serde_json::{Value, json};

fn refusal(config: &Value) -> String {
    read_spec(config).unwrap_err().to_string()
}

fn frequencies(changes: Value) -> Vec<f64> {
    read_spec(&with(config("llama"), changes)).unwrap().ropes[0].frequencies()
}

/// Frequencies of heads of four: 1 and θ^(−1/2).
fn plain(theta: f64) -> Vec<f64> {
    vec![1.0, theta.powf(-0.5)]
}

#[test]
fn a_rope_scaling_that_says_something_wins_and_the_base_inside_a_group_wins() {
    let halved = |theta| plain(theta).into_iter().map(|f| f / 2.0).collect::<Vec<_>>();
    let linear = json!({"rope_type": "linear", "factor": 2.0});
    let inside = json!({"rope_type": "linear", "factor": 2.0, "rope_theta": 77.0});
    let default = json!({"rope_type": "default", "rope_theta": 900.0});
    let close =
        |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{a} {b}"));
    close(frequencies(json!({})), plain(10_000.0));
    close(frequencies(json!({"rope_theta": 500.0})), plain(500.0));
    close(frequencies(json!({"rope_theta": 500.0, "rope_scaling": linear})), halved(500.0));
    close(frequencies(json!({"rope_theta": 500.0, "rope_scaling": inside})), halved(77.0));
    close(frequencies(json!({"rope_theta": 500.0, "rope_parameters": default})), plain(900.0));
    close(frequencies(json!({"rope_theta": 500.0, "rope_parameters": default, "rope_scaling": linear})), halved(500.0));
    close(frequencies(json!({"rope_parameters": default, "rope_scaling": linear})), halved(10_000.0));
    close(frequencies(json!({"rope_theta": 500.0, "rope_parameters": {}, "rope_scaling": linear})), halved(500.0));
    close(frequencies(json!({"rope_theta": 500.0, "rope_parameters": linear, "rope_scaling": {}})), halved(500.0));
    close(frequencies(json!({"rope_theta": 500.0, "rope_parameters": {}})), plain(500.0));
    close(frequencies(json!({"rope_scaling": {"type": "linear", "factor": 2.0}})), halved(10_000.0));
    close(
        frequencies(json!({"rope_scaling": {"type": "linear", "rope_type": "default", "factor": 2.0}})),
        plain(10_000.0),
    );
    close(frequencies(json!({"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}})), plain(10_000.0));
}

/// Llama 3's rule by hand: with an original context of 64 and factors 1 and 4, wavelengths above 64 are stretched, those
/// below 16 kept, and between them the share (64/λ − 1)/3 is kept.
#[test]
fn llama3_scaling_is_computed_and_takes_the_context_for_a_missing_original() {
    let group = |extra: Value| {
        with(json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}), extra)
    };
    let theta: f64 = 36.0;
    let found = frequencies(
        json!({"rope_theta": theta, "rope_parameters": group(json!({"original_max_position_embeddings": 64}))}),
    );
    let second = theta.powf(-0.5);
    let share = (64.0 / (2.0 * std::f64::consts::PI / second) - 1.0) / 3.0;
    assert!(share > 0.0 && share < 1.0, "the second frequency lies between");
    assert_eq!(found[0], 1.0);
    assert!((found[1] - ((1.0 - share) * second / 8.0 + share * second)).abs() < 1e-12);
    // The context of the small configuration is 64 as well.
    assert_eq!(found, frequencies(json!({"rope_theta": theta, "rope_parameters": group(json!({}))})));
}

#[test]
fn kinds_of_rope_that_are_not_carried_out_are_refused_by_name() {
    for kind in ["yarn", "longrope", "su", "proportional", "something"] {
        for key in ["rope_parameters", "rope_scaling"] {
            for spelling in ["rope_type", "type"] {
                let told = refusal(&with(config("llama"), json!({key: {spelling: kind, "factor": 4.0}})));
                assert!(told.contains("rope_type") && told.contains(kind), "{told}");
            }
        }
    }
    for (changes, word) in [
        (json!({"rope_scaling": {"rope_type": "linear"}}), "factor"),
        (json!({"rope_scaling": {"rope_type": "linear", "factor": 0}}), "factor"),
        (json!({"rope_scaling": {"rope_type": "linear", "factor": "2"}}), "factor"),
        (json!({"rope_scaling": {"rope_type": "default", "mrope_section": [1, 1]}}), "mrope_section"),
        (json!({"rope_parameters": {"full_attention": {"rope_type": "default"}}}), "full_attention"),
        (json!({"rope_parameters": 3}), "rope_parameters"),
        (json!({"rope_theta": "10000"}), "rope_theta"),
        (json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor"),
        (json!({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}), "partial_rotary_factor"),
    ] {
        let told = refusal(&with(config("llama"), changes));
        assert!(told.contains(word), "{told}");
    }
    let phi = read_spec(&with(config("phi3"), json!({"partial_rotary_factor": 0.5}))).unwrap();
    assert_eq!(phi.ropes[0].rotated, 2);
}

/// A file may leave out whatever its family has by default.
#[test]
fn absent_keys_have_the_defaults_of_their_family() {
    type Row = (&'static str, [usize; 8], f64, f64, bool);
    let rows: [Row; 10] = [
        ("llama", [32_000, 4_096, 11_008, 32, 32, 32, 128, 2_048], 1e-6, 1e4, false),
        ("mistral", [32_000, 4_096, 14_336, 32, 32, 8, 128, 131_072], 1e-6, 1e4, false),
        ("qwen2", [151_936, 4_096, 22_016, 32, 32, 32, 128, 32_768], 1e-6, 1e4, false),
        ("qwen3", [151_936, 4_096, 22_016, 32, 32, 32, 128, 32_768], 1e-6, 1e4, false),
        ("gemma2", [256_000, 2_304, 9_216, 26, 8, 4, 256, 8_192], 1e-6, 1e4, true),
        ("gemma3_text", [262_208, 2_304, 9_216, 26, 8, 4, 256, 131_072], 1e-6, 1e6, true),
        ("phi3", [32_064, 3_072, 8_192, 32, 32, 32, 96, 4_096], 1e-5, 1e4, false),
        ("smollm3", [128_256, 2_048, 11_008, 36, 16, 4, 128, 32_768], 1e-6, 2e6, true),
        ("olmo2", [50_304, 4_096, 11_008, 32, 32, 32, 128, 2_048], 1e-5, 1e4, false),
        ("granite", [32_000, 4_096, 11_008, 32, 32, 32, 128, 2_048], 1e-6, 1e4, false),
    ];
    for (family, sizes, epsilon, theta, tied) in rows {
        let s = read_spec(&json!({"model_type": family})).unwrap();
        let found = [s.vocabulary, s.hidden, s.intermediate, s.layers, s.heads, s.kv_heads, s.head_dim, s.context];
        assert_eq!(found, sizes, "{family}");
        assert_eq!((s.norm_epsilon, s.ropes[0].theta, s.tied), (epsilon, theta, tied), "{family}");
    }
    // Qwen 3's heads are 128 wide whatever the model's width; those of the others follow from it.
    let narrow = |family: &str| read_spec(&with(config(family), json!({"head_dim": null}))).unwrap().head_dim;
    assert_eq!([narrow("llama"), narrow("qwen2"), narrow("qwen3"), narrow("gemma2")], [4, 4, 128, 256]);
}

fn windows(spec: &DecoderSpec) -> Vec<Option<usize>> {
    spec.kinds.iter().map(|kind| kind.window).collect()
}

#[test]
fn gemmas_defaults_are_caps_windows_and_a_scale_of_256() {
    let four = json!({"num_hidden_layers": 4});
    let gemma2 = read_spec(&with(config("gemma2"), four.clone())).unwrap();
    assert_eq!((gemma2.attention_cap, gemma2.logit_cap), (Some(50.0), Some(30.0)));
    assert_eq!(windows(&gemma2), [Some(4096), None, Some(4096), None]);
    assert_eq!(gemma2.attention_scale, 1.0 / 16.0);
    let mut uncapped = with(config("gemma2"), four);
    uncapped["attn_logit_softcapping"] = Value::Null;
    uncapped["final_logit_softcapping"] = Value::Null;
    let uncapped = read_spec(&uncapped).unwrap();
    assert_eq!((uncapped.attention_cap, uncapped.logit_cap), (None, None));
    let gemma3 = read_spec(&with(config("gemma3_text"), json!({"num_hidden_layers": 7}))).unwrap();
    assert_eq!(windows(&gemma3).iter().position(Option::is_none), Some(5));
    assert_eq!((gemma3.attention_cap, gemma3.logit_cap, gemma3.attention_scale), (None, None, 1.0 / 16.0));
    assert_eq!(gemma3.ropes.iter().map(|rope| rope.theta).collect::<Vec<_>>(), [1e6, 1e4]);
}

#[test]
fn gemma3_merges_rope_scaling_into_the_full_layers() {
    let thetas = |changes: Value| -> Vec<(f64, Vec<f64>)> {
        let spec = read_spec(&with(config("gemma3_text"), changes)).unwrap();
        spec.ropes.iter().map(|rope| (rope.theta, rope.frequencies())).collect()
    };
    let found = thetas(json!({"rope_theta": 6.0, "rope_local_base_freq": 7.0,
        "rope_parameters": {"full_attention": {"rope_theta": 5.0, "rope_type": "default"}},
        "rope_scaling": {"rope_type": "linear", "factor": 8.0}}));
    assert_eq!((found[0].0, found[1].0), (5.0, 7.0));
    assert_eq!(found[0].1[0], 1.0 / 8.0);
    assert_eq!(found[1].1[0], 1.0);
    let told =
        refusal(&with(config("gemma3_text"), json!({"rope_parameters": {"rope_type": "linear", "factor": 8.0}})));
    assert!(told.contains("rope_parameters") && told.contains("full_attention"), "{told}");
}

#[test]
fn windows_lie_where_each_family_puts_them() {
    let read = |family: &str, changes: Value| windows(&read_spec(&with(config(family), changes)).unwrap());
    let on = json!({"num_hidden_layers": 5, "use_sliding_window": true, "sliding_window": 4});
    assert_eq!(read("smollm3", on.clone()), [None, None, None, Some(4), None]);
    assert_eq!(
        read("smollm3", with(on.clone(), json!({"no_rope_layers": [0, 1, 1, 1, 0, 1]}))),
        [Some(4), None, None, None, Some(4)]
    );
    assert_eq!(
        read("smollm3", with(on.clone(), json!({"no_rope_layer_interval": 2}))),
        [None, Some(4), None, Some(4), None]
    );
    let kinds = json!({"layer_types": ["sliding_attention", "full_attention"], "num_hidden_layers": 2});
    assert_eq!(read("smollm3", with(on.clone(), kinds.clone())), [Some(4), None]);
    assert_eq!(read("smollm3", json!({"sliding_window": 4})), [None, None]);
    assert_eq!(read("mistral", json!({})), [Some(4096); 2]);
    assert_eq!(read("qwen2", with(on.clone(), json!({"max_window_layers": 3}))), [None, None, None, Some(4), Some(4)]);
    assert_eq!(read("qwen3", json!({"sliding_window": 4})), [None, None]);
    let mut null = config("mistral");
    null["sliding_window"] = Value::Null;
    assert_eq!(windows(&read_spec(&null).unwrap()), [None; 2]);
    for (family, changes) in [
        ("qwen2", kinds.clone()),
        ("smollm3", with(kinds.clone(), json!({"sliding_window": 4}))),
        ("mistral", with(kinds.clone(), json!({"sliding_window": 4}))),
        ("llama", kinds.clone()),
    ] {
        assert!(refusal(&with(config(family), changes)).contains("layer_types"), "{family}");
    }
    assert!(refusal(&with(config("llama"), json!({"sliding_window": 8}))).contains("sliding_window"));
    assert!(read_spec(&with(config("llama"), json!({"sliding_window": 64}))).is_ok(), "a window of the whole context");
}

#[test]
fn keys_that_change_the_arithmetic_are_refused_where_they_are_not_carried_out() {
    for (family, key, value) in [
        ("gemma3_text", "use_bidirectional_attention", json!(true)),
        ("gemma2", "use_bidirectional_attention", json!(true)),
        ("gemma3_text", "attn_logit_softcapping", json!(50.0)),
        ("llama", "final_logit_softcapping", json!(30.0)),
        ("llama", "query_pre_attn_scalar", json!(64)),
        ("llama", "logits_scaling", json!(8.0)),
        ("llama", "embedding_multiplier", json!(12.0)),
        ("mistral", "attention_bias", json!(true)),
        ("qwen3", "mlp_bias", json!(true)),
        ("llama", "num_local_experts", json!(8)),
        ("llama", "use_qk_norm", json!(true)),
        ("llama", "rope_interleaved", json!(true)),
        ("llama", "no_rope_layers", json!([1, 0])),
        ("llama", "hidden_act", json!("gelu")),
        ("gemma2", "hidden_activation", json!("silu")),
        ("llama", "rms_norm_eps", json!("1e-5")),
        ("llama", "tie_word_embeddings", json!("yes")),
        ("llama", "attention_bias", json!(1)),
    ] {
        let told = refusal(&with(config(family), json!({key: value})));
        assert!(told.contains(key) && told.contains(value.to_string().trim_matches('"')), "{family}: {told}");
    }
    for (family, key, value) in [
        ("llama", "rope_interleaved", json!(false)),
        ("gemma3_text", "use_bidirectional_attention", json!(false)),
        ("llama", "logits_scaling", json!(1.0)),
        ("llama", "num_local_experts", json!(1)),
        ("llama", "pretraining_tp", json!(2)),
    ] {
        assert!(read_spec(&with(config(family), json!({key: value}))).is_ok(), "{family} {key}");
    }
}

#[test]
fn quantised_and_multimodal_models_are_named_as_what_they_are() {
    for (group, words) in [
        (
            json!({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true}}),
            "bitsandbytes, 4 bits",
        ),
        (json!({"quantization_config": {"quant_method": "fp8"}}), "fp8"),
        (json!({"quantization_config": {"quant_method": "gptq", "bits": 4}}), "gptq, 4 bits"),
        (json!({"quantization_config": {"quant_method": "awq", "bits": 4}}), "awq"),
        (json!({"quantization_config": {"quant_method": "compressed-tensors"}}), "compressed-tensors"),
        (json!({"quantization": {"group_size": 64, "bits": 4}}), "mlx, 4 bits"),
    ] {
        let told = refusal(&with(config("llama"), group));
        assert!(told.contains("quantised") && told.contains(words), "{told}");
    }
    let inner = config("llama");
    for (family, group) in [
        ("llava", json!({"text_config": inner, "vision_config": {}})),
        ("qwen2_vl", json!({"vision_config": {"depth": 2}})),
        ("mllama", json!({"text_config": inner, "vision_config": {"x": 1}})),
        ("gemma3n", json!({"text_config": inner, "audio_config": {"x": 1}})),
    ] {
        let told = refusal(&with(config(family), group));
        assert!(told.contains(family) && told.contains("multimodal") && told.contains("text-only"), "{told}");
    }
    assert!(refusal(&config("gemma3")).contains("multimodal"));
}

#[test]
fn the_text_model_of_gemma3_is_read_out_of_the_multimodal_folder() {
    let text = with(config("gemma3_text"), json!({"tie_word_embeddings": true, "sliding_window": 4}));
    let weights = made::weights(&text);
    let ids = vec![vec![1, 5, 9, 30, 2, 7, 11, 3]];
    let logits = |folder: &ModelFolder| folder.decoder().unwrap().logits(&ids, None).unwrap();
    let alone = made::write(&text, &weights);
    let alone = logits(&ModelFolder::open(alone.path()).unwrap());
    let inner = with(text.clone(), json!({"model_type": null}));
    let whole = json!({"model_type": "gemma3", "text_config": inner, "vision_config": {"hidden_size": 8}, "eos_token_id": [1, 6]});
    for prefix in ["language_model.model.", "model.language_model."] {
        let mut named: made::Weights =
            weights.iter().map(|(name, t)| (name.replacen("model.", prefix, 1), t.clone())).collect();
        named.insert("vision_tower.vision_model.post_layernorm.weight".to_owned(), made::tensor(&[8], 1, 1.0));
        let folder = made::write(&whole, &named);
        let opened = ModelFolder::open(folder.path()).unwrap();
        assert!(opened.notes[0].en.contains("multimodal"), "{:?}", opened.notes);
        assert_eq!(logits(&opened), alone, "{prefix}");
        assert_eq!(logits(&ModelFolder::open(made::write(&text, &named).path()).unwrap()), alone, "{prefix}");
    }
}

/// The capped logits are 3·tanh(l/3) of the uncapped ones.
#[test]
fn gemma3_caps_its_logits_where_the_file_asks_for_it() {
    let text = with(config("gemma3_text"), json!({"tie_word_embeddings": true}));
    let weights = made::weights(&text);
    let logits = |config: &Value| {
        let folder = made::write(config, &weights);
        ModelFolder::open(folder.path()).unwrap().decoder().unwrap().logits(&[vec![1, 5, 9, 30]], None).unwrap()
    };
    let expected: Vec<f32> = logits(&text).into_iter().map(|l| 3.0 * (l / 3.0).tanh()).collect();
    let capped = logits(&with(text, json!({"final_logit_softcapping": 3.0})));
    assert!(largest_gap(&capped, &expected) < 1e-4 && expected.iter().any(|l| l.abs() > 1.5));
}
