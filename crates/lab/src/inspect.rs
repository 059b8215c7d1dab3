//! Reference output for other programs: logits and gradients of given ids, and continuations of given ids.

use alidade_domain::{Precision, Problem, Sampling, Wording, Words, wording};
use alidade_jobs::{ADAPTER, load};
use alidade_model::{
    Decoder, ForwardOptions, GenerationOptions, ModelFolder, SMALL_TEXT, TensorData, TokenBatch, TokenRow, generate,
    read_bounded, read_tensors, write_tensors,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Reads `input_ids` `[B, T]` and writes `logits` `[B, T, V]`; with `gradients` also `loss` and the gradient of the mean
/// next-token cross-entropy by every adapter tensor.
///
/// # Errors
/// When a file or the model cannot be used, or gradients are asked for without an adapter.
pub fn write_logits(
    model: &Path,
    adapter: Option<&Path>,
    input: &Path,
    output: &Path,
    gradients: bool,
) -> Result<(), Problem> {
    let (mut decoder, _) = open(model, adapter, Precision::F32)?;
    let ids = token_rows(input, "input_ids")?;
    let name = adapter.map(|_| ADAPTER);
    let (rows, width) = (ids.len(), ids.first().map_or(0, Vec::len));
    let logits = decoder.logits(&ids, name)?;
    let shape = vec![rows, width, decoder.spec().vocabulary];
    let mut tensors = BTreeMap::from([("logits".to_owned(), (shape, TensorData::Floats(logits)))]);
    if gradients {
        if name.is_none() {
            return Err(Problem::input(Words::new(
                "Gradients are computed for an adapter, but none was given.",
                "要计算适配器的梯度，但没有给出适配器。",
            ))
            .hint(Words::new("Add --adapter DIR.", "加上 --adapter DIR。"))
            .at("gradients"));
        }
        tensors.extend(adapter_gradients(decoder.as_mut(), ids)?);
    }
    Ok(write_tensors(output, &tensors)?)
}

/// Continues the ids in the tensor `prompt` `[B, T]` of a file; returns only the new ids, and the number format of the
/// weights: f32 where the slice back-end does not support model and adapter together.
///
/// # Errors
/// When a file or the model cannot be used.
pub fn continue_ids(
    model: &Path,
    adapter: Option<&Path>,
    precision: Precision,
    input: &Path,
    sampling: &Sampling,
    ignore_eos: bool,
) -> Result<(Vec<Vec<u32>>, Precision), Problem> {
    let (decoder, held) = open(model, adapter, precision)?;
    let prompts = token_rows(input, "prompt")?;
    let stops = if ignore_eos { BTreeSet::new() } else { stop_ids(model) };
    let options = GenerationOptions {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        max_new_tokens: sampling.max_new_tokens,
        seed: sampling.seed,
        stops,
    };
    let answers = generate(decoder.as_ref(), adapter.map(|_| ADAPTER), &prompts, &options)?;
    Ok((answers.into_iter().map(|answer| answer.ids).collect(), held))
}

type Named = (String, (Vec<usize>, TensorData));

fn adapter_gradients(decoder: &mut dyn Decoder, ids: Vec<Vec<u32>>) -> Result<Vec<Named>, Problem> {
    let shapes = decoder.extract(ADAPTER)?.tensors;
    let batch = TokenBatch::new(&ids.into_iter().map(TokenRow::all_scored).collect::<Vec<_>>())?;
    let options = ForwardOptions { adapter: Some(ADAPTER), tape: true, ..ForwardOptions::default() };
    let scores = decoder.forward(&batch, &options)?;
    let count = scores.logp.len();
    decoder.backward(&vec![-1.0 / count as f64; count], None)?;
    let loss = -scores.logp.iter().sum::<f64>() / count as f64;
    let mut tensors = vec![("loss".to_owned(), (Vec::new(), TensorData::Floats(vec![loss as f32])))];
    for (name, values) in decoder.take_gradients()? {
        let shape = shapes.get(&name).map(|tensor| tensor.shape.clone()).unwrap_or_default();
        tensors.push((format!("grad.{name}"), (shape, TensorData::Floats(values))));
    }
    Ok(tensors)
}

fn open(model: &Path, adapter: Option<&Path>, precision: Precision) -> Result<(Box<dyn Decoder>, Precision), Problem> {
    let folder = ModelFolder::open(model).map_err(|error| Problem::from(error).at("model"))?;
    load(&folder, adapter, precision, true)
}

/// Stop ids from the configuration files alone, because such a model may have no tokenizer.
fn stop_ids(model: &Path) -> BTreeSet<u32> {
    let value = |name: &str| -> Option<serde_json::Value> {
        let config: serde_json::Value =
            serde_json::from_slice(&read_bounded(&model.join(name), SMALL_TEXT).ok()?).ok()?;
        config.get("eos_token_id").cloned()
    };
    let number = |value: &serde_json::Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let ids = |value: serde_json::Value| match value.as_array() {
        Some(list) => list.iter().filter_map(number).collect::<Vec<_>>(),
        None => number(&value).into_iter().collect(),
    };
    ["generation_config.json", "config.json"].iter().filter_map(|name| value(name)).flat_map(ids).collect()
}

fn token_rows(input: &Path, name: &str) -> Result<Vec<Vec<u32>>, Problem> {
    if !input.exists() {
        return Err(Problem::input(wording!("There is no file {path}.", "没有文件 {path}。", path = input.display()))
            .at("input"));
    }
    let tensors = read_tensors(input).map_err(|error| Problem::from(error).at("input"))?;
    let bad = |found: Wording| {
        Problem::input(wording!("{path}: {found}.", "{path}：{found}。"; found; path = input.display())).at("input")
    };
    let Some((shape, data)) = tensors.get(name) else {
        return Err(bad(wording!("there is no tensor “{name}”", "没有张量“{name}”")));
    };
    let (TensorData::Integers(values), [rows, width]) = (data, shape.as_slice()) else {
        return Err(bad(wording!(
            "“{name}” must hold whole numbers in two dimensions; its shape is {shape:?}",
            "“{name}”必须是二维整数，而它的形状是 {shape:?}"
        )));
    };
    if *rows == 0 || *width == 0 {
        return Err(bad(wording!("“{name}” is empty", "“{name}”是空的")));
    }
    let id = |value: &i64| {
        u32::try_from(*value)
            .map_err(|_| bad(wording!("“{name}” holds the token id {value}", "“{name}”中有词元编号 {value}")))
    };
    values.chunks(*width).map(|row| row.iter().map(id).collect()).collect()
}
