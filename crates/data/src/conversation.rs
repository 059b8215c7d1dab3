//! Lists of messages in the common formats: OpenAI's role and content, ShareGPT's from and value, contents in parts; and the
//! rules that a conversation must satisfy to be learned from.

use crate::fault::{Fault, described, reason};
use crate::media;
use alidade_domain::{Message, Role, Wording, Words, shown, wording};
use serde_json::{Map, Value};

const ROLES: Words = Words::new(
    "Known roles: system, user, assistant, tool (also human, gpt, observation).",
    "可用的角色：system、user、assistant、tool（也可写 human、gpt、observation）。",
);

/// True for an object with a speaker and a text.
pub(crate) fn is_message(value: &Value) -> bool {
    let has = |names: [&str; 2]| names.iter().any(|name| value.get(*name).is_some());
    value.is_object() && has(["role", "from"]) && has(["content", "value"])
}

/// Unused parts of messages: a weight of zero on an answer, and thoughts.
pub(crate) fn unused(value: &Value) -> (bool, bool) {
    let nought = |value: &Value| value.as_f64() == Some(0.0) || value.as_bool() == Some(false);
    let any = |message: &Value, names: &[&str], is: &dyn Fn(&Value) -> bool| {
        names.iter().any(|name| message.get(*name).is_some_and(is))
    };
    let mut found = (false, false);
    for message in value.as_array().into_iter().flatten() {
        let role = message.get("role").or_else(|| message.get("from")).and_then(Value::as_str);
        let answer = matches!(role, Some("assistant" | "gpt" | "model"));
        found.0 |= answer && any(message, &["weight", "loss_weight", "train"], &nought);
        let said = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
        found.1 |= any(message, &["reasoning_content", "reasoning", "thinking"], &said);
    }
    found
}

/// A list of messages.
pub(crate) fn conversation(value: Value, column: &str) -> Result<Vec<Message>, Fault> {
    match value {
        Value::Array(list) => list.into_iter().map(message).collect(),
        Value::String(text) => Err(not_a_list(&text, column)),
        other => {
            let found = wording!("“{column}” is {it}", "“{column}”是{it}"; it = described(&other));
            Err(Fault::new(
                reason::BROKEN_CONVERSATION,
                found,
                Words::new("It must be a list of messages.", "它必须是消息列表。"),
            ))
        }
    }
}

/// The fault of a column that holds text where a list belongs.
fn not_a_list(text: &str, column: &str) -> Fault {
    let begin = shown(text.trim_start(), 40);
    if text.trim().is_empty() {
        return Fault::new(
            reason::EMPTY_CONVERSATION,
            wording!("“{column}” is blank", "“{column}”是空白"),
            Words::new("Fill the field in or remove the row.", "填写该字段，或删除这一条。"),
        );
    }
    if looks_like_python(text) {
        return python(column, &begin);
    }
    let why = match serde_json::from_str::<Value>(text) {
        Ok(value) => wording!("it holds {it}", "其中是{it}"; it = described(&value)),
        Err(error) => wording!("read as JSON it gives: {error}", "按 JSON 读取时出错：{error}"),
    };
    let found = wording!(
        "the column “{column}” is text, not a list ({begin}); {why}",
        "“{column}”列是文本而不是列表（{begin}）；{why}";
        why
    );
    Fault::new(
        reason::BROKEN_CONVERSATION,
        found,
        Words::new(
            "Write the list of messages as a list, or as valid JSON text.",
            "把消息列表写成列表，或写成有效的 JSON 文本。",
        ),
    )
}

/// True for a list as Python prints it.
pub(crate) fn looks_like_python(text: &str) -> bool {
    let text: String = text.chars().filter(|character| !character.is_whitespace()).take(3).collect();
    text.starts_with("[{'") || text.starts_with("{'")
}

pub(crate) fn python(column: &str, begin: &str) -> Fault {
    let found = wording!(
        "the column “{column}” is text: a list as Python prints it ({begin})",
        "“{column}”列是文本：Python 打印出来的列表（{begin}）"
    );
    Fault::new(
        Words::new("list printed by Python", "Python 打印的列表"),
        found,
        Words::new(
            "Write the column with json.dumps, or keep it as a list in JSON lines.",
            "用 json.dumps 写这一列，或在 JSON Lines 中保留为列表。",
        ),
    )
}

