//! Whole passes with bf16 weights on instructions that take pairs (tile registers, where the processor has none, under an
//! emulation): against the f32 arithmetic on the same rounded weights.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly and tell its figures")]

mod common;
#[path = "../../kernels/tests/trap/mod.rs"]
#[allow(unsafe_code, reason = "the emulation belongs to the kernels' tests")]
mod trap;

use alidade_domain::Precision;
use alidade_kernels::{InstructionSet, Level};
use alidade_model::{
    Backend, Checkpointing, Decoder, DropoutSeed, ForwardOptions, GenerationOptions, ModelFolder, TokenBatch, TokenRow,
    generate, load_adapter,
};
use common::{golden, relative_l2, there};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Once;

/// Models, and by how much of their size PyTorch's mixed precision moves their gradients (the worst tensor each;
/// `tests/golden/models/mixed_precision.py`, torch 2.15).
const FAMILIES: &[(&str, f64)] =
    &[("llama", 0.021), ("mistral-sliding-window", 0.018), ("qwen2", 0.022), ("qwen3", 0.020), ("smollm3", 0.042)];
/// Roundings fall differently: the worst of some forty tensors may lie this much above theirs.
const ROOM: f64 = 1.25;

/// Every level that takes pairs.
fn levels() -> Vec<Level> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if InstructionSet::forced(Level::Amx).is_none() {
            trap::install();
        }
    });
    there(&[Level::Avx512Bf16, Level::Amx]).into_iter().map(InstructionSet::level).collect()
}

fn open(family: &str, level: Level) -> Box<dyn Decoder> {
    open_with(family, level, 0.0)
}

fn open_with(family: &str, level: Level, dropout: f64) -> Box<dyn Decoder> {
    open_as(family, level, Precision::Bf16, dropout)
}

fn open_as(family: &str, level: Level, precision: Precision, dropout: f64) -> Box<dyn Decoder> {
    let set = InstructionSet::forced(level).unwrap();
    let folder = ModelFolder::open(&golden("models").join(family)).unwrap();
    let mut adapter = load_adapter(&golden("models").join(family).join("adapter"), &folder.spec).unwrap();
    adapter.config.lora_dropout = dropout;
    let mut decoder = folder.decoder_with(Backend::Slices(set), precision).unwrap();
    decoder.install("adapter", &adapter, true).unwrap();
    decoder
}

fn step(decoder: &mut dyn Decoder) -> (Vec<f64>, BTreeMap<String, Vec<f32>>) {
    let row = |from: u32, length: u32| TokenRow::all_scored((0..length).map(|i| (from + i * 7) % 60).collect());
    let batch = TokenBatch::new(&[row(3, 17), row(11, 9), row(2, 23)]).unwrap();
    let dropout = Some(DropoutSeed { seed: 5, step: 1, micro_batch: 0 });
    let options = ForwardOptions { adapter: Some("adapter"), tape: true, dropout, ..ForwardOptions::default() };
    let scores = decoder.forward(&batch, &options).unwrap();
    decoder.backward(&vec![-1.0 / scores.logp.len() as f64; scores.logp.len()], None).unwrap();
    (scores.logp, decoder.take_gradients().unwrap())
}

#[test]
fn a_training_pass_is_near_the_f32_arithmetic_on_the_same_weights() {
    for level in levels() {
        for (family, theirs_moved) in FAMILIES {
            let mut decoder = open(family, level);
            assert!(
                decoder.path().contains(if level == Level::Amx { "amx" } else { "avx512-bf16" }),
                "{}",
                decoder.path()
            );
            let (ours, theirs) = (step(decoder.as_mut()), step(open(family, Level::Avx512).as_mut()));
            let logp = ours.0.iter().zip(&theirs.0).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let gradients =
                ours.1.iter().map(|(name, values)| relative_l2(values, &theirs.1[name])).fold(0.0, f64::max);
            println!("{level:?}, {family}: log-probability {logp:.1e}, gradient {gradients:.1e}");
            assert!(0.0 < logp && logp < 0.015, "{family}: {logp}");
            assert!(0.0 < gradients && gradients < ROOM * theirs_moved, "{family}: {gradients}");
        }
    }
}

