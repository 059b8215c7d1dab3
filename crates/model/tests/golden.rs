//! Logits, greedy text and LoRA gradients against transformers and PEFT, for every family with a fixture.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may fail loudly and tell its figures"
)]

use alidade_model::{
    ForwardOptions, GenerationOptions, ModelFolder, TensorData, TokenBatch, TokenRow, generate, load_adapter,
    read_tensors,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

type Tensors = BTreeMap<String, (Vec<usize>, TensorData)>;

fn fixture(family: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/models").join(family)
}

fn floats<'a>(tensors: &'a Tensors, name: &str) -> &'a [f32] {
    match &tensors[name].1 {
        TensorData::Floats(values) => values,
        TensorData::Whole(_) => panic!("{name} is whole"),
    }
}

fn rows(tensors: &Tensors, name: &str) -> Vec<Vec<u32>> {
    let (shape, data) = &tensors[name];
    let TensorData::Whole(values) = data else { panic!("{name} holds floats") };
    values.chunks(shape[1]).map(|row| row.iter().map(|id| *id as u32).collect()).collect()
}

fn largest_gap(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn relative_l2(ours: &[f32], theirs: &[f32]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let gap = square(&mut ours.iter().zip(theirs).map(|(a, b)| f64::from(a - b)));
    (gap / square(&mut theirs.iter().map(|value| f64::from(*value)))).sqrt()
}

fn check(family: &str) {
    let folder = ModelFolder::open(&fixture(family)).unwrap();
    let expected = read_tensors(&fixture(family).join("expected.safetensors")).unwrap();
    let mut decoder = folder.decoder().unwrap();
    let adapter = load_adapter(&fixture(family).join("adapter"), &folder.spec).unwrap();
    decoder.install("adapter", &adapter, true).unwrap();
    let ids = rows(&expected, "input_ids");

    let base = largest_gap(&decoder.logits(&ids, None).unwrap(), floats(&expected, "logits"));
    let adapted = largest_gap(&decoder.logits(&ids, Some("adapter")).unwrap(), floats(&expected, "lora_logits"));
    assert!(base <= 1e-4 && adapted <= 1e-4, "{family}: logits differ by {base} and {adapted}");

    let options =
        GenerationOptions { temperature: 0.0, top_p: 1.0, max_new_tokens: 32, seed: 0, stops: BTreeSet::new() };
    let greedy = generate(decoder.as_ref(), None, &rows(&expected, "prompt"), &options).unwrap();
    assert_eq!(greedy[0].ids, rows(&expected, "greedy")[0], "{family}: greedy ids");

    let batch = TokenBatch::new(&ids.into_iter().map(TokenRow::all_scored).collect::<Vec<_>>()).unwrap();
    let options = ForwardOptions { adapter: Some("adapter"), tape: true, ..ForwardOptions::default() };
    let scores = decoder.forward(&batch, &options).unwrap();
    let count = scores.logp.len() as f64;
    let loss = -scores.logp.iter().sum::<f64>() / count;
    assert!((loss - f64::from(floats(&expected, "loss")[0])).abs() < 1e-4, "{family}: loss {loss}");
    decoder.backward(&vec![-1.0 / count; scores.logp.len()], None).unwrap();
    let mut worst: f64 = 0.0;
    for (name, gradient) in decoder.take_gradients().unwrap() {
        worst = worst.max(relative_l2(&gradient, floats(&expected, &format!("grad.{name}"))));
    }
    println!("{family}: logits {base:.1e} / {adapted:.1e}, worst gradient {worst:.1e}");
    assert!(worst <= 1e-4, "{family}: a gradient is off by {worst}");
}

#[test]
fn llama_agrees_with_transformers() {
    check("llama");
}

#[test]
fn llama3_rope_scaling_agrees_with_transformers() {
    check("llama3-rope-scaling");
}

#[test]
fn qwen2_agrees_with_transformers() {
    check("qwen2");
}
