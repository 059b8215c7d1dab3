//! Fills the templates. The engine escapes every value, for HTML or for Markdown depending on the template's name, so
//! that no template has to escape anything itself.

use crate::page::Page;
use alidade_domain::{Language, Problem, Report, printable, wording};
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, State, UndefinedBehavior, escape_formatter};
use minijinja::{Output, syntax::SyntaxConfig};
use std::borrow::Cow;

const HTML: &str = "report.html";
const MARKDOWN: &str = "report.md";
const ESCAPED_AS_MARKDOWN: AutoEscape = AutoEscape::Custom(Cow::Borrowed("markdown"));

/// The report as one HTML file that needs nothing else.
///
/// # Errors
/// When a template cannot be filled, which is a fault of the program.
pub fn to_html(report: &Report, language: Language) -> Result<String, Problem> {
    fill(HTML, include_str!("templates/report.html"), report, language)
}

/// The report as Markdown.
///
/// # Errors
/// As [`to_html`].
pub fn to_markdown(report: &Report, language: Language) -> Result<String, Problem> {
    fill(MARKDOWN, include_str!("templates/report.md"), report, language)
}

fn fill(name: &str, template: &str, report: &Report, language: Language) -> Result<String, Problem> {
    let page = Page::of(language, report);
    let filled = || -> Result<String, Error> {
        let mut environment = Environment::new();
        let syntax =
            SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?;
        environment.set_syntax(syntax);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| if name == HTML { AutoEscape::Html } else { ESCAPED_AS_MARKDOWN });
        environment.set_formatter(format);
        environment.add_global("style", Value::from_safe_string(include_str!("templates/style.css").to_owned()));
        environment.template_from_named_str(name, template)?.render(Serde(&page))
    };
    filled().map_err(|error| {
        Problem::internal(wording!(
            "Writing the report as {name} failed: {error}.",
            "以 {name} 格式写报告失败：{error}。"
        ))
    })
}

fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if *state.auto_escape() != ESCAPED_AS_MARKDOWN {
        return escape_formatter(out, state, value);
    }
    let text = value.to_string();
    Ok(out.write_str(&if value.is_safe() { text } else { cell(&text) })?)
}

/// Text that cannot break out of its line or cell, nor become markup, nor turn the reading direction of what follows.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in printable(&text.replace("\r\n", "\n")).chars() {
        match character {
            '\n' | '\r' => safe.push(' '),
            '|' | '<' | '>' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' => {
                safe.push('\\');
                safe.push(character);
            }
            _ => safe.push(character),
        }
    }
    safe
}