#[test]
fn dropout_draws_the_masks_of_the_f32_arithmetic() {
    for level in levels() {
        let [ours, theirs, without] = [(level, 0.3), (Level::Avx512, 0.3), (level, 0.0)]
            .map(|(level, dropout)| step(open_with("llama", level, dropout).as_mut()));
        let apart = |a: &(Vec<f64>, BTreeMap<String, Vec<f32>>), b: &(Vec<f64>, BTreeMap<String, Vec<f32>>)| {
            a.1.iter().map(|(name, values)| relative_l2(values, &b.1[name])).fold(0.0, f64::max)
        };
        let (gap, effect) = (apart(&ours, &theirs), apart(&without, &theirs));
        println!("{level:?}: gradient {gap:.1e}, without dropout {effect:.1e}");
        assert!(gap < 0.03 && effect > 0.2, "{level:?}: {gap} {effect}");
    }
}

#[test]
fn checkpointing_and_threads_change_no_byte() {
    for level in levels() {
        let run = |checkpointing, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut decoder = open("llama", level);
                decoder.set_checkpointing(checkpointing);
                step(decoder.as_mut())
            })
        };
        let expected = run(Checkpointing::Off, 1);
        for (checkpointing, threads) in [
            (Checkpointing::GateUp, 1),
            (Checkpointing::MiddleStream, 2),
            (Checkpointing::Off, 2),
            (Checkpointing::Blocks, 3),
        ] {
            assert!(run(checkpointing, threads) == expected, "{checkpointing:?} {threads}");
        }
    }
}

#[test]
fn rows_of_a_batch_are_written_as_alone() {
    for level in levels() {
        let options =
            GenerationOptions { temperature: 0.7, top_p: 1.0, max_new_tokens: 12, seed: 4, stops: BTreeSet::new() };
        let prompts = [vec![1, 5, 9], vec![7], vec![2, 3, 4, 5, 6, 8, 11, 30]];
        let decoder = open("llama", level);
        let longer = generate(decoder.as_ref(), Some("adapter"), &prompts[2..], &options).unwrap();
        let cut = GenerationOptions { max_new_tokens: 5, ..options.clone() };
        let shorter = generate(decoder.as_ref(), Some("adapter"), &prompts[2..], &cut).unwrap();
        assert_eq!(shorter[0].ids, longer[0].ids[..5]);
        let greedy = GenerationOptions { temperature: 0.0, ..options };
        let together = generate(decoder.as_ref(), Some("adapter"), &prompts, &greedy).unwrap();
        for (prompt, expected) in prompts.iter().zip(&together) {
            let alone = generate(decoder.as_ref(), Some("adapter"), std::slice::from_ref(prompt), &greedy).unwrap();
            assert_eq!(alone[0], *expected);
        }
    }
}

/// Token by token from the cache, and several at once onto a cache that holds some: as one pass of the f32 arithmetic over the
/// same stored weights gives them, but for the rounding of the other operands.
#[test]
fn writing_with_weights_in_panels_is_near_the_f32_arithmetic() {
    let row: Vec<u32> = (0..40).map(|index| (3 + index * 7) % 60).collect();
    for (family, _) in FAMILIES {
        for precision in [Precision::Bf16, Precision::Q8_0, Precision::Q4_0] {
            let plain = open_as(family, Level::Portable, precision, 0.0);
            let vocabulary = plain.spec().vocabulary;
            let expected = plain.logits(std::slice::from_ref(&row), Some("adapter")).unwrap();
            for level in levels() {
                let decoder = open_as(family, level, precision, 0.0);
                let mut cache = decoder.cache(Some("adapter")).unwrap();
                let mut found = Vec::new();
                // A prompt, single tokens, some at once, single ones again.
                let cuts: Vec<usize> = [0, 9].into_iter().chain(10..25).chain([33]).chain(34..=40).collect();
                for ends in cuts.windows(2) {
                    let fed = [row[ends[0]..ends[1]].to_vec()];
                    let mut keep = |logits: &[&[f32]]| {
                        found.push((ends[1], logits[0].to_vec()));
                        Ok(None)
                    };
                    assert!(cache.advance(&fed, &mut keep).unwrap().is_none());
                }
                let gap = found
                    .iter()
                    .map(|(end, logits)| relative_l2(logits, &expected[(end - 1) * vocabulary..end * vocabulary]))
                    .fold(0.0, f64::max);
                println!("{family}, {precision:?}, {level:?}: logits {gap:.1e}");
                assert!(found.len() == cuts.len() - 1 && gap < 0.03, "{family}, {precision:?}, {level:?}: {gap}");
            }
        }
    }
}