/// One message.
pub(crate) fn message(value: Value) -> Result<Message, Fault> {
    let broken = |found: Wording| {
        Fault::new(
            reason::BROKEN_MESSAGE,
            found,
            Words::new("A message needs a role and its text.", "消息要有角色和文本。"),
        )
    };
    let Value::Object(mut fields) = value else {
        return Err(broken(
            wording!("instead of a message there is {it}", "这里不是消息，而是{it}"; it = described(&value)),
        ));
    };
    let mut take = |names: [&str; 2]| names.iter().find_map(|name| fields.get_mut(*name).map(Value::take));
    let (role, content) = (take(["role", "from"]), take(["content", "value"]));
    let role = match role {
        Some(Value::String(role)) => role_of(&role)?,
        Some(other) => return Err(broken(wording!("the role is {it}", "角色是{it}"; it = described(&other)))),
        None => {
            return Err(broken(wording!(
                "a message without a role: {it}",
                "消息没有角色：{it}";
                it = described(&Value::Object(fields))
            )));
        }
    };
    match content {
        Some(content) if !content.is_null() => Ok(Message { role, content: text_of(content)? }),
        _ => Err(without_text(&fields)),
    }
}

fn without_text(fields: &Map<String, Value>) -> Fault {
    let called =
        ["tool_calls", "function_call"].iter().any(|name| fields.get(*name).is_some_and(|call| !call.is_null()));
    if called {
        let fix = Words::new(
            "Tool calls as fields are not supported; write the call as the text of the message.",
            "不支持写成字段的工具调用；请把调用写进消息的文本。",
        );
        return Fault::new(
            Words::new("call of a tool", "工具调用"),
            Words::new("a message with a call instead of a text", "消息只有调用，没有文本"),
            fix,
        );
    }
    Fault::new(
        reason::BROKEN_MESSAGE,
        Words::new("a message without a text", "消息没有文本"),
        Words::new("A message needs a role and its text.", "消息要有角色和文本。"),
    )
}

fn role_of(name: &str) -> Result<Role, Fault> {
    Ok(match name.trim().to_lowercase().as_str() {
        "system" | "developer" => Role::System,
        "user" | "human" | "prompter" => Role::User,
        "assistant" | "gpt" | "model" | "chatgpt" | "bot" | "ai" | "function_call" => Role::Assistant,
        "tool" | "observation" | "function" | "ipython" => Role::Tool,
        _ => {
            return Err(Fault::new(
                Words::new("unknown role", "未知角色"),
                wording!("the role “{name}”", "角色“{name}”", name = shown(name, 40)),
                ROLES,
            ));
        }
    })
}

/// Text, or parts that are all text.
fn text_of(content: Value) -> Result<String, Fault> {
    match content {
        Value::String(text) => Ok(text),
        Value::Array(parts) => parts.into_iter().map(part).collect(),
        other => Err(Fault::new(
            reason::NOT_TEXT,
            wording!("the text of a message is {it}", "消息的文本是{it}"; it = described(&other)),
            Words::new("Write it as text.", "写成文本。"),
        )),
    }
}

fn part(part: Value) -> Result<String, Fault> {
    let mut fields = match part {
        Value::String(text) => return Ok(text),
        Value::Object(fields) => fields,
        other => {
            return Err(Fault::new(
                reason::BROKEN_MESSAGE,
                wording!("a part that is {it}", "有一部分是{it}"; it = described(&other)),
                Words::new("Each part must be text.", "每一部分都必须是文本。"),
            ));
        }
    };
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or("text").to_owned();
    if let Some(fault) = media::of_part(&kind) {
        return Err(fault);
    }
    let text = ["text", "value"].iter().find_map(|name| fields.get_mut(*name).map(Value::take));
    match text {
        Some(Value::String(text)) if matches!(kind.as_str(), "text" | "input_text" | "output_text") => Ok(text),
        _ => {
            let found = wording!("a part of the kind “{kind}”", "有一部分的类型是“{kind}”", kind = shown(&kind, 40));
            Err(Fault::new(
                reason::BROKEN_MESSAGE,
                found,
                Words::new("Only parts of the kind “text” are supported.", "只支持类型为“text”的部分。"),
            ))
        }
    }
}

