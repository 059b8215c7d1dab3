//! Chat templates of other people's models, rendered to the byte as transformers renders them. They never enter the
//! project: the test runs where they lie beside it, and says so where they do not.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly and tell its counts")]

use alidade_domain::{LocalTime, Message};
use alidade_model::{ChatTemplate, Rendering};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[test]
fn templates_of_other_models_come_out_to_the_byte() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/methods/chat-templates");
    let Ok(bytes) = std::fs::read(folder.join("expected.json")) else {
        println!("skipped: {} is not here", folder.display());
        return;
    };
    let expected: Value = serde_json::from_slice(&bytes).unwrap();
    let (mut renderings, mut masks) = (0, 0);
    for (file, template) in expected["templates"].as_object().unwrap() {
        let source = std::fs::read_to_string(folder.join(file)).unwrap();
        // One template writes today's date, which no two days agree on.
        if source.contains("strftime_now") {
            println!("skipped: {file} writes the date");
            continue;
        }
        let named = template["special_tokens"].as_object().unwrap().iter();
        let tokens: BTreeMap<String, String> =
            named.filter_map(|(name, token)| Some((name.clone(), token.as_str()?.to_owned()))).collect();
        let special = tokens.values().cloned().collect();
        let compiled = ChatTemplate::new(&source, &tokens, special, LocalTime::day(2026, 11, 28)).unwrap();
        for (name, rendering) in template["renderings"].as_object().unwrap() {
            let (conversation, prompt) = name.split_once("|agp=").unwrap();
            let Some(text) = rendering["text"].as_str() else { continue };
            let messages: Vec<Message> =
                serde_json::from_value(expected["conversations"][conversation].clone()).unwrap();
            let how = if prompt == "True" { Rendering::ForAnswer } else { Rendering::Whole };
            assert_eq!(compiled.render(&messages, how).unwrap(), text, "{file}: {name}");
            if let Some(spans) = rendering["generation_char_spans"].as_array() {
                let (text, parts) = compiled.assistant_parts(&messages).unwrap();
                let characters = |byte: usize| text[..byte].chars().count();
                let found: Vec<[usize; 2]> =
                    parts.iter().map(|part| [characters(part.start), characters(part.end)]).collect();
                assert_eq!(serde_json::to_value(found).unwrap(), Value::Array(spans.clone()), "{file}: {name}");
                masks += 1;
            }
            renderings += 1;
        }
    }
    println!("{renderings} renderings and {masks} masks are equal");
    assert!(renderings >= 40);
}
