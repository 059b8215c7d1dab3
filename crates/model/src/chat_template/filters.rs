//! Filters and tests where minijinja's differ from Jinja2's: values are formatted as in Python, and undefined values count
//! as empty instead of being an error.

use super::arguments::Arguments;
use super::python::{is_space, text};
use super::{json, methods};
use minijinja::value::{Kwargs, Rest, ValueKind};
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
    environment.add_filter("int", whole);
    environment.add_filter("float", |value: &Value, other: Option<Value>| float(value, other));
    environment.add_filter("first", |value: &Value| edge(value, false));
    environment.add_filter("last", |value: &Value| edge(value, true));
    environment.add_test("sequence", is_sequence);
    environment.add_test("iterable", |value: &Value| is_sequence(value));
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    environment.add_function("cycler", |items: Rest<Value>| minijinja_contrib::globals::cycler(items.to_vec()));
    environment.add_function("dict", dict);
    environment.add_function(super::operators::LISTED, listed);
    // Everything else that a template can name is data.
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
}

/// `default(value, other='', boolean=False)`: for what is undefined, and with `boolean` for what counts as false.
fn default(value: &Value, other: Option<Value>, boolean: Option<bool>, names: Kwargs) -> Result<Value, Error> {
    let boolean = boolean.or(names.get("boolean")?).unwrap_or(false);
    let other = other.or(names.get("default_value")?).unwrap_or_else(|| Value::from(""));
    names.assert_all_used()?;
    Ok(if value.is_undefined() || (boolean && !value.is_true()) { other } else { value.clone() })
}

/// `int(value, default=0, base=10)`: a number without its fraction; what is no number becomes the default.
fn whole(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    let given = Arguments::new(places, names);
    let other = given.get(0, "default")?.unwrap_or_else(|| Value::from(0));
    let base = given.number(1, "base")?.and_then(|base| u32::try_from(base).ok()).unwrap_or(10);
    given.done()?;
    let found = match value.as_str().map(|text| text.trim().replace('_', "")) {
        Some(text) => i64::from_str_radix(unmarked(&text, base), base.clamp(2, 36))
            .ok()
            .or_else(|| text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number as i64)),
        None if value.kind() == ValueKind::Bool => Some(i64::from(value.is_true())),
        None => value.as_i64().or_else(|| f64::try_from(value.clone()).ok().map(|number| number as i64)),
    };
    Ok(found.map_or(other, Value::from))
}

/// Digits without the `0x` of their base.
fn unmarked(text: &str, base: u32) -> &str {
    let marks = match base {
        2 => ["0b", "0B"],
        8 => ["0o", "0O"],
        16 => ["0x", "0X"],
        _ => return text,
    };
    marks.iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(text)
}

fn float(value: &Value, other: Option<Value>) -> Value {
    let found = match value.as_str() {
        Some(text) => text.trim().parse::<f64>().ok(),
        None if value.kind() == ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        None => f64::try_from(value.clone()).ok(),
    };
    found.map_or_else(|| other.unwrap_or_else(|| Value::from(0.0)), Value::from)
}

/// What a loop goes through, as a list where the engine would not know its length: without, no turn of it is the last.
fn listed(state: &State, value: Value) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.chars().map(|character| Value::from(character.to_string())).collect());
    }
    if value.kind() != ValueKind::Iterable || value.len().is_some() {
        return Ok(value);
    }
    let paid = |item| state.consume_fuel(1).map(|()| item);
    value.try_iter()?.map(paid).collect::<Result<Vec<Value>, Error>>().map(Value::from)
}

/// `dict(pairs, **names)`.
fn dict(pairs: Option<Value>, names: Kwargs) -> Result<Value, Error> {
    let mut found: Vec<(Value, Value)> = Vec::new();
    if let Some(pairs) = pairs.filter(|pairs| !pairs.is_none()) {
        for item in pairs.try_iter()? {
            if pairs.kind() == ValueKind::Map {
                found.push((item.clone(), pairs.get_item(&item)?));
            } else {
                found.push((item.get_item_by_index(0)?, item.get_item_by_index(1)?));
            }
        }
    }
    for name in names.args() {
        found.push((Value::from(name), names.get(name)?));
    }
    Ok(Value::from_pairs(found))
}

fn trim(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<String, Error> {
    let given = Arguments::new(places, names);
    let characters = given.text(0, "chars")?;
    given.done()?;
    let whole = text(value)?;
    let taken = |character: char| match &characters {
        Some(set) => set.contains(character),
        None => is_space(character),
    };
    Ok(whole.trim_matches(taken).to_owned())
}

/// `join(value, d='', attribute=None)`.
fn join(state: &mut State, value: &Value, places: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    let given = Arguments::new(places, names);
    let separator = given.get(0, "d")?.map_or_else(|| Ok(String::new()), |separator| text(&separator))?;
    let attribute = given.get(1, "attribute")?;
    given.done()?;
    if value.is_undefined() {
        return Ok(Value::from(""));
    }
    let values = match attribute {
        Some(name) => {
            let of = |item: Value| item.get_item(&name);
            Value::from(value.try_iter()?.map(of).collect::<Result<Vec<_>, Error>>()?)
        }
        None => value.clone(),
    };
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
    let kinds = [ValueKind::Seq, ValueKind::Iterable, ValueKind::Map, ValueKind::String, ValueKind::Undefined];
    kinds.contains(&value.kind())
}
