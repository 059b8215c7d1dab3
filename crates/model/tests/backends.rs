//! The slice back-end against the candle back-end: everything that a training step can ask for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may fail loudly and tell its figures"
)]

mod common;

use alidade_domain::{Device, Precision};
use alidade_kernels::Level;
use alidade_model::{
    Backend, Checkpointing, Decoder, DropoutSeed, Engine, Finish, ForwardOptions, GenerationOptions, ModelFolder,
    TensorData, TokenBatch, TokenRow, TokenScores, generate, load_adapter, read_tensors, write_tensors,
};
use common::{golden, relative_l2, there};
use std::collections::{BTreeMap, BTreeSet};

const FAMILIES: &[&str] = &["llama", "llama3-rope-scaling", "mistral-sliding-window", "qwen2", "qwen3", "smollm3"];
/// Levels whose products round no operand.
const WHOLE: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];
const SEED: DropoutSeed = DropoutSeed { seed: 5, step: 3, micro_batch: 1 };

struct Case {
    name: &'static str,
    dropout: f64,
    options: ForwardOptions<'static>,
    packed: bool,
}

fn cases() -> Vec<Case> {
    let plain = ForwardOptions { adapter: Some("adapter"), tape: true, ..ForwardOptions::default() };
    let case = |name, dropout, options, packed| Case { name, dropout, options, packed };
    vec![
        case("plain", 0.0, plain, false),
        case("packed", 0.0, plain, true),
        case("warm", 0.0, ForwardOptions { temperature: Some(0.7), ..plain }, false),
        case("dropout", 0.3, ForwardOptions { dropout: Some(SEED), ..plain }, false),
        case("noise", 0.0, ForwardOptions { dropout: Some(SEED), noise: Some(5.0), ..plain }, false),
        case("hidden as well", 0.0, ForwardOptions { hidden: true, ..plain }, false),
        case("hidden alone", 0.0, ForwardOptions { hidden_only: true, ..plain }, false),
    ]
}

fn open(family: &str, backend: Backend, dropout: f64) -> Box<dyn Decoder> {
    let folder = ModelFolder::open(&golden("models").join(family)).unwrap();
    let mut adapter = load_adapter(&golden("models").join(family).join("adapter"), &folder.spec).unwrap();
    adapter.config.lora_dropout = dropout;
    let mut decoder = folder.decoder_on(backend).unwrap();
    decoder.install("adapter", &adapter, true).unwrap();
    decoder
}

fn batch(packed: bool) -> TokenBatch {
    let row = |from: u32, length: u32, first: usize| TokenRow {
        ids: (0..length).map(|i| (from + i * 7) % 60).collect(),
        scored: (0..length as usize).map(|at| at >= first).collect(),
    };
    let rows = [row(3, 17, 4), row(11, 9, 1), row(2, 23, 20), row(40, 5, 2)];
    if packed {
        return TokenBatch::packed(&[rows[..2].to_vec(), rows[2..].to_vec()]).unwrap();
    }
    TokenBatch::new(&rows).unwrap()
}

type Gradients = BTreeMap<String, Vec<f32>>;

fn step(decoder: &mut dyn Decoder, options: &ForwardOptions, packed: bool) -> (TokenScores, Gradients) {
    let scores = decoder.forward(&batch(packed), options).unwrap();
    let wave = |count: usize| (0..count).map(|i| (i as f64 * 0.9).sin());
    let logp: Vec<f64> = wave(scores.logp.len()).collect();
    let hidden: Vec<f32> = wave(scores.hidden.len()).map(|value| value as f32 * 0.1).collect();
    decoder.backward(&logp, (!hidden.is_empty()).then_some(&hidden[..])).unwrap();
    (scores, decoder.take_gradients().unwrap())
}

fn compare(case: &str, ours: (TokenScores, Gradients), theirs: (TokenScores, Gradients)) -> f64 {
    assert_eq!(ours.1.keys().collect::<Vec<_>>(), theirs.1.keys().collect::<Vec<_>>(), "{case}");
    let scores = |scores: &TokenScores| {
        let floats = scores.hidden.iter().map(|value| f64::from(*value));
        let rows = scores.logp.iter().chain(&scores.entropy).chain(&scores.mean_logit);
        rows.copied().chain(floats).collect::<Vec<f64>>()
    };
    assert_eq!(ours.0.top, theirs.0.top, "{case}");
    for (a, b) in scores(&ours.0).iter().zip(scores(&theirs.0)) {
        assert!((a - b).abs() < 3e-5 * b.abs().max(1.0), "{case}: {a} against {b}");
    }
    let gaps = ours.1.iter().map(|(name, values)| relative_l2(values, &theirs.1[name]));
    gaps.fold(0.0, f64::max)
}

