//! Methods of Python's strings, lists and dictionaries that templates call. minijinja-contrib has most of them; here are
//! those that it lacks, or that differ observably.

use super::arguments::Arguments;
use super::guard::held;
use super::python::{is_space, text};
use minijinja::value::{Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

/// Called for a method that minijinja itself does not know.
pub(super) fn method(state: &mut State, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let found = match value.as_str() {
        Some(text) => of_text(state, text, name, arguments)?,
        None if value.kind() == ValueKind::Seq => {
            held(state, value)?;
            of_list(value, name, arguments)?
        }
        None if value.kind() == ValueKind::Map => {
            arguments.iter().try_for_each(|argument| held(state, argument))?;
            of_map(value, name, arguments)?
        }
        None => None,
    };
    match found {
        Some(found) => Ok(found),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, arguments),
    }
}

fn of_text(state: &State, text: &str, name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match name {
        "strip" | "lstrip" | "rstrip" => {
            let (characters,): (Option<&str>,) = from_args(arguments)?;
            Value::from(stripped(text, characters, name))
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(arguments)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(arguments)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "split" | "rsplit" => split(text, name == "rsplit", arguments)?,
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            parts(text, separator, name == "rpartition")?
        }
        "splitlines" => {
            let given = Arguments::of_method(arguments)?;
            let keep = given.flag(0, "keepends")?.unwrap_or(false);
            given.done()?;
            lines(text, keep).into_iter().map(Value::from).collect()
        }
        "find" | "rfind" | "index" | "rindex" | "count" | "startswith" | "endswith" => searched(text, name, arguments)?,
        "title" => Value::from(titled(text)),
        "capitalize" => Value::from(super::text_filters::capitalized(text)),
        "zfill" | "ljust" | "rjust" | "center" => {
            let (width, fill): (usize, Option<&str>) = from_args(arguments)?;
            state.consume_fuel((width / 64) as u64)?;
            Value::from(padded(text, width, fill, name))
        }
        "casefold" => Value::from(text.to_lowercase().replace('ß', "ss")),
        "swapcase" => Value::from(text.chars().map(swapped).collect::<String>()),
        "isdecimal" => Value::from(regex::Regex::new(r"^\p{Nd}+$").is_ok_and(|digits| digits.is_match(text))),
        "join" => {
            let (values,): (&Value,) = from_args(arguments)?;
            return join(state, text, values).map(Some);
        }
        _ => return Ok(None),
    }))
}

/// The methods that look for a text, from a place to a place: `find(wanted, start, end)`. Places count characters.
fn searched(text: &str, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (wanted, start, end): (&Value, Option<i64>, Option<i64>) = from_args(arguments)?;
    let length = text.chars().count();
    let place = |given: i64| match usize::try_from(given) {
        Ok(place) => place.min(length),
        Err(_) => length.saturating_sub(usize::try_from(given.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let beyond = start.is_some_and(|start| usize::try_from(start).is_ok_and(|start| start > length));
    let (start, end) = (place(start.unwrap_or(0)), place(end.unwrap_or(i64::MAX)));
    let part: String = text.chars().skip(start).take(end.saturating_sub(start)).collect();
    if name.ends_with("with") {
        let any = |wanted: &Value| {
            let wanted = wanted.as_str().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "it needs a text"))?;
            Ok(if name == "startswith" { part.starts_with(wanted) } else { part.ends_with(wanted) })
        };
        let found: Result<Vec<bool>, Error> = match wanted.as_str() {
            Some(_) => any(wanted).map(|found| vec![found]),
            None => wanted.try_iter()?.map(|wanted| any(&wanted)).collect(),
        };
        return Ok(Value::from(found?.contains(&true)));
    }
    let wanted =
        wanted.as_str().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "only a text can be looked for"))?;
    let found = match name {
        "count" if wanted.is_empty() => return Ok(Value::from(part.chars().count() + 1)),
        "count" => return Ok(Value::from(part.matches(wanted).count())),
        "find" | "index" => part.find(wanted),
        _ => part.rfind(wanted),
    };
    match found.filter(|_| start <= end && !beyond) {
        Some(found) => Ok(Value::from(start + part[..found].chars().count())),
        None if name.ends_with("find") => Ok(Value::from(-1)),
        None => Err(Error::new(ErrorKind::InvalidOperation, "substring not found")),
    }
}

/// Each run of letters with a capital.
fn titled(text: &str) -> String {
    let (mut out, mut inside) = (String::with_capacity(text.len()), false);
    for character in text.chars() {
        match inside {
            true => out.extend(character.to_lowercase()),
            false => out.extend(character.to_uppercase()),
        }
        inside = character.is_alphabetic();
    }
    out
}

fn stripped<'a>(text: &'a str, characters: Option<&str>, name: &str) -> &'a str {
    let taken = |character: char| characters.map_or_else(|| is_space(character), |set| set.contains(character));
    match name {
        "strip" => text.trim_matches(taken),
        "lstrip" => text.trim_start_matches(taken),
        _ => text.trim_end_matches(taken),
    }
}

