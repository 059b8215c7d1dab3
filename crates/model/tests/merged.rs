//! Merged folders: the base's types, its files, and an output matrix that is or is not the embedding.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;
#[path = "common/made.rs"]
mod made;

use alidade_domain::Precision;
use alidade_model::{
    Backend, GenerationOptions, Merged, ModelFolder, NamedTensor, generate, load_adapter, save_merged, save_model,
};
use common::largest_gap;
use made::{LATER, QUERY, Weights, config, pairs, peft_name, with};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const IDS: [[u32; 5]; 1] = [[1, 7, 3, 20, 9]];

fn ids() -> Vec<Vec<u32>> {
    IDS.iter().map(|row| row.to_vec()).collect()
}

fn live(model: &ModelFolder, adapter: &tempfile::TempDir) -> Vec<f32> {
    let mut decoder = model.decoder().unwrap();
    decoder.install("a", &load_adapter(adapter.path(), &model.spec).unwrap(), false).unwrap();
    decoder.logits(&ids(), Some("a")).unwrap()
}

fn bare(folder: &Path) -> Vec<f32> {
    ModelFolder::open(folder).unwrap().decoder().unwrap().logits(&ids(), None).unwrap()
}

fn merged(model: &ModelFolder, adapter: &tempfile::TempDir) -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    save_merged(model, &load_adapter(adapter.path(), &model.spec).unwrap(), out.path()).unwrap();
    out
}

fn said(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
}

#[test]
fn a_merged_model_has_the_types_of_its_base_or_f32_for_f16_and_says_so() {
    let plain = config("llama");
    for (dtype, name, half) in [(Dtype::BF16, "bfloat16", 2), (Dtype::F16, "float32", 4), (Dtype::F32, "float32", 4)] {
        for key in ["torch_dtype", "dtype"] {
            let folder = made::write_as(&with(plain.clone(), json!({key: "something"})), &made::weights(&plain), dtype);
            let model = ModelFolder::open(folder.path()).unwrap();
            let adapter = made::adapter(json!({}), &pairs(&[QUERY, LATER], 2, peft_name));
            let out = merged(&model, &adapter);
            assert_eq!(said(out.path())[key], name);
            let bytes = std::fs::read(out.path().join("model.safetensors")).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let numbers: usize = file.iter().map(|(_, view)| view.shape().iter().product::<usize>()).sum();
            let written = if half == 2 { Dtype::BF16 } else { Dtype::F32 };
            assert!(file.iter().all(|(_, view)| view.dtype() == written));
            assert_eq!(file.iter().map(|(_, view)| view.data().len()).sum::<usize>(), half * numbers);
            let exact = Merged::new(&model, &load_adapter(adapter.path(), &model.spec).unwrap()).unwrap();
            exact.verify(&model, out.path()).unwrap();
            let exact = exact.decoder(Backend::default()).unwrap().logits(&ids(), None).unwrap();
            assert!(largest_gap(&exact, &live(&model, &adapter)) < 1e-4);
            let rounding = largest_gap(&exact, &bare(out.path()));
            assert!(rounding < 0.5 && (half == 4) == (rounding == 0.0), "{name}: {rounding}");
        }
    }
}

/// The check that an export rests on finds one changed number.
#[test]
fn a_file_that_is_not_what_was_merged_is_found_out() {
    let plain = config("llama");
    let folder = made::write_as(&plain, &made::weights(&plain), Dtype::BF16);
    let model = ModelFolder::open(folder.path()).unwrap();
    let adapter = made::adapter(json!({}), &pairs(&[QUERY], 2, peft_name));
    let out = merged(&model, &adapter);
    let path = out.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let exact = Merged::new(&model, &load_adapter(adapter.path(), &model.spec).unwrap()).unwrap();
    assert!(exact.verify(&model, out.path()).is_err());
}

#[test]
fn a_number_that_the_base_s_type_cannot_hold_is_refused() {
    let plain = config("llama");
    let folder = made::write_as(&plain, &made::weights(&plain), Dtype::BF16);
    let model = ModelFolder::open(folder.path()).unwrap();
    let mut weights: Weights = made::weights(&plain);
    weights.get_mut("model.norm.weight").unwrap().values[0] = 3.4e38;
    let told = save_model(&model, weights, tempfile::tempdir().unwrap().path()).unwrap_err().to_string();
    assert!(told.contains("model.norm.weight") && told.contains("bfloat16"), "{told}");
}

#[test]
fn everything_that_a_tokenizer_and_a_licence_need_goes_along() {
    let along = [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "generation_config.json",
        "chat_template.jinja",
        "chat_template.json",
        "tokenizer.model",
        "added_tokens.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "additional_chat_templates/tool_use.jinja",
        "LICENSE",
        "license.md",
        "NOTICE.txt",
        "USE_POLICY.md",
    ];
    let behind = ["README.md", "model.gguf", "training_args.bin", "additional_chat_templates/run.sh", "optimizer.pt"];
    let folder = made::model(&config("llama"));
    for name in along.iter().chain(&behind) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("of {name}")).unwrap();
    }
    let model = ModelFolder::open(folder.path()).unwrap();
    let adapter = made::adapter(json!({}), &pairs(&[QUERY], 2, peft_name));
    let trained = tempfile::tempdir().unwrap();
    save_model(&model, made::weights(&config("llama")), trained.path()).unwrap();
    for out in [merged(&model, &adapter), trained] {
        for name in along {
            assert_eq!(std::fs::read_to_string(out.path().join(name)).unwrap(), format!("of {name}"));
        }
        assert!(behind.iter().all(|name| !out.path().join(name).exists()));
    }
}