#[test]
fn every_kind_of_pass_agrees_with_candle() {
    for family in FAMILIES {
        let mut worst: f64 = 0.0;
        for case in cases() {
            let run = |backend| step(open(family, backend, case.dropout).as_mut(), &case.options, case.packed);
            for set in there(&WHOLE) {
                let gap = compare(case.name, run(Backend::Slices(set)), run(Backend::Candle(Device::Cpu)));
                assert!(gap <= 1e-5, "{family}, {}, {set:?}: {gap}", case.name);
                worst = worst.max(gap);
            }
        }
        println!("{family}: worst gradient {worst:.1e}");
    }
}

#[test]
fn full_training_agrees_with_candle() {
    for family in FAMILIES {
        let run = |backend| {
            let mut decoder = ModelFolder::open(&golden("models").join(family)).unwrap().decoder_on(backend).unwrap();
            decoder.train_base().unwrap();
            let options = ForwardOptions { tape: true, ..ForwardOptions::default() };
            step(decoder.as_mut(), &options, false);
            step(decoder.as_mut(), &options, true)
        };
        let gap = compare(family, run(Backend::default()), run(Backend::Candle(Device::Cpu)));
        println!("{family}: worst gradient {gap:.1e}");
        assert!(gap <= 1e-5, "{family}: {gap}");
    }
}

#[test]
fn checkpointing_and_threads_change_no_byte() {
    for family in FAMILIES {
        let run = |checkpointing: Checkpointing, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut decoder = open(family, Backend::default(), 0.2);
                decoder.set_checkpointing(checkpointing);
                let options = cases().remove(3).options;
                let (scores, gradients) = step(decoder.as_mut(), &options, false);
                (scores.logp, gradients)
            })
        };
        let expected = run(Checkpointing::Off, 1);
        for (checkpointing, threads) in [
            (Checkpointing::GateUp, 1),
            (Checkpointing::MiddleStream, 2),
            (Checkpointing::Off, 2),
            (Checkpointing::Blocks, 3),
        ] {
            assert!(run(checkpointing, threads) == expected, "{family}: {checkpointing:?} {threads}");
        }
    }
}

#[test]
fn rows_of_a_batch_are_written_as_alone_and_as_candle_writes_them() {
    let options =
        GenerationOptions { temperature: 0.0, top_p: 1.0, max_new_tokens: 24, seed: 0, stops: BTreeSet::new() };
    let prompts = [vec![1, 5, 9], vec![7], vec![2, 3, 4, 5, 6, 8, 11, 30]];
    for family in FAMILIES {
        let ours = open(family, Backend::default(), 0.0);
        let candle = open(family, Backend::Candle(Device::Cpu), 0.0);
        for adapter in [None, Some("adapter")] {
            let together = generate(ours.as_ref(), adapter, &prompts, &options).unwrap();
            assert_eq!(together, generate(candle.as_ref(), adapter, &prompts, &options).unwrap(), "{family}");
            for (prompt, expected) in prompts.iter().zip(&together) {
                let alone = generate(ours.as_ref(), adapter, std::slice::from_ref(prompt), &options).unwrap();
                assert_eq!(alone[0], *expected, "{family}");
            }
            // A row that ends leaves the others as they were.
            let stop = together[0].ids[3];
            let stopping = GenerationOptions { stops: BTreeSet::from([stop]), ..options.clone() };
            let stopped = generate(ours.as_ref(), adapter, &prompts, &stopping).unwrap();
            for (row, whole) in stopped.iter().zip(&together) {
                let end = whole.ids.iter().position(|id| *id == stop);
                assert_eq!(row.ids, whole.ids[..end.unwrap_or(whole.ids.len())], "{family}");
                assert_eq!(row.finish, if end.is_some() { Finish::Stop } else { Finish::Length });
            }
        }
    }
}

