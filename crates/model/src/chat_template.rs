//! Chat templates. They come from strangers' model files, so they run with fuel, a recursion limit and an output cap; a
//! template that loops or floods ends in an error that says so.

use crate::ModelError;
use crate::bounded::{TEMPLATE, read_text};
use crate::error::Result;
use crate::tokenizer::{TextTokenizer, read_json};
use alidade_domain::{Message, Role};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};
use std::io::Write;
use std::path::Path;

/// Instructions that one rendering may take.
const FUEL: u64 = 1_000_000;
/// Most bytes that one rendering may write.
const OUTPUT_LIMIT: usize = 1 << 20;
/// Most bytes of a template's source.
const SOURCE_LIMIT: usize = 64 << 10;

/// How a conversation is to be rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// As it stands.
    Whole,
    /// With the opening of the assistant's next turn.
    ForAnswer,
}

/// A model's chat template, ready to be applied.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    source: String,
}

impl ChatTemplate {
    /// Reads `chat_template.jinja`, or the template inside `tokenizer_config.json`; `None` when the model has neither.
    ///
    /// # Errors
    /// When there is one that cannot be read or compiled.
    pub fn open(folder: &Path, tokenizer: &TextTokenizer) -> Result<Option<Self>> {
        let path = folder.join("chat_template.jinja");
        let file = match read_text(&path, TEMPLATE) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(ModelError::File { path, found: error.to_string() }),
        };
        let source = file.or_else(|| from_config(&read_json(&folder.join("tokenizer_config.json"))));
        source.map(|source| Self::new(source, tokenizer.bos(), tokenizer.eos().map(|(text, _)| text))).transpose()
    }

    /// Compiles a template.
    ///
    /// # Errors
    /// When it is too long or not valid.
    pub fn new(source: String, bos: Option<&str>, eos: Option<&str>) -> Result<Self> {
        if source.len() > SOURCE_LIMIT {
            let reason = format!("it is {} bytes long; the limit is {SOURCE_LIMIT}", source.len());
            return Err(ModelError::Template { reason });
        }
        let mut environment = Environment::new();
        let syntax =
            SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(|error| failed(&error))?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(64);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_filter("tojson", to_json);
        environment.add_template_owned("chat", strip_generation_tags(&source)).map_err(|error| failed(&error))?;
        Ok(Self { environment, bos: bos.unwrap_or("").to_owned(), eos: eos.unwrap_or("").to_owned(), source })
    }

    /// The text that the model sees.
    ///
    /// # Errors
    /// When the template refuses the conversation, loops, or writes too much.
    pub fn render(&self, messages: &[Message], rendering: Rendering) -> Result<String> {
        let template = self.environment.get_template("chat").map_err(|error| failed(&error))?;
        let mut output = Capped(Vec::new());
        let values = context! {
            messages => messages.iter().map(message_value).collect::<Vec<_>>(),
            add_generation_prompt => rendering == Rendering::ForAnswer,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        template.render_captured_to(values, &mut output).map_err(|error| failed(&error))?;
        String::from_utf8(output.0).map_err(|error| ModelError::Template { reason: error.to_string() })
    }

    /// The template as it was read.
    pub fn source(&self) -> &str {
        &self.source
    }
}

fn message_value(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    Value::from_pairs([("role", role), ("content", message.content.as_str())])
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

fn failed(error: &minijinja::Error) -> ModelError {
    let reason = match error.kind() {
        ErrorKind::OutOfFuel => format!("it did not come to an end within {FUEL} instructions"),
        ErrorKind::WriteFailure => format!("it wrote more than {OUTPUT_LIMIT} bytes"),
        _ => error.to_string(),
    };
    ModelError::Template { reason }
}

fn from_config(config: &serde_json::Value) -> Option<String> {
    let template = config.get("chat_template")?;
    let named = || {
        let default =
            template.as_array()?.iter().find(|entry| entry.get("name").and_then(|n| n.as_str()) == Some("default"));
        default?.get("template")?.as_str()
    };
    template.as_str().or_else(named).map(str::to_owned)
}

/// `{% generation %}` marks the assistant's part for other trainers; the text is the same without it.
fn strip_generation_tags(source: &str) -> String {
    match regex::Regex::new(r"\{%(-?)\s*(?:end)?generation\s*(-?)%\}") {
        Ok(tag) => tag.replace_all(source, "{%${1} if true ${2}%}{%${1} endif ${2}%}").into_owned(),
        Err(_) => source.to_owned(),
    }
}

fn raise_exception(message: String) -> std::result::Result<String, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

/// JSON as Python writes it: no HTML escapes, a space after commas and colons.
fn to_json(value: Value) -> std::result::Result<Value, minijinja::Error> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
    let written = serde::Serialize::serialize(&value, &mut serializer);
    let invalid = |error: String| minijinja::Error::new(ErrorKind::InvalidOperation, error);
    written.map_err(|error| invalid(error.to_string()))?;
    String::from_utf8(bytes).map(Value::from_safe_string).map_err(|error| invalid(error.to_string()))
}

struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::new(source.to_owned(), None, Some("</s>")).unwrap()
    }

    #[test]
    fn chatml_comes_out_to_the_byte() {
        let messages = [Message::system("Be kind."), Message::user("a < b?")];
        let text = template(CHATML).render(&messages, Rendering::ForAnswer).unwrap();
        assert_eq!(
            text,
            "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\na < b?<|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn generation_tags_leave_no_trace() {
        let source = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}";
        assert_eq!(template(source).render(&[Message::user("x")], Rendering::Whole).unwrap(), "x");
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let text = template("{{ messages | tojson }}").render(&[Message::user("<é>")], Rendering::Whole).unwrap();
        assert_eq!(text, r#"[{"role": "user", "content": "<é>"}]"#);
    }

    #[test]
    fn bombs_end_in_errors() {
        let looping = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";
        let flooding = "{% for i in range(3000) %}{{ 'x' * 1000 }}{% endfor %}";
        for (source, word) in
            [(looping, "instructions"), (flooding, "bytes"), ("{{ raise_exception('no tools') }}", "no tools")]
        {
            let error = template(source).render(&[], Rendering::Whole).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert!(ChatTemplate::new("{% if".to_owned(), None, None).is_err());
    }
}
