//! Chat templates of other people's models, rendered to the byte as transformers renders them. They never enter the
//! project: the test runs where they lie beside it, and says so where they do not.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly and tell its counts")]

use alidade_domain::Message;
use alidade_model::{ChatTemplate, Rendering};
use serde_json::Value;
use std::path::PathBuf;

#[test]
fn templates_of_other_models_come_out_to_the_byte() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/methods/chat-templates");
    let Ok(bytes) = std::fs::read(folder.join("expected.json")) else {
        println!("skipped: {} is not here", folder.display());
        return;
    };
    let expected: Value = serde_json::from_slice(&bytes).unwrap();
    let mut renderings = 0;
    for (file, template) in expected["templates"].as_object().unwrap() {
        let special = |name: &str| template["special_tokens"][name].as_str();
        let source = std::fs::read_to_string(folder.join(file)).unwrap();
        // One template writes today's date, which no two days agree on.
        if source.contains("strftime_now") {
            println!("skipped: {file} writes the date");
            continue;
        }
        let compiled = ChatTemplate::new(source, special("bos_token"), special("eos_token")).unwrap();
        for (name, rendering) in template["renderings"].as_object().unwrap() {
            let (conversation, prompt) = name.split_once("|agp=").unwrap();
            let Some(text) = rendering["text"].as_str() else { continue };
            let messages: Vec<Message> =
                serde_json::from_value(expected["conversations"][conversation].clone()).unwrap();
            let how = if prompt == "True" { Rendering::ForAnswer } else { Rendering::Whole };
            assert_eq!(compiled.render(&messages, how).unwrap(), text, "{file}: {name}");
            renderings += 1;
        }
    }
    println!("{renderings} renderings are equal");
    assert!(renderings >= 40);
}