/// Splits a conversation into what comes before its last turn and that turn, which must be the model's.
pub(crate) fn prompt_and_answer(mut messages: Vec<Message>) -> Result<(Vec<Message>, Vec<Message>), Fault> {
    check_ending(&messages)?;
    let last = messages.pop().into_iter().collect();
    Ok((messages, last))
}

/// Checks that a conversation ends with an answer to something.
pub(crate) fn check_ending(messages: &[Message]) -> Result<(), Fault> {
    let Some((last, before)) = messages.split_last() else {
        return Err(Fault::new(
            reason::EMPTY_CONVERSATION,
            Words::new("a conversation without messages", "对话中没有消息"),
            Words::new("Remove the row.", "删除这一条。"),
        ));
    };
    if last.role != Role::Assistant {
        let found = wording!(
            "the last turn (“{text}”) is of the {who}",
            "最后一条消息（“{text}”）来自 {who}",
            text = shown(&last.content, 40),
            who = who(last.role)
        );
        let fix = Words::new(
            "End the conversation with the model's answer; perhaps the role is mislabelled.",
            "对话要以模型的回答结束；也可能是角色标错了。",
        );
        return Err(Fault::new(reason::NO_ANSWER, found, fix));
    }
    if last.content.trim().is_empty() {
        return Err(Fault::new(
            reason::NO_ANSWER,
            Words::new("the last turn is blank", "最后一条消息是空白"),
            Words::new("Fill the answer in or remove the row.", "填写回答，或删除这一条。"),
        ));
    }
    check_prompt(before)
}

fn who(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// Checks that the prompt has a turn of the user that is not blank.
pub(crate) fn check_prompt(messages: &[Message]) -> Result<(), Fault> {
    let mut asked = messages.iter().filter(|message| message.role == Role::User).peekable();
    if asked.peek().is_none() {
        let found = Words::new("no turn of the user before the answer", "回答之前没有用户的消息");
        return Err(Fault::new(
            Words::new("no prompt", "没有提问"),
            found,
            Words::new(
                "Add the question or remove the row; perhaps a role is mislabelled.",
                "补上提问，或删除这一条；也可能是角色标错了。",
            ),
        ));
    }
    if asked.all(|message| message.content.trim().is_empty()) {
        return Err(Fault::new(
            Words::new("empty prompt", "提问为空"),
            Words::new("the user's turn is blank", "用户的消息是空白"),
            Words::new("Add the question or remove the row.", "补上提问，或删除这一条。"),
        ));
    }
    Ok(())
}

/// Checks that both answers are non-empty and different.
pub(crate) fn check_pair(chosen: &[Message], rejected: &[Message]) -> Result<(), Fault> {
    let blank = |side: &[Message]| side.iter().all(|message| message.content.trim().is_empty());
    for (side, name) in [(chosen, "chosen"), (rejected, "rejected")] {
        if blank(side) {
            return Err(Fault::new(
                reason::NO_ANSWER,
                wording!("“{name}” is blank", "“{name}”是空白"),
                Words::new("A pair needs two answers.", "偏好对要有两个回答。"),
            ));
        }
        if side.iter().all(|message| message.role != Role::Assistant) {
            let found = wording!("“{name}” holds no turn of the assistant", "“{name}”中没有 assistant 的消息");
            return Err(Fault::new(
                reason::NO_ANSWER,
                found,
                Words::new("Both answers must be the assistant's.", "两个回答都必须来自 assistant。"),
            ));
        }
    }
    if chosen == rejected { Err(equal(&chosen[0].content)) } else { Ok(()) }
}

/// The fault of a pair that teaches nothing.
pub(crate) fn equal(answer: &str) -> Fault {
    Fault::new(
        Words::new("both answers equal", "两个回答相同"),
        Wording::name(format!("“{}”", shown(answer, 60))),
        Words::new("The two answers of a pair must differ.", "偏好对的两个回答必须不同。"),
    )
}
