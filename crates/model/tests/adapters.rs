//! Every kind of adapter against PEFT: logits, merged weights, prefixes, gradients, and what is written again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may fail loudly and tell its figures"
)]

mod common;

use alidade_model::{
    Decoder, ForwardOptions, GenerationOptions, ModelFolder, TokenBatch, TokenRow, generate, load_adapter,
    read_tensors, save_adapter, save_merged,
};
use common::{Tensors, floats, golden, largest_gap, relative_l2, rows};
use std::collections::BTreeSet;
use std::path::PathBuf;

const FAMILIES: &[&str] = &["llama", "qwen2", "qwen3"];
const LORA: &[&str] = &["lora_qv_r4_a8", "lora_all_rslora_r4_a16", "lora_pattern", "dora_all_r4_a8"];
const PREFIX: &[&str] = &["prefix_v5", "prefix_v5_projection"];

struct Fixture {
    path: PathBuf,
    folder: ModelFolder,
    expected: Tensors,
}

impl Fixture {
    fn open(family: &str) -> Self {
        let path = golden("methods").join(family);
        let folder = ModelFolder::open(&path.join("base")).unwrap();
        let expected = read_tensors(&path.join("expected.safetensors")).unwrap();
        Self { path, folder, expected }
    }

    fn decoder(&self, adapter: &str) -> Box<dyn Decoder> {
        let weights = load_adapter(&self.path.join(adapter), &self.folder.spec).unwrap();
        let mut decoder = self.folder.decoder().unwrap();
        decoder.install("adapter", &weights, true).unwrap();
        decoder
    }

    /// Largest difference of a logit on the real tokens; those of padding mean nothing.
    fn gap(&self, decoder: &dyn Decoder, adapter: Option<&str>, name: &str) -> f32 {
        let (ids, mask) = (rows(&self.expected, "input_ids"), rows(&self.expected, "attention_mask"));
        let ours = decoder.logits(&ids, adapter).unwrap();
        let width = self.folder.spec.vocabulary;
        let real = mask.iter().flatten().enumerate().filter(|(_, real)| **real == 1);
        let theirs = floats(&self.expected, name);
        let part = |at: usize| largest_gap(&ours[at * width..][..width], &theirs[at * width..][..width]);
        real.map(|(at, _)| part(at)).fold(0.0, f32::max)
    }
}

fn adapters(family: &str) -> impl Iterator<Item = &'static str> {
    let extra: &[&str] = if family == "llama" { &["lora_embed_head_r4"] } else { &[] };
    LORA.iter().chain(extra).copied()
}

#[test]
fn logits_agree_with_peft() {
    for family in FAMILIES {
        let fixture = Fixture::open(family);
        for name in adapters(family).chain(PREFIX.iter().copied()) {
            let decoder = fixture.decoder(name);
            let base = fixture.gap(decoder.as_ref(), None, "logits_base");
            let adapted = fixture.gap(decoder.as_ref(), Some("adapter"), &format!("logits_{name}"));
            println!("{family} {name}: base {base:.1e}, adapted {adapted:.1e}");
            assert!(base <= 1e-4 && adapted <= 1e-4, "{family} {name}: {base} and {adapted}");
        }
    }
}

#[test]
fn merged_models_agree_with_peft() {
    for family in FAMILIES {
        let fixture = Fixture::open(family);
        for name in adapters(family) {
            let out = tempfile::tempdir().unwrap();
            let weights = load_adapter(&fixture.path.join(name), &fixture.folder.spec).unwrap();
            save_merged(&fixture.folder, &weights, out.path()).unwrap();
            let merged = ModelFolder::open(out.path()).unwrap().decoder().unwrap();
            let gap = fixture.gap(merged.as_ref(), None, &format!("logits_merged_{name}"));
            assert!(gap <= 1e-4, "{family} {name}: {gap}");
            if let Some(expected) = fixture.expected.contains_key(&format!("merged_q0_{name}")).then_some(name) {
                let ours = merged.base_weight("model.layers.0.self_attn.q_proj").unwrap();
                let gap = largest_gap(&ours.values, floats(&fixture.expected, &format!("merged_q0_{expected}")));
                assert!(gap <= 1e-6, "{family} {name}: the weight differs by {gap}");
            }
        }
        let prefix = load_adapter(&fixture.path.join("prefix_v5"), &fixture.folder.spec).unwrap();
        let refused = save_merged(&fixture.folder, &prefix, tempfile::tempdir().unwrap().path()).unwrap_err();
        assert!(refused.to_string().contains("prefix"), "{refused}");
    }
}

#[test]
fn prefixes_continue_a_prompt_as_peft_does() {
    for family in FAMILIES {
        let fixture = Fixture::open(family);
        for name in PREFIX {
            let expected = &rows(&fixture.expected, &format!("greedy_{name}"))[0];
            let (prompt, answer) = expected.split_at(4);
            let options = GenerationOptions {
                temperature: 0.0,
                top_p: 1.0,
                max_new_tokens: answer.len(),
                seed: 0,
                stops: BTreeSet::new(),
            };
            let ours = generate(fixture.decoder(name).as_ref(), Some("adapter"), &[prompt.to_vec()], &options).unwrap();
            assert_eq!(ours[0].ids, answer, "{family} {name}");
        }
    }
}

