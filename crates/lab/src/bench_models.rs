//! Model folders for benchmarks: random weights of known shapes, an adapter to start from, and rows of fixed length whose
//! words are single tokens. The script of the other stack makes the same ones.

use alidade_domain::{LoraSpec, Precision, Problem, Purpose, Stream, Wording, wording};
use alidade_jobs::machine::compute;
use alidade_model::{AdapterWeights, FloatFormat, RandomModel, save_adapter};
use serde_json::{Value, json};
use std::path::Path;

/// Tokens of a row, and of the prompt of a pair.
const TOKENS: usize = 256;
const PROMPT: usize = 64;
/// Rows to learn, and pairs.
const ROWS: usize = 128;
const PAIRS: usize = 64;
const SPECIAL: [&str; 3] = ["<pad>", "<s>", "</s>"];
const TEMPLATE: &str = "{% for message in messages %}{{ message.content }}{% if not loop.last %} {% endif %}{% endfor %}\
    {% if add_generation_prompt %} {% endif %}";

/// Vocabulary, hidden size, feed-forward size, blocks, heads and KV heads of each shape.
const SHAPES: &[(&str, [usize; 6])] = &[
    ("tiny", [4_096, 256, 688, 6, 8, 4]),
    ("small", [16_384, 384, 1_024, 12, 6, 2]),
    ("smollm2-135m", [49_152, 576, 1_536, 30, 9, 3]),
    ("qwen2.5-0.5b", [151_936, 896, 4_864, 24, 14, 2]),
];

/// Makes such a folder.
///
/// # Errors
/// When the shape or the number format is unknown, or a file cannot be written.
pub fn make_bench_model(shape: &str, dtype: &str, folder: &Path) -> Result<(), Problem> {
    let Some((_, sizes)) = SHAPES.iter().find(|(name, _)| *name == shape) else {
        let names: Vec<&str> = SHAPES.iter().map(|(name, _)| *name).collect();
        let message = wording!(
            "“{shape}” is not a known shape; choose one of {names}.",
            "“{shape}”不是已知的结构，可选：{names}。";
            names = Wording::names(&names)
        );
        return Err(Problem::input(message).at("shape"));
    };
    let stored = match Precision::named(dtype)? {
        Precision::F32 => FloatFormat::F32,
        Precision::Bf16 => FloatFormat::Bf16,
        _ => {
            return Err(Problem::input(wording!(
                "Models are made in f32 or bf16, not in {dtype}.",
                "模型以 f32 或 bf16 生成，不支持 {dtype}。"
            ))
            .at("dtype"));
        }
    };
    let [vocabulary, hidden, intermediate, layers, heads, kv_heads] = *sizes;
    let model = RandomModel { vocabulary, hidden, intermediate, layers, heads, kv_heads, context: 2_048, eos: 2 };
    let start = folder.join("adapter_init");
    std::fs::create_dir_all(&start).map_err(|error| failed(&start, &error))?;
    let decoder = model.decoder(0, compute::backend()?)?;
    model.save(decoder.as_ref(), folder, stored)?;
    let lora = LoraSpec { r: 16, lora_alpha: 32.0, lora_dropout: 0.0, ..LoraSpec::default() };
    let base = |path: &str| decoder.base_weight(path);
    save_adapter(&start, &AdapterWeights::fresh(decoder.spec(), &lora, shape, 0, &base)?)?;
    write_tokenizer(folder, vocabulary)?;
    let mut stream = Stream::new(1, Purpose::Corpus, 0, 0);
    let mut words = |count: usize| {
        let word = |_| format!("t{}", SPECIAL.len() + stream.below(vocabulary - SPECIAL.len()));
        (0..count).map(word).collect::<Vec<_>>().join(" ")
    };
    let rows = (0..ROWS).map(|_| json!({"text": words(TOKENS)})).collect();
    write_lines(&folder.join("sft.jsonl"), rows)?;
    let mut pair =
        || json!({"prompt": words(PROMPT), "chosen": words(TOKENS - PROMPT), "rejected": words(TOKENS - PROMPT)});
    write_lines(&folder.join("dpo.jsonl"), (0..PAIRS).map(|_| pair()).collect())
}

/// One word, one token.
fn write_tokenizer(folder: &Path, vocabulary: usize) -> Result<(), Problem> {
    let word = |id: usize| SPECIAL.get(id).map_or_else(|| format!("t{id}"), |special| (*special).to_owned());
    let words: serde_json::Map<String, Value> = (0..vocabulary).map(|id| (word(id), json!(id))).collect();
    let special = |(id, content): (usize, &&str)| {
        json!({
            "id": id, "content": content, "special": true, "normalized": false, "single_word": false, "lstrip": false,
            "rstrip": false,
        })
    };
    let tokenizer = json!({
        "version": "1.0", "added_tokens": SPECIAL.iter().enumerate().map(special).collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
        "truncation": null, "padding": null,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": SPECIAL[0]},
    });
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "pad_token": SPECIAL[0], "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2], "chat_template": TEMPLATE,
    });
    write_lines(&folder.join("tokenizer.json"), vec![tokenizer])?;
    write_lines(&folder.join("tokenizer_config.json"), vec![config])
}

fn write_lines(path: &Path, lines: Vec<Value>) -> Result<(), Problem> {
    let text: String = lines.into_iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Problem {
    Problem::internal(wording!(
        "GenerationPace {path} failed: {error}.",
        "GenerationPace {path} 失败：{error}。",
        path = path.display()
    ))
}
