//! Jinja2's string filters that minijinja lacks or formats differently.

use super::arguments::Arguments;
use super::methods::{lines, padded};
use super::python::{is_space, shown, text};
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Most characters of a line that `pprint` does not break.
const LINE: usize = 80;

/// Puts them into an environment.
pub(super) fn install(environment: &mut Environment) {
    environment.add_filter("truncate", truncate);
    environment.add_filter("center", center);
    environment.add_filter("urlencode", |value: &Value| urlencode(value).map(Value::from));
    environment.add_filter("filesizeformat", filesizeformat);
    environment.add_filter("wordwrap", super::wordwrap::wordwrap);
    environment.add_filter("indent", indent);
    environment.add_filter("title", |value: &Value| text(value).map(|text| title(&text)));
    environment.add_filter("striptags", |value: &Value| {
        text(value).map(|text| minijinja_contrib::filters::striptags(text).trim().to_owned())
    });
    environment.add_filter("xmlattr", xmlattr);
    environment
        .add_filter("forceescape", |value: &Value| Ok::<_, Error>(Value::from_safe_string(escaped(&text(value)?))));
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.add_filter("wordcount", |value: &Value| text(value).map(|text| words(&text)));
    environment.add_filter("pprint", pprint);
    environment.add_filter("lower", |value: &Value| text(value).map(|text| text.to_lowercase()));
    environment.add_filter("upper", |value: &Value| text(value).map(|text| text.to_uppercase()));
    environment.add_filter("capitalize", |value: &Value| text(value).map(|text| capitalized(&text)));
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// `truncate(s, length=255, killwords=False, end='...', leeway=5)`.
fn truncate(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<String, Error> {
    let given = Arguments::new(places, names);
    let length = given.size(0, "length")?.unwrap_or(255);
    let kill = given.flag(1, "killwords")?.unwrap_or(false);
    let end = given.text(2, "end")?.unwrap_or_else(|| "...".to_owned());
    let leeway = given.size(3, "leeway")?.unwrap_or(5);
    given.done()?;
    let room = length.checked_sub(end.chars().count());
    let room = room.ok_or_else(|| wrong(format!("“truncate” to {length} leaves no room for “{end}”")))?;
    let whole = text(value)?;
    if whole.chars().count() <= length.saturating_add(leeway) {
        return Ok(whole);
    }
    let kept: String = whole.chars().take(room).collect();
    let word = if kill { None } else { kept.rfind(' ') };
    Ok(format!("{}{end}", &kept[..word.unwrap_or(kept.len())]))
}

fn center(state: &State, value: &Value, places: Rest<Value>, names: Kwargs) -> Result<String, Error> {
    let given = Arguments::new(places, names);
    let width = given.size(0, "width")?.unwrap_or(80);
    given.done()?;
    state.consume_fuel((width / 64) as u64)?;
    Ok(padded(&text(value)?, width, None, "center"))
}

/// A text, or the pairs of a dictionary or a list, in percent signs.
fn urlencode(value: &Value) -> Result<String, Error> {
    let pairs: Vec<Value> = match value.kind() {
        ValueKind::Map => value
            .try_iter()?
            .map(|key| Ok(Value::from(vec![key.clone(), value.get_item(&key)?])))
            .collect::<Result<_, Error>>()?,
        ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.collect(),
        _ => return Ok(quoted(&text(value)?, true)),
    };
    let pair = |pair: &Value| {
        let part =
            |index: usize| text(&pair.get_item_by_index(index)?).map(|text| quoted(&text, false).replace("%20", "+"));
        Ok(format!("{}={}", part(0)?, part(1)?))
    };
    Ok(pairs.iter().map(pair).collect::<Result<Vec<_>, Error>>()?.join("&"))
}

fn quoted(text: &str, slashes: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || (slashes && byte == b'/');
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match plain(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `1.5 kB`, or with `binary` `1.5 KiB`.
fn filesizeformat(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<String, Error> {
    let given = Arguments::new(places, names);
    let binary = given.flag(0, "binary")?.unwrap_or(false);
    given.done()?;
    let read = value.as_str().map_or_else(|| f64::try_from(value.clone()).ok(), |text| text.trim().parse().ok());
    let bytes =
        read.ok_or_else(|| wrong(format!("“filesizeformat” needs a number, not a value of type {}", value.kind())))?;
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return Ok("1 Byte".to_owned());
    }
    if bytes < base {
        return Ok(format!("{} Bytes", bytes.trunc()));
    }
    let mut unit = base;
    let mut letters = "kMGTPEZY".chars().peekable();
    while let Some(letter) = letters.next() {
        unit *= base;
        if bytes < unit || letters.peek().is_none() {
            let letter = if binary { letter.to_ascii_uppercase() } else { letter };
            return Ok(format!("{:.1} {letter}{}", base * bytes / unit, if binary { "iB" } else { "B" }));
        }
    }
    Ok(String::new())
}

/// `indent(s, width=4, first=False, blank=False)`; the width may be the text itself.
fn indent(state: &State, value: &Value, places: Rest<Value>, names: Kwargs) -> Result<String, Error> {
    let given = Arguments::new(places, names);
    let width = given.get(0, "width")?;
    let first = given.flag(1, "first")?.unwrap_or(false);
    let blank = given.flag(2, "blank")?.unwrap_or(false);
    given.done()?;
    let margin = match width.as_ref().map(|width| (width.as_str(), width.as_usize())) {
        None => "    ".to_owned(),
        Some((Some(text), _)) => text.to_owned(),
        Some((None, Some(width))) => {
            state.consume_fuel((width / 64) as u64)?;
            " ".repeat(width)
        }
        Some(_) => return Err(wrong("“width” must be a number or a text")),
    };
    let whole = text(value)? + "\n";
    let lines = lines(&whole, false);
    state.consume_fuel((lines.len().saturating_mul(margin.len()) / 64) as u64)?;
    let mut out = String::with_capacity(whole.len());
    for (index, line) in lines.iter().enumerate() {
        out.push_str(if index > 0 { "\n" } else { "" });
        let moved = if index == 0 { first } else { blank || !line.is_empty() };
        out.push_str(if moved { &margin } else { "" });
        out.push_str(line);
    }
    Ok(out)
}

/// Each word with a capital: words begin behind white space, hyphens and opening brackets.
fn title(text: &str) -> String {
    let (mut out, mut begins) = (String::with_capacity(text.len()), true);
    for character in text.chars() {
        match begins {
            true => out.extend(character.to_uppercase()),
            false => out.extend(character.to_lowercase()),
        }
        begins = is_space(character) || "-({[<".contains(character);
    }
    out
}

pub(super) fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(rest.as_str().to_lowercase().chars()).collect())
}

/// Runs of letters, digits and underscores.
fn words(text: &str) -> usize {
    text.split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
        .count()
}

fn escape(value: &Value) -> Result<Value, Error> {
    if value.is_safe() { Ok(value.clone()) } else { Ok(Value::from_safe_string(escaped(&text(value)?))) }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// The attributes of a tag; what is undefined or `None` is left out.
fn xmlattr(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    let given = Arguments::new(places, names);
    let spaced = given.flag(0, "autospace")?.unwrap_or(true);
    given.done()?;
    let mut found = Vec::new();
    for key in value.try_iter()? {
        let (name, attribute) = (text(&key)?, value.get_item(&key)?);
        if name.contains(|character: char| is_space(character) || "/>=".contains(character)) {
            return Err(wrong(format!("“{name}” cannot be the name of an attribute")));
        }
        if !attribute.is_none() && !attribute.is_undefined() {
            let written = if attribute.is_safe() { text(&attribute)? } else { escaped(&text(&attribute)?) };
            found.push(format!("{}=\"{written}\"", escaped(&name)));
        }
    }
    let all = found.join(" ");
    Ok(Value::from(if spaced && !all.is_empty() { format!(" {all}") } else { all }))
}

/// `repr`, as long as that is one line; how Python breaks longer ones is not carried out.
fn pprint(value: &Value) -> Result<String, Error> {
    let line = shown(value)?;
    if line.chars().count() <= LINE {
        return Ok(line);
    }
    Err(wrong(format!("“pprint” of a value that takes more than {LINE} characters is not carried out; use “tojson”")))
}
