//! Renders conversations with a model's chat template: the text, its tokens, and the mask of assistant tokens. Other
//! programs compare their renderings with it, and people see which tokens of a row are learned.

use alidade_domain::{Message, Problem, wording};
use alidade_model::{ChatTemplate, DATA, ModelError, Rendering, TextTokenizer, read_bounded};
use serde_json::{Value, json};
use std::path::Path;

/// Reads a conversation, or a list of them, from a JSON file and renders each. Returns an object for each: `text`, `ids` and
/// `assistant_mask` (1 where the assistant speaks; `null` with a reason in `unmasked` where that is unknown), or `refused`
/// with the message of the template. With `for_answer` the assistant's next turn is opened and there is no mask.
///
/// # Errors
/// When a file cannot be used, or the model has no chat template.
pub fn inspect_template(model: &Path, messages: &Path, for_answer: bool) -> Result<Vec<Value>, Problem> {
    let bytes = read_bounded(messages, DATA).map_err(|error| {
        Problem::input(wording!(
            "Reading {path} failed: {error}.",
            "读取 {path} 失败：{error}。",
            path = messages.display()
        ))
        .at("messages")
    })?;
    let conversations = conversations(&bytes).map_err(|error| {
        let message = wording!(
            "{path} is not a list of messages with role and content: {error}.",
            "{path} 不是带 role 和 content 的消息列表：{error}。",
            path = messages.display()
        );
        Problem::input(message).at("messages")
    })?;
    let at_model = |error| Problem::from(error).at("model");
    let tokenizer = TextTokenizer::open(model).map_err(at_model)?;
    let template = ChatTemplate::open(model, &tokenizer, alidade_jobs::local_time()).map_err(at_model)?;
    let template = template
        .ok_or_else(|| Problem::input(wording!("The model has no chat template.", "模型没有对话模板。")).at("model"))?;
    let shown = |messages: &Vec<Message>| match show(&template, &tokenizer, messages, for_answer) {
        Err(error @ (ModelError::Refused { .. } | ModelError::Template { .. })) => {
            Ok(json!({"refused": error.to_string()}))
        }
        shown => Ok(shown.map_err(at_model)?),
    };
    conversations.iter().map(shown).collect()
}

/// One conversation or several.
fn conversations(bytes: &[u8]) -> serde_json::Result<Vec<Vec<Message>>> {
    let value: Value = serde_json::from_slice(bytes)?;
    match value.get(0) {
        Some(Value::Array(_)) => serde_json::from_value(value),
        _ => serde_json::from_value(value).map(|one| vec![one]),
    }
}

fn show(
    template: &ChatTemplate,
    tokenizer: &TextTokenizer,
    messages: &[Message],
    for_answer: bool,
) -> Result<Value, ModelError> {
    if for_answer {
        let text = template.render(messages, Rendering::ForAnswer)?;
        return Ok(json!({"ids": tokenizer.encode(&text)?, "text": text}));
    }
    match template.assistant_parts(messages) {
        Ok((text, parts)) => {
            let (ids, places) = tokenizer.encode_with_places(&text)?;
            let said = |place: &std::ops::Range<usize>| {
                parts.iter().any(|part| place.end > part.start && place.start < part.end)
            };
            let mask: Vec<u8> = places.iter().map(|place| u8::from(said(place))).collect();
            Ok(json!({"text": text, "ids": ids, "assistant_mask": mask}))
        }
        Err(ModelError::Refused { reason }) => {
            let text = template.render(messages, Rendering::Whole)?;
            Ok(json!({"ids": tokenizer.encode(&text)?, "text": text, "assistant_mask": null, "unmasked": reason}))
        }
        Err(error) => Err(error),
    }
}