/// Rows of the fixture, with marks on the labelled tokens.
fn labelled(fixture: &Fixture) -> TokenBatch {
    let expected = &fixture.expected;
    let (ids, mask) = (rows(expected, "input_ids"), rows(expected, "attention_mask"));
    let alidade_model::TensorData::Integers(labels) = &expected["labels"].1 else { panic!("labels are whole") };
    let marks = labels.chunks(ids[0].len()).map(|row| row.iter().map(|label| *label >= 0).collect::<Vec<_>>());
    let row = |((ids, mask), marks): ((&Vec<u32>, &Vec<u32>), Vec<bool>)| {
        let real = mask.iter().filter(|real| **real == 1).count();
        TokenRow { ids: ids[..real].to_vec(), scored: marks[..real].to_vec() }
    };
    TokenBatch::new(&ids.iter().zip(&mask).zip(marks).map(row).collect::<Vec<_>>()).unwrap()
}

#[test]
fn gradients_agree_with_peft() {
    for family in FAMILIES {
        let fixture = Fixture::open(family);
        let cases = [("lora_qv_r4_a8", "sft_loss"), ("prefix_v5", "prefix_sft_loss")];
        for (name, loss_name) in cases {
            let mut decoder = fixture.decoder(name);
            let options = ForwardOptions { adapter: Some("adapter"), tape: true, ..ForwardOptions::default() };
            let scores = decoder.forward(&labelled(&fixture), &options).unwrap();
            let count = scores.logp.len() as f64;
            let loss = -scores.logp.iter().sum::<f64>() / count;
            let theirs = f64::from(floats(&fixture.expected, loss_name)[0]);
            assert!((loss - theirs).abs() <= 1e-4 * theirs, "{family} {name}: loss {loss}, theirs {theirs}");
            decoder.backward(&vec![-1.0 / count; scores.logp.len()], None).unwrap();
            for (tensor, gradient) in decoder.take_gradients().unwrap() {
                let key = if tensor == "prompt_embeddings" {
                    "prefix_sft_grad".to_owned()
                } else {
                    format!("sft_grad.{tensor}")
                };
                let gap = relative_l2(&gradient, floats(&fixture.expected, &key));
                assert!(gap <= 1e-4, "{family} {tensor}: {gap}");
            }
        }
    }
}

#[test]
fn every_trainable_tensor_of_every_kind_gets_a_gradient() {
    for family in FAMILIES {
        let fixture = Fixture::open(family);
        for name in adapters(family).chain(PREFIX.iter().copied()) {
            let mut decoder = fixture.decoder(name);
            let options = ForwardOptions { adapter: Some("adapter"), tape: true, ..ForwardOptions::default() };
            let scores = decoder.forward(&labelled(&fixture), &options).unwrap();
            decoder.backward(&vec![-1.0; scores.logp.len()], None).unwrap();
            let gradients = decoder.take_gradients().unwrap();
            assert_eq!(gradients.len(), decoder.trainable().len());
            let dead = gradients.iter().find(|(_, values)| values.iter().all(|value| *value == 0.0));
            assert!(dead.is_none(), "{family} {name}: {:?}", dead.map(|(tensor, _)| tensor));
        }
    }
}

#[test]
fn what_is_written_is_what_was_read() {
    for family in FAMILIES {
        let fixture = Fixture::open(family);
        for name in adapters(family).chain(PREFIX.iter().copied()) {
            let weights = load_adapter(&fixture.path.join(name), &fixture.folder.spec).unwrap();
            let out = tempfile::tempdir().unwrap();
            save_adapter(out.path(), &weights).unwrap();
            assert_eq!(load_adapter(out.path(), &fixture.folder.spec).unwrap(), weights, "{family} {name}");
            let theirs = read_tensors(&fixture.path.join(name).join("adapter_model.safetensors")).unwrap();
            let ours = read_tensors(&out.path().join("adapter_model.safetensors")).unwrap();
            assert_eq!(ours, theirs, "{family} {name}: names, shapes and values");
        }
    }
}

#[test]
fn packed_documents_do_not_see_each_other() {
    let fixture = Fixture::open("qwen3");
    let mut decoder = fixture.decoder("lora_qv_r4_a8");
    let documents: Vec<TokenRow> =
        [vec![1, 5, 9, 13], vec![7, 11, 40], vec![2, 3, 4, 5, 6]].into_iter().map(TokenRow::all_scored).collect();
    let options = ForwardOptions { adapter: Some("adapter"), ..ForwardOptions::default() };
    let apart = decoder.forward(&TokenBatch::new(&documents).unwrap(), &options).unwrap().logp;
    let bins = vec![documents[..2].to_vec(), documents[2..].to_vec()];
    let packed = decoder.forward(&TokenBatch::packed(&bins).unwrap(), &options).unwrap().logp;
    let gap = apart.iter().zip(&packed).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart.len() == packed.len() && gap <= 1e-5, "packing changes a log-probability by {gap}");
}
