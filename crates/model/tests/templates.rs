//! Chat templates, rendered to the byte as transformers renders them: our own in any case, and those of other people's models
//! where they lie beside the project, which they never enter.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly and tell its counts")]

use alidade_domain::{LocalTime, Message};
use alidade_model::{ChatTemplate, Rendering};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Our own templates; `make.py` beside them rendered them with transformers.
#[test]
fn own_templates_come_out_to_the_byte() {
    let folder = alidade_testkit::golden("templates");
    let (renderings, masks, refused) = compare(&folder).unwrap();
    assert_eq!((renderings, masks, refused), (60, 8, 4));
}

#[test]
fn templates_of_other_models_come_out_to_the_byte() {
    let Some(folder) = alidade_testkit::beside_project("golden/methods/chat-templates") else { return };
    let (renderings, masks, _) = compare(&folder).unwrap();
    println!("{renderings} renderings and {masks} masks are equal");
    assert!(renderings >= 40);
}

/// Holds every rendering that a folder expects; how many texts, masks and refusals were equal.
fn compare(folder: &Path) -> Option<(usize, usize, usize)> {
    let bytes = std::fs::read(folder.join("expected.json")).ok()?;
    let expected: Value = serde_json::from_slice(&bytes).unwrap();
    let (mut renderings, mut masks, mut refused) = (0, 0, 0);
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
            let messages: Vec<Message> =
                serde_json::from_value(expected["conversations"][conversation].clone()).unwrap();
            let how = if prompt == "True" { Rendering::ForAnswer } else { Rendering::Whole };
            let ours = compiled.render(&messages, how);
            if rendering["refused"].is_string() {
                assert!(ours.is_err(), "{file}: {name}: {ours:?}");
                refused += 1;
            }
            let Some(text) = rendering["text"].as_str() else { continue };
            assert_eq!(ours.unwrap(), text, "{file}: {name}");
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
    Some((renderings, masks, refused))
}