fn table(seed: u64) -> NamedTensor {
    made::tensor(&[40, 16], seed, 0.4)
}

/// Trained copies of a matrix that stands in two places: both are used, and the merged model is what the live one was.
#[test]
fn matrices_trained_whole_on_a_tied_model_come_apart_only_where_they_differ() {
    let tied = with(config("llama"), json!({"tie_word_embeddings": true}));
    let folder = made::model(&tied);
    let model = ModelFolder::open(folder.path()).unwrap();
    let (embedding, head) = ("base_model.model.model.embed_tokens.weight", "base_model.model.lm_head.weight");
    let low_rank = "base_model.model.model.embed_tokens";
    for (extra, apart) in [
        (vec![(embedding, table(1)), (head, table(2))], true),
        (vec![(embedding, table(1)), (head, table(1))], false),
        (vec![(embedding, table(1))], true),
        (vec![(head, table(1))], true),
        (vec![], false),
    ] {
        let mut tensors = pairs(&[QUERY, LATER], 2, peft_name);
        tensors.extend(extra.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)));
        let adapter = made::adapter(json!({}), &tensors);
        let out = merged(&model, &adapter);
        assert_eq!(said(out.path())["tie_word_embeddings"], !apart);
        let names = ModelFolder::open(out.path()).unwrap();
        assert_eq!((names.spec.tied, names.notes.len()), (!apart, 0));
        assert!(largest_gap(&bare(out.path()), &live(&model, &adapter)) < 1e-4);
    }
    let mut tensors = pairs(&[QUERY], 2, peft_name);
    tensors.insert(format!("{low_rank}.lora_embedding_A"), made::tensor(&[2, 40], 5, 0.4));
    tensors.insert(format!("{low_rank}.lora_embedding_B"), made::tensor(&[16, 2], 6, 0.4));
    let adapter = made::adapter(json!({}), &tensors);
    let out = merged(&model, &adapter);
    assert_eq!(said(out.path())["tie_word_embeddings"], false);
    assert!(largest_gap(&bare(out.path()), &live(&model, &adapter)) < 1e-4);
}

/// A base whose flag was wrong gives a merged model whose flag is right; a multimodal one gives its text model.
#[test]
fn a_merged_configuration_says_what_its_weights_are() {
    let tied = with(config("llama"), json!({"tie_word_embeddings": true}));
    let folder = made::write(&tied, &made::weights(&config("llama")));
    let adapter = made::adapter(json!({}), &pairs(&[QUERY], 2, peft_name));
    let out = merged(&ModelFolder::open(folder.path()).unwrap(), &adapter);
    assert_eq!(said(out.path())["tie_word_embeddings"], false);
    assert!(ModelFolder::open(out.path()).unwrap().notes.is_empty());

    let text = with(config("gemma3_text"), json!({"tie_word_embeddings": true}));
    let whole = json!({"model_type": "gemma3", "text_config": text, "vision_config": {"x": 1}, "eos_token_id": [1, 6]});
    let named = made::weights(&text)
        .into_iter()
        .map(|(name, t)| (format!("language_{}", name.replacen("model.", "model.model.", 1)), t));
    let folder = made::write(&whole, &named.collect());
    let model = ModelFolder::open(folder.path()).unwrap();
    let out = merged(&model, &adapter);
    let said = said(out.path());
    assert_eq!((&said["model_type"], &said["eos_token_id"]), (&json!("gemma3_text"), &json!([1, 6])));
    assert!(largest_gap(&bare(out.path()), &live(&model, &adapter)) < 1e-4);
}

/// With four bits everywhere else, the output product has eight: logits of q4_0 on weights that four bits hold exactly in
/// the blocks differ from f32 only by what q8_0 does to the head.
#[test]
fn four_bits_leave_eight_to_the_output_matrix() {
    for tie in [true, false] {
        let wide = json!({"hidden_size": 64, "head_dim": 16, "intermediate_size": 64, "tie_word_embeddings": tie});
        let plain = with(config("llama"), wide);
        let mut weights = made::weights(&plain);
        // Blocks of one value in sixteen steps: exact in four bits, so that the head alone is rounded.
        for (name, tensor) in &mut weights {
            let inner = name.contains("_proj") || (!tie && name.contains("embed_tokens"));
            for (at, value) in tensor.values.iter_mut().enumerate().filter(|_| inner) {
                *value = if at % 32 == 0 { -0.5 } else { ((at * 7 % 16) as f32 - 8.0) / 16.0 };
            }
        }
        let folder = made::write(&plain, &weights);
        let model = ModelFolder::open(folder.path()).unwrap();
        let exact = model.decoder().unwrap();
        let scale = exact.logits(&ids(), None).unwrap().iter().fold(0.0f32, |most, l| most.max(l.abs()));
        let coarse = |precision| {
            let decoder = model.decoder_with(Backend::default(), precision).unwrap();
            largest_gap(&decoder.logits(&ids(), None).unwrap(), &exact.logits(&ids(), None).unwrap()) / scale
        };
        let (four, eight) = (coarse(Precision::Q4_0), coarse(Precision::Q8_0));
        assert!(four < 0.02 && four < 3.0 * eight.max(1e-3), "tied {tie}: {four} against {eight}");
        let options =
            GenerationOptions { temperature: 0.0, top_p: 1.0, max_new_tokens: 4, seed: 0, stops: BTreeSet::new() };
        let decoder = model.decoder_with(Backend::default(), Precision::Q4_0).unwrap();
        assert_eq!(generate(decoder.as_ref(), None, &ids(), &options).unwrap()[0].ids.len(), 4);
    }
}
