//! Logits, greedy text and LoRA gradients against transformers and PEFT, for every family with a fixture.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may fail loudly and tell its figures"
)]

use alidade_model::{
    ARCHITECTURES, Backend, ForwardOptions, GenerationOptions, ModelFolder, TokenBatch, TokenRow, generate,
    load_adapter, read_tensors,
};
use std::collections::BTreeSet;
use std::path::PathBuf;

mod common;
use common::{floats, largest_gap, relative_l2, rows};

fn fixture(family: &str) -> PathBuf {
    common::golden("models").join(family)
}

/// On candle, and on the slices with every instruction set of this processor, where they run the family.
fn check(family: &str) {
    let folder = ModelFolder::open(&fixture(family)).unwrap();
    for backend in common::backends(&folder.spec) {
        check_on(family, backend);
    }
}

fn check_on(family: &str, backend: Backend) {
    let folder = ModelFolder::open(&fixture(family)).unwrap();
    let expected = read_tensors(&fixture(family).join("expected.safetensors")).unwrap();
    let mut decoder = folder.decoder_on(backend).unwrap();
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
    println!("{family}, {}: logits {base:.1e} / {adapted:.1e}, worst gradient {worst:.1e}", decoder.path());
    assert!(worst <= 1e-4, "{family}: a gradient is off by {worst}");
}

/// One test per fixture, so that a failure names its family.
macro_rules! agrees_with_transformers {
    ($($test:ident: $family:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            check($family);
        })+

        #[test]
        fn every_family_has_a_fixture() {
            let tested = [$($family),+].map(|family| ModelFolder::open(&fixture(family)).unwrap().spec.family);
            let known: BTreeSet<&str> = ARCHITECTURES.iter().map(|architecture| architecture.name).collect();
            assert_eq!(BTreeSet::from(tested), known);
        }
    };
}

agrees_with_transformers! {
    llama: "llama",
    llama3_rope_scaling: "llama3-rope-scaling",
    mistral_with_a_sliding_window: "mistral-sliding-window",
    qwen2: "qwen2",
    qwen3: "qwen3",
    gemma2: "gemma2",
    gemma3: "gemma3",
    phi3: "phi3",
    smollm3: "smollm3",
    olmo2: "olmo2",
    granite: "granite",
}
