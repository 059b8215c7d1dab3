//! Values as Python writes them: `True`, `None`, `['a', 'b']`. Templates were written for Python, and print such values into
//! prompts. Nothing here grows beyond a bound, however a value is nested or repeated.

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, ErrorKind, Value};
use regex::Regex;
use std::fmt::Write;
use std::sync::LazyLock;

/// Most bytes of a value's text.
const LONGEST: usize = 1 << 20;
/// Most values inside each other.
const DEEPEST: usize = 200;

/// `str(value)`: a text as it is, everything else as Python shows it.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None if value.is_undefined() => Ok(String::new()),
        None => shown(value),
    }
}

/// `repr(value)`.
pub(super) fn shown(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    show(value, &mut out, 0)?;
    Ok(out)
}

/// The same, appended.
fn show(value: &Value, out: &mut String, depth: usize) -> Result<(), Error> {
    bounded(out.len(), depth)?;
    match value.kind() {
        ValueKind::Undefined => {}
        ValueKind::None => out.push_str("None"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::String => quoted(value.as_str().unwrap_or_default(), out),
        ValueKind::Seq | ValueKind::Iterable => {
            let tuple = value.downcast_object_ref::<Tuple>().is_some();
            out.push(if tuple { '(' } else { '[' });
            for (index, item) in value.try_iter()?.enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                show(&item, out, depth + 1)?;
            }
            out.push_str(if tuple && value.len() == Some(1) { "," } else { "" });
            out.push(if tuple { ')' } else { ']' });
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter()?.enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                show(&key, out, depth + 1)?;
                out.push_str(": ");
                show(&value.get_item(&key)?, out, depth + 1)?;
            }
            out.push('}');
        }
        ValueKind::Number => out.push_str(&number(value)),
        _ => drop(write!(out, "{value}")),
    }
    bounded(out.len(), depth)
}

/// Python turns to powers of ten at 1e16 and below 1e-4.
pub(super) fn number(value: &Value) -> String {
    match f64::try_from(value.clone()) {
        Ok(float) if !value.is_integer() && float.is_finite() => {
            let size = float.abs();
            if size != 0.0 && !(1e-4..1e16).contains(&size) {
                let text = format!("{float:e}");
                let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
                let power: i32 = power.parse().unwrap_or(0);
                return format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs());
            }
            format!("{float:?}")
        }
        _ => value.to_string(),
    }
}

/// A text in Python's quotes: single ones, unless it holds such and no double ones.
fn quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            other if other == quote => out.extend(['\\', other]),
            other if (other as u32) < 0x20 || other as u32 == 0x7f => drop(write!(out, "\\x{:02x}", other as u32)),
            other if other.is_ascii() || printable(other) => out.push(other),
            other => out.push_str(&coded(other)),
        }
    }
    out.push(quote);
}

/// Whether `repr` writes a character as it is.
fn printable(character: char) -> bool {
    static HIDDEN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{C}\p{Z}]$").ok());
    !HIDDEN.as_ref().is_some_and(|hidden| hidden.is_match(character.encode_utf8(&mut [0; 4])))
}

/// A character beyond ASCII by its number.
pub(super) fn coded(character: char) -> String {
    match u32::from(character) {
        code @ ..=0xff => format!("\\x{code:02x}"),
        code @ 0x100..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

/// Refuses a value that has grown too long or too deep.
pub(super) fn bounded(length: usize, depth: usize) -> Result<(), Error> {
    if length <= LONGEST && depth <= DEEPEST {
        return Ok(());
    }
    let what = if depth > DEEPEST { "is nested too deeply" } else { "is too long" };
    Err(Error::new(ErrorKind::OutOfFuel, format!("a value {what} to be written")))
}

/// What Python's `strip` takes for white space.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}
