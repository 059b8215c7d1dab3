//! `tojson` as `json.dumps` with the choices that transformers offers: no HTML escapes, a space after commas and colons.

use super::python::{bounded, number};
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// How it is laid out.
struct Layout {
    ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sorted: bool,
}

/// The filter: `value | tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`, names or places.
pub(super) fn to_json(value: &Value, places: minijinja::value::Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    let given = |place: usize, name: &str| -> Result<Option<Value>, Error> {
        let named: Option<Value> = names.get(name)?;
        Ok(named.or_else(|| places.get(place).cloned()).filter(|value| !value.is_none() && !value.is_undefined()))
    };
    let [ascii, indent, separators, sorted] =
        [given(0, "ensure_ascii")?, given(1, "indent")?, given(2, "separators")?, given(3, "sort_keys")?];
    names.assert_all_used()?;
    let indent = indent.map(|value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => " ".repeat(value.as_usize().unwrap_or(0).min(64)),
    });
    let (mut item, mut key) = ((if indent.is_some() { "," } else { ", " }).to_owned(), ": ".to_owned());
    if let Some(pair) = separators {
        item = super::python::text(&pair.get_item_by_index(0)?)?;
        key = super::python::text(&pair.get_item_by_index(1)?)?;
    }
    let truth = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let layout = Layout { ascii: truth(ascii), indent, item, key, sorted: truth(sorted) };
    let mut out = String::new();
    layout.write(value, &mut out, 0)?;
    Ok(Value::from_safe_string(out))
}

impl Layout {
    fn write(&self, value: &Value, out: &mut String, depth: usize) -> Result<(), Error> {
        bounded(out.len(), depth)?;
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::String => self.quote(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?;
                self.list(out, depth, ['[', ']'], items, |item, out| self.write(&item, out, depth + 1))?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sorted {
                    keys.sort();
                }
                self.list(out, depth, ['{', '}'], keys.into_iter(), |key, out| {
                    self.quote(&key_text(&key)?, out);
                    out.push_str(&self.key);
                    self.write(&value.get_item(&key)?, out, depth + 1)
                })?;
            }
            ValueKind::Number => out.push_str(&number(value)),
            kind => {
                let message = format!("a value of type {kind} cannot be written as JSON");
                return Err(Error::new(ErrorKind::InvalidOperation, message));
            }
        }
        bounded(out.len(), depth)
    }

    fn list(
        &self,
        out: &mut String,
        depth: usize,
        [open, close]: [char; 2],
        items: impl Iterator<Item = Value>,
        mut write: impl FnMut(Value, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        let mut empty = true;
        for item in items {
            out.push_str(if empty { "" } else { &self.item });
            empty = false;
            self.line(out, depth + 1);
            write(item, out)?;
        }
        if !empty {
            self.line(out, depth);
        }
        out.push(close);
        Ok(())
    }

    fn line(&self, out: &mut String, depth: usize) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    }

    fn quote(&self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                other if (other as u32) < 0x20 || (self.ascii && (other as u32) > 0x7e) => {
                    other.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
                }
                other => out.push(other),
            }
        }
        out.push('"');
    }
}

/// Keys are texts in JSON; numbers and truth values become such.
fn key_text(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::None => Ok("null".to_owned()),
        ValueKind::Bool => Ok(if key.is_true() { "true" } else { "false" }.to_owned()),
        _ => super::python::text(key),
    }
}
