//! Begin tokens, chat templates and tokenizers of strangers, seen through the real binary.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::{alidade, ok, refused};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const DATED: &str = "{{ '<|im_start|>system\n' + strftime_now('%d %B %Y') + '<|im_end|>\n' }}";

/// The starter model with another chat template, in a folder of its own.
fn model(folder: &Path, template: &str) -> PathBuf {
    let (from, to) = (starter(), folder.join("model"));
    std::fs::create_dir_all(&to).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
    std::fs::write(to.join("tokenizer_config.json"), json!({"eos_token": "<|im_end|>"}).to_string()).unwrap();
    std::fs::write(to.join("chat_template.jinja"), template).unwrap();
    to
}

fn starter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../resources/starter/starter")
}

fn recipe(folder: &Path, rows: &[Value], settings: &str) -> PathBuf {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    std::fs::write(folder.join("rows.jsonl"), lines.join("\n")).unwrap();
    let text = format!(
        "method = \"sft\"\nmodel = \"model\"\ndataset = \"rows.jsonl\"\noutput_dir = \"out\"\n[lora]\nr = 2\n[settings]\nwarmup_ratio = 0.0\n{settings}\n"
    );
    let path = folder.join("recipe.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn chat(turns: &[(&str, &str)]) -> Value {
    let message = |(role, content): &(&str, &str)| json!({"role": role, "content": content});
    json!({"messages": turns.iter().map(message).collect::<Vec<_>>()})
}

fn run_json(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("out/run.json")).unwrap()).unwrap()
}

#[test]
fn a_template_is_shown_with_what_the_assistant_says() {
    let folder = tempfile::tempdir().unwrap();
    let guarded = format!(
        "{{% if messages[0].role == 'system' %}}{{{{ raise_exception('no system line') }}}}{{% endif %}}{CHATML}"
    );
    let model = model(folder.path(), &guarded.replace('\n', "\r\n"));
    let file = folder.path().join("messages.json");
    let conversations = [chat(&[("user", "Hi"), ("assistant", "Yes.")]), chat(&[("system", "x"), ("user", "Hi")])];
    let messages: Vec<&Value> = conversations.iter().map(|row| &row["messages"]).collect();
    std::fs::write(&file, json!(messages).to_string()).unwrap();
    let arguments =
        ["inspect", "template", "--model", model.to_str().unwrap(), "--messages", file.to_str().unwrap(), "--json"];
    let shown: Value = serde_json::from_str(&ok(&arguments)).unwrap();
    let [first, second] = [&shown["conversations"][0], &shown["conversations"][1]];
    assert_eq!(first["text"], "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n");
    let said: Vec<&Value> = first["ids"]
        .as_array()
        .unwrap()
        .iter()
        .zip(first["assistant_mask"].as_array().unwrap())
        .filter(|(_, mask)| **mask == 1)
        .map(|(id, _)| id)
        .collect();
    assert_eq!(said.last().unwrap().as_u64(), Some(2));
    assert!(second["refused"].as_str().unwrap().contains("no system line"));
}

#[test]
fn a_run_that_goes_on_tomorrow_reads_what_it_read_today() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path(), &format!("{DATED}{CHATML}"));
    let rows: Vec<Value> =
        (1..=4).map(|n| chat(&[("user", &format!("Where is house {n}?")), ("assistant", "There.")])).collect();
    let path = recipe(folder.path(), &rows, "max_steps = 2\nsave_steps = 1\nper_device_train_batch_size = 2");
    let on = |day: &str| {
        let output = alidade(&["train", path.to_str().unwrap()]).env("ALIDADE_NOW", day).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    on("2026-11-28T09:00:00");
    let (first, adapter) =
        (run_json(folder.path()), std::fs::read(folder.path().join("out/adapter/adapter_model.safetensors")).unwrap());
    assert_eq!(first["plan"]["now"], "2026-11-28T09:00:00");
    // As if it had been cut off before its end.
    std::fs::remove_dir_all(folder.path().join("out/adapter")).unwrap();
    std::fs::remove_file(folder.path().join("out/run.json")).unwrap();
    on("2027-05-01T09:00:00");
    assert_eq!(run_json(folder.path())["plan"]["now"], "2026-11-28T09:00:00");
    assert_eq!(std::fs::read(folder.path().join("out/adapter/adapter_model.safetensors")).unwrap(), adapter);
}

#[test]
fn a_row_that_the_template_refuses_is_named_and_the_others_are_trained() {
    let folder = tempfile::tempdir().unwrap();
    let strict = format!(
        "{{% for m in messages %}}{{% if (m.role == 'user') != loop.index0 is even %}}{{{{ raise_exception('Turns must alternate') }}}}{{% endif %}}{{% endfor %}}{CHATML}"
    );
    model(folder.path(), &strict);
    let good = chat(&[("user", "Hi"), ("assistant", "Hello.")]);
    let odd = chat(&[("user", "Hi"), ("user", "You?"), ("assistant", "Hello.")]);
    let path = recipe(folder.path(), &[good.clone(), odd, good], "max_steps = 1");
    let output = alidade(&["train", path.to_str().unwrap()]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    assert!(words.contains("row 2") && words.contains("Turns must alternate"), "{words}");
}

#[test]
fn tokenizers_made_to_stop_programs_end_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path(), CHATML);
    let whole: Value = serde_json::from_slice(&std::fs::read(starter().join("tokenizer.json")).unwrap()).unwrap();
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let chain = |steps: Vec<Value>| json!({"type": "Sequence", "normalizers": steps});
    for normalizer in [
        chain(vec![replace("a", "aa"); 40]),
        replace("", "x"),
        chain(vec![json!({"type": "Prepend", "prepend": "x"}); 1000]),
    ] {
        let mut changed = whole.clone();
        changed["normalizer"] = normalizer;
        std::fs::write(model.join("tokenizer.json"), changed.to_string()).unwrap();
        let words =
            refused(&["generate", "--model", model.to_str().unwrap(), "--prompt", "a", "--max-new-tokens", "1"], 2);
        assert!(words.contains("normalizer"), "{words}");
    }
    let mut changed = whole;
    changed["pre_tokenizer"] =
        json!({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": false});
    std::fs::write(model.join("tokenizer.json"), changed.to_string()).unwrap();
    let prompt = format!("{}b", "a".repeat(64));
    let arguments = ["generate", "--model", model.to_str().unwrap(), "--prompt", &prompt, "--max-new-tokens", "1"];
    let output = alidade(&arguments).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    assert!(output.status.code().is_some());
}
