//! Filters and tests where minijinja's differ from Jinja2's: values are written as Python writes them, and what is undefined
//! counts as empty instead of being an error.

use super::python::{is_space, text};
use super::{json, methods};
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Puts them into an environment.
pub(super) fn install(environment: &mut Environment) {
    environment.add_filter("tojson", json::to_json);
    environment.add_filter("trim", trim);
    environment.add_filter("string", |value: &Value| text(value).map(Value::from));
    environment.add_filter("join", join);
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("int", |value: &Value, other: Option<Value>| whole(value, other));
    environment.add_filter("float", |value: &Value, other: Option<Value>| float(value, other));
    environment.add_filter("wordcount", |value: &str| value.split(is_space).filter(|word| !word.is_empty()).count());
    environment.add_filter("first", |value: &Value| edge(value, false));
    environment.add_filter("last", |value: &Value| edge(value, true));
    environment.add_test("sequence", is_sequence);
    environment.add_test("iterable", |value: &Value| {
        is_sequence(value) || value.is_undefined() || value.kind() == ValueKind::Iterable
    });
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
}

/// `default(value, other='', boolean=False)`: for what is undefined, and with `boolean` for what counts as false.
fn default(value: &Value, other: Option<Value>, boolean: Option<bool>, names: Kwargs) -> Result<Value, Error> {
    let boolean = boolean.or(names.get("boolean")?).unwrap_or(false);
    let other = other.or(names.get("default_value")?).unwrap_or_else(|| Value::from(""));
    names.assert_all_used()?;
    Ok(if value.is_undefined() || (boolean && !value.is_true()) { other } else { value.clone() })
}

/// A number without its fraction; what is no number becomes `other`.
fn whole(value: &Value, other: Option<Value>) -> Value {
    let text = value.as_str().map(str::trim);
    let found = match text {
        Some(text) => text.parse::<i64>().ok().or_else(|| text.parse::<f64>().ok().map(|number| number as i64)),
        None if value.kind() == ValueKind::Bool => Some(i64::from(value.is_true())),
        None => value.as_i64().or_else(|| f64::try_from(value.clone()).ok().map(|number| number as i64)),
    };
    found.map_or_else(|| other.unwrap_or_else(|| Value::from(0)), Value::from)
}

fn float(value: &Value, other: Option<Value>) -> Value {
    let found = match value.as_str() {
        Some(text) => text.trim().parse::<f64>().ok(),
        None => f64::try_from(value.clone()).ok(),
    };
    found.map_or_else(|| other.unwrap_or_else(|| Value::from(0.0)), Value::from)
}

fn trim(value: &Value, characters: Option<&str>) -> Result<String, Error> {
    let whole = text(value)?;
    let taken = |character: char| characters.map_or_else(|| is_space(character), |set| set.contains(character));
    Ok(whole.trim_matches(taken).to_owned())
}

fn join(state: &mut State, value: &Value, separator: Option<&str>, names: Kwargs) -> Result<Value, Error> {
    if value.is_undefined() {
        return Ok(Value::from(""));
    }
    let separator = match separator {
        Some(separator) => separator.to_owned(),
        None => names.get::<Option<String>>("d")?.unwrap_or_default(),
    };
    let values = match names.get::<Option<Value>>("attribute")? {
        Some(name) => {
            let of = |item: Value| item.get_item(&name);
            Value::from(value.try_iter()?.map(of).collect::<Result<Vec<_>, Error>>()?)
        }
        None => value.clone(),
    };
    names.assert_all_used()?;
    methods::join(state, &separator, &values)
}

fn length(value: &Value) -> Result<usize, Error> {
    match value.len() {
        _ if value.is_undefined() => Ok(0),
        _ if value.is_none() => Err(Error::new(ErrorKind::InvalidOperation, "None has no length")),
        Some(length) => Ok(length),
        None => value.try_iter().map(Iterator::count),
    }
}

/// The first or the last item; of nothing it is undefined.
fn edge(value: &Value, last: bool) -> Result<Value, Error> {
    if value.is_undefined() {
        return Ok(Value::UNDEFINED);
    }
    if let Some(text) = value.as_str() {
        let found = if last { text.chars().next_back() } else { text.chars().next() };
        return Ok(found.map_or(Value::UNDEFINED, |character| Value::from(character.to_string())));
    }
    let mut items = value.try_iter()?;
    Ok(if last { items.last() } else { items.next() }.unwrap_or(Value::UNDEFINED))
}

fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
}
