//! One template in minijinja, configured to render as Jinja2 does for transformers: white space, filters, undefined values,
//! and the marks of `{% generation %}`. Fuel and an output cap stop templates that loop or write too much.

use super::clock::strftime;
use super::{filters, guard, methods, operators, percent, python, text_filters};
use crate::ModelError;
use crate::error::Result;
use alidade_domain::{LocalTime, Wording, shown, wording};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Output, State, Value, context};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Instructions that one rendering may take.
const FUEL: u64 = 1_000_000;
/// Most bytes that one rendering may write.
const OUTPUT_LIMIT: usize = 1 << 20;
/// Most characters of a template's own words in an error.
const WORDS: usize = 300;
/// Under this name a rendering finds the marks to put around the assistant's parts.
const MARKS: &str = "__marks";

/// What a rendering is made from.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// Role and content of each message.
    pub(super) messages: Vec<(&'static str, String)>,
    /// Whether the assistant's next turn is opened.
    pub(super) for_answer: bool,
    /// Put before and after what stands between `{% generation %}` and its end.
    pub(super) marks: Option<[char; 2]>,
}

/// A compiled template.
pub(super) struct Engine {
    environment: Environment<'static>,
    tokens: BTreeMap<String, String>,
}

impl Engine {
    /// Compiles a template; `tokens` are the special tokens by name.
    ///
    /// # Errors
    /// When it is not valid.
    pub(super) fn new(source: &str, tokens: BTreeMap<String, String>, now: LocalTime) -> Result<Self> {
        let broken = |error: Error| ModelError::Template { reason: words(&error) };
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(broken)?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(64);
        environment.set_unknown_method_callback(methods::method);
        environment.set_formatter(format);
        filters::install(&mut environment);
        text_filters::install(&mut environment);
        percent::install(&mut environment);
        guard::install(&mut environment);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", move |form: &str| {
            strftime(now, form).map_err(|reason| Error::new(ErrorKind::InvalidOperation, reason))
        });
        environment.add_function("__generation", generation);
        environment.add_template_owned("chat", tags_as_calls(&operators::rewritten(source))).map_err(broken)?;
        Ok(Self { environment, tokens })
    }

    /// The text that the model sees.
    ///
    /// # Errors
    /// When the template refuses the conversation, loops, or writes too much.
    pub(super) fn render(&self, request: &Request) -> Result<String> {
        let template = self.environment.get_template("chat").map_err(|error| failed(&error))?;
        let message = |(role, content): &(&str, String)| Value::from_pairs([("role", *role), ("content", content)]);
        let values = context! {
            messages => request.messages.iter().map(message).collect::<Vec<_>>(),
            tools => Value::from(()),
            documents => Value::from(()),
            add_generation_prompt => request.for_answer,
            __marks => request.marks.map(|marks| marks.map(|mark| mark.to_string()).to_vec()),
            ..Value::from_pairs(self.tokens.iter().map(|(name, text)| (name.as_str(), text.as_str())))
        };
        let mut output = Capped(Vec::new());
        template.render_captured_to(values, &mut output).map_err(|error| failed(&error))?;
        String::from_utf8(output.0).map_err(|error| ModelError::Template { reason: Wording::name(error.to_string()) })
    }
}

/// Whether a template marks what the assistant says.
pub(super) fn marks_answers(source: &str) -> bool {
    regex::Regex::new(r"\{%-?\s*generation\s*-?%\}").is_ok_and(|tag| tag.is_match(source))
}

/// The tags as a call block, which is what transformers makes of them: a part of its own, with its own variables. The engine
/// hands such a part what it reads, and overlooks a namespace that it only writes to; as a default it is read.
fn tags_as_calls(source: &str) -> String {
    let expressions = (
        regex::Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}"),
        regex::Regex::new(r"\bset\s+([A-Za-z_][A-Za-z0-9_]*)\s*\."),
    );
    let (Ok(tag), Ok(written)) = expressions else { return source.to_owned() };
    let names: BTreeSet<&str> =
        written.captures_iter(source).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    let defaults: Vec<String> = names.iter().enumerate().map(|(index, name)| format!("__{index}={name}")).collect();
    let handed = if defaults.is_empty() { String::new() } else { format!("({})", defaults.join(", ")) };
    let call = |found: &regex::Captures| match found.get(2) {
        None => format!("{{%{} call{handed} __generation() {}%}}", &found[1], &found[3]),
        Some(_) => format!("{{%{} endcall {}%}}", &found[1], &found[3]),
    };
    tag.replace_all(source, call).into_owned()
}

fn generation(state: &mut State, names: Kwargs) -> std::result::Result<Value, Error> {
    let caller: Value = names.get("caller")?;
    let text = caller.call(state, &[])?;
    match state.lookup(MARKS).filter(|marks| !marks.is_none() && !marks.is_undefined()) {
        Some(marks) => Ok(Value::from(format!("{}{text}{}", marks.get_item_by_index(0)?, marks.get_item_by_index(1)?))),
        None => Ok(text),
    }
}

fn raise_exception(message: &Value) -> std::result::Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, python::text(message)?))
}

fn format(out: &mut Output, _: &mut State, value: &Value) -> std::result::Result<(), Error> {
    let written = match value.as_str() {
        Some(text) => out.write_str(text),
        None => out.write_str(&python::text(value)?),
    };
    written.map_err(|_| Error::new(ErrorKind::WriteFailure, "writing failed"))
}

/// A writer that refuses to grow beyond the limit.
struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_LIMIT {
            return Err(std::io::Error::other(format!("it wrote more than {OUTPUT_LIMIT} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What ends in a bound would end there with every conversation; everything else is said of this one.
fn failed(error: &Error) -> ModelError {
    match error.kind() {
        ErrorKind::OutOfFuel => ModelError::Template {
            reason: match error.detail() {
                Some(detail) => Wording::name(detail),
                None => {
                    wording!("it did not come to an end within {FUEL} instructions", "执行 {FUEL} 条指令后仍未结束")
                }
            },
        },
        ErrorKind::WriteFailure => ModelError::Template {
            reason: wording!("it wrote more than {OUTPUT_LIMIT} bytes", "输出超过 {OUTPUT_LIMIT} 字节"),
        },
        _ => ModelError::Refused { reason: words(error) },
    }
}

/// The template's own words, or the engine's with the line.
fn words(error: &Error) -> Wording {
    let line =
        error.line().map(|line| wording!(" (line {line} of the template)", "（模板第 {line} 行）")).unwrap_or_default();
    let said = match (error.kind(), error.detail()) {
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    let said = shown(said.trim_end_matches('.'), WORDS);
    Wording { en: format!("{said}{}", line.en), zh: format!("{said}{}", line.zh) }
}