/// `split(sep=None, maxsplit=-1)`, from the left or from the right.
fn split(text: &str, from_right: bool, arguments: &[Value]) -> Result<Value, Error> {
    let given = Arguments::of_method(arguments)?;
    let (separator, most) = (given.get(0, "sep")?, given.get(1, "maxsplit")?);
    given.done()?;
    let most = most.and_then(|most| most.as_i64()).filter(|most| *most >= 0).map_or(usize::MAX, |most| most as usize);
    let pieces: Vec<&str> = match &separator {
        Some(separator) => {
            let wrong = || Error::new(ErrorKind::InvalidOperation, "the separator must be a text that is not empty");
            let separator = separator.as_str().filter(|separator| !separator.is_empty()).ok_or_else(wrong)?;
            let parts = most.saturating_add(1);
            match from_right {
                false => text.splitn(parts, separator).collect(),
                true => text.rsplitn(parts, separator).collect::<Vec<_>>().into_iter().rev().collect(),
            }
        }
        None => words(text, most, from_right),
    };
    Ok(pieces.into_iter().map(Value::from).collect())
}

/// Words between white space; after `most` splits the rest stays whole.
fn words(text: &str, most: usize, from_right: bool) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), text.trim_matches(is_space));
    while !rest.is_empty() {
        let cut = if from_right { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(cut) = cut.filter(|_| found.len() < most) else {
            found.push(rest);
            break;
        };
        let after = cut + rest[cut..].chars().next().map_or(1, char::len_utf8);
        let (word, remaining) =
            if from_right { (&rest[after..], &rest[..cut]) } else { (&rest[..cut], &rest[after..]) };
        found.push(word);
        rest = if from_right { remaining.trim_end_matches(is_space) } else { remaining.trim_start_matches(is_space) };
    }
    if from_right {
        found.reverse();
    }
    found
}

fn parts(text: &str, separator: &str, from_right: bool) -> Result<Value, Error> {
    if separator.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "the separator must not be empty"));
    }
    let found = if from_right { text.rsplit_once(separator) } else { text.split_once(separator) };
    let three = match found {
        Some((before, after)) => [before, separator, after],
        None if from_right => ["", "", text],
        None => [text, "", ""],
    };
    Ok(Value::from(Tuple::from(three.map(Value::from))))
}

/// Python ends a line at more characters than a line feed.
pub(super) fn lines(text: &str, keep: bool) -> Vec<&str> {
    let ends = ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(place) = rest.find(ends) {
        let mut after = place + rest[place..].chars().next().map_or(1, char::len_utf8);
        if rest[place..].starts_with("\r\n") {
            after += 1;
        }
        found.push(if keep { &rest[..after] } else { &rest[..place] });
        rest = &rest[after..];
    }
    if !rest.is_empty() {
        found.push(rest);
    }
    found
}

pub(super) fn padded(text: &str, width: usize, fill: Option<&str>, name: &str) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let fill = fill.unwrap_or(if name == "zfill" { "0" } else { " " });
    let pad = |count: usize| fill.repeat(count);
    match name {
        "ljust" => format!("{text}{}", pad(missing)),
        "center" => {
            // Of an odd number of spaces Python puts one more on the left where the width is odd.
            let left = missing / 2 + (missing & width & 1);
            format!("{}{text}{}", pad(left), pad(missing - left))
        }
        "zfill" if text.starts_with(['-', '+']) => format!("{}{}{}", &text[..1], pad(missing), &text[1..]),
        _ => format!("{}{text}", pad(missing)),
    }
}

fn swapped(character: char) -> char {
    let other =
        if character.is_uppercase() { character.to_lowercase().next() } else { character.to_uppercase().next() };
    other.unwrap_or(character)
}

/// `separator.join(values)`; what is no text is written as Python writes it.
pub(super) fn join(state: &State, separator: &str, values: &Value) -> Result<Value, Error> {
    let mut out = String::new();
    for (index, value) in values.try_iter()?.enumerate() {
        let piece = text(&value)?;
        state.consume_fuel(((separator.len() + piece.len()) / 64) as u64)?;
        out.push_str(if index > 0 { separator } else { "" });
        out.push_str(&piece);
    }
    Ok(Value::from(out))
}

fn of_list(value: &Value, name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    Ok(match name {
        "index" => {
            let (wanted,): (&Value,) = from_args(arguments)?;
            let place = value.try_iter()?.position(|item| item == *wanted);
            Some(Value::from(place.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "it is not in the list"))?))
        }
        "copy" => Some(value.clone()),
        "append" | "extend" | "insert" | "pop" | "remove" | "clear" | "sort" | "reverse" => return Err(changes(name)),
        _ => None,
    })
}

fn of_map(value: &Value, name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    // A key of that name is what the template means where the value under it can be called; data cannot.
    Ok(match name {
        "copy" => Some(value.clone()),
        "items" => {
            let () = from_args(arguments)?;
            let pairs = value.try_iter()?.map(|key| Ok(Value::from(Tuple::from([key.clone(), value.get_item(&key)?]))));
            Some(Value::from(pairs.collect::<Result<Vec<_>, Error>>()?))
        }
        "update" | "pop" | "setdefault" | "clear" | "popitem" => return Err(changes(name)),
        _ => None,
    })
}

/// Templates run in a sandbox that lets them change nothing.
fn changes(name: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("“{name}” would change a value, which templates must not"))
}