#[test]
fn an_adapter_that_the_slices_do_not_carry_moves_the_model_to_candle() {
    let path = golden("methods").join("llama");
    let folder = ModelFolder::open(&path.join("base")).unwrap();
    let mut decoder = folder.decoder().unwrap();
    let plain = load_adapter(&path.join("lora_qv_r4_a8"), &folder.spec).unwrap();
    decoder.install("first", &plain, true).unwrap();
    assert!(matches!(decoder.capabilities().engine, Engine::Slices(_)), "{}", decoder.path());
    let names = decoder.trainable();
    decoder.install("second", &load_adapter(&path.join("dora_all_r4_a8"), &folder.spec).unwrap(), false).unwrap();
    assert_eq!(decoder.capabilities().engine, Engine::Candle(Device::Cpu));
    assert_eq!(decoder.trainable(), names);
    assert_eq!(decoder.extract("first").unwrap(), plain);
}

/// A decoder that is opened for such an adapter computes the same bytes as one that moves when the adapter arrives.
#[test]
fn a_model_opened_on_candle_is_the_one_that_moves_there() {
    let path = golden("methods").join("llama");
    let folder = ModelFolder::open(&path.join("base")).unwrap();
    let dora = load_adapter(&path.join("dora_all_r4_a8"), &folder.spec).unwrap();
    let options = ForwardOptions { adapter: Some("dora"), tape: true, ..ForwardOptions::default() };
    for precision in [Precision::F32, Precision::Bf16] {
        let run = |backend: Backend| {
            let mut decoder = folder.decoder_with(backend, precision).unwrap();
            decoder.install("dora", &dora, true).unwrap();
            let found = decoder.capabilities();
            assert_eq!((found.engine, found.precision), (Engine::Candle(Device::Cpu), precision));
            assert_eq!((found.precisions, found.checkpointing), ([Precision::F32].as_slice(), false));
            step(decoder.as_mut(), &options, false)
        };
        let opened = Backend::default().carrying(&folder.spec, Some(&dora));
        assert_eq!(opened, Backend::Candle(Device::Cpu));
        let ((moved, gradients), (ours, same)) = (run(Backend::default()), run(opened));
        assert_eq!((moved.logp, gradients), (ours.logp, same), "{precision:?}");
    }
    // Without such an adapter nothing changes.
    assert_eq!(Backend::default().carrying(&folder.spec, None), Backend::default());
}

/// A model of bf16 weights gives the same whether they are held as such or as f32.
#[test]
fn weights_held_in_half_the_memory_are_the_rounded_ones() {
    for family in FAMILIES {
        let (source, rounded) = (golden("models").join(family), tempfile::tempdir().unwrap());
        std::fs::copy(source.join("config.json"), rounded.path().join("config.json")).unwrap();
        let mut tensors = read_tensors(&source.join("model.safetensors")).unwrap();
        for (_, data) in tensors.values_mut() {
            let TensorData::Floats(values) = data else { continue };
            values.iter_mut().for_each(|value| *value = f32::from_bits(value.to_bits() & 0xffff_0000));
        }
        write_tensors(&rounded.path().join("model.safetensors"), &tensors).unwrap();
        let folder = ModelFolder::open(rounded.path()).unwrap();
        let adapter = load_adapter(&source.join("adapter"), &folder.spec).unwrap();
        let run = |backend, precision| {
            let mut decoder = folder.decoder_with(backend, precision).unwrap();
            decoder.install("adapter", &adapter, true).unwrap();
            let options = ForwardOptions { adapter: Some("adapter"), tape: true, ..ForwardOptions::default() };
            step(decoder.as_mut(), &options, false)
        };
        // Tiles round the other operand too: they have tests of their own.
        for set in there(&WHOLE) {
            let ours = run(Backend::Slices(set), Precision::Bf16);
            let gap = compare(family, ours, run(Backend::Candle(Device::Cpu), Precision::F32));
            println!("{family}, {set:?}: worst gradient {gap:.1e}");
            assert!(gap <= 1e-5, "{family}, {set:?}: {gap}");
        }
    }
}

#[test]
fn logits_of_no_token_and_of_uneven_rows_are_refused() {
    for family in FAMILIES {
        let decoder = open(family, Backend::default(), 0.0);
        for ids in [vec![], vec![vec![]], vec![vec![1, 2], vec![3]]] {
            assert!(decoder.logits(&ids, None).is_err(), "{family} {ids:?}");
        }
    }
}
