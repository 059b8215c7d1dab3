//! `%` and `~` as Python has them: `%` on a text fills in what stands on the right, on numbers it is the remainder with the
//! sign of the divisor; `~` writes its sides as `str` does.

use super::python::{coded, number, shown, text};
use minijinja::value::{Kwargs, Rest, Tuple, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Puts the calls that `operators` writes, and the filter `format`, into an environment.
pub(super) fn install(environment: &mut Environment) {
    environment.add_function(super::operators::REMAINDER, remainder);
    environment.add_function(super::operators::CONCAT, concat);
    environment.add_filter("format", |state: &mut State, form: &Value, places: Rest<Value>, names: Kwargs| {
        let form = text(form)?;
        let named = names.args().next().is_some();
        match (places.is_empty(), named) {
            (false, true) => Err(wrong("“format” takes values by place or by name, not both")),
            (true, true) => filled(state, &form, Given::Named(names.into())),
            _ => filled(state, &form, Given::Listed(places.to_vec())),
        }
    });
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// `a ~ b ~ c`.
fn concat(state: &State, parts: Rest<Value>) -> Result<Value, Error> {
    let mut out = String::new();
    for part in parts.iter() {
        match part.as_str() {
            Some(text) => out.push_str(text),
            None => out.push_str(&text(part)?),
        }
        state.consume_fuel((out.len() / 1024) as u64)?;
    }
    Ok(Value::from(out))
}

/// `left % right`.
fn remainder(state: &mut State, left: &Value, right: &Value) -> Result<Value, Error> {
    if let Some(form) = left.as_str() {
        let given = match right.kind() {
            _ if right.downcast_object_ref::<Tuple>().is_some() => Given::Listed(right.try_iter()?.collect()),
            ValueKind::Map => Given::Named(right.clone()),
            _ => Given::One(right.clone()),
        };
        return filled(state, form, given);
    }
    let zero = || wrong("the remainder of a division by zero was asked for");
    match (whole(left), whole(right)) {
        (Some(_), Some(0)) => Err(zero()),
        (Some(left), Some(right)) => {
            let rest = left.wrapping_rem(right);
            Ok(Value::from(if rest != 0 && (rest < 0) != (right < 0) { rest + right } else { rest }))
        }
        _ => match (float(left), float(right)) {
            (Some(_), Some(0.0)) => Err(zero()),
            (Some(left), Some(right)) => {
                let rest = left % right;
                let same = rest == 0.0 || (rest < 0.0) == (right < 0.0);
                Ok(Value::from(if rest == 0.0 {
                    0.0_f64.copysign(right)
                } else if same {
                    rest
                } else {
                    rest + right
                }))
            }
            _ => Err(wrong(format!("“%” was used on {} and {}", left.kind(), right.kind()))),
        },
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value.kind() {
        ValueKind::Bool => Some(i128::from(value.is_true())),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok(),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        _ => None,
    }
}

/// What stands on the right of a text's `%`.
enum Given {
    Listed(Vec<Value>),
    Named(Value),
    One(Value),
}

/// One `%` with what follows it.
#[derive(Default)]
struct Directive {
    name: Option<String>,
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    other: bool,
    width: usize,
    precision: Option<usize>,
    kind: char,
}

/// Values in the order in which directives take them.
struct Values {
    given: Given,
    next: usize,
}

impl Values {
    fn take(&mut self) -> Result<Value, Error> {
        let place = self.next;
        self.next += 1;
        let found = match &self.given {
            Given::Listed(values) => values.get(place).cloned(),
            Given::Named(value) | Given::One(value) => (place == 0).then(|| value.clone()),
        };
        found.ok_or_else(|| wrong("not enough values for the text before “%”"))
    }

    fn named(&mut self, name: &str) -> Result<Value, Error> {
        let Given::Named(map) = &self.given else { return Err(wrong("“%(name)” needs a dictionary")) };
        let found = map.get_item(&Value::from(name))?;
        if found.is_undefined() { Err(wrong(format!("the dictionary has no “{name}”"))) } else { Ok(found) }
    }

    fn size(&mut self) -> Result<i64, Error> {
        self.take()?.as_i64().ok_or_else(|| wrong("“*” needs a whole number"))
    }

    /// Values that nothing asked for are a mistake, unless they come by name.
    fn finish(&self) -> Result<(), Error> {
        let left = match &self.given {
            Given::Listed(values) => self.next < values.len(),
            Given::One(value) => self.next == 0 && value.kind() != ValueKind::Seq,
            Given::Named(_) => false,
        };
        if left { Err(wrong("the text before “%” does not use all values")) } else { Ok(()) }
    }
}

/// A text with its directives filled in.
fn filled(state: &State, form: &str, given: Given) -> Result<Value, Error> {
    let (mut out, mut values) = (String::with_capacity(form.len()), Values { given, next: 0 });
    let mut rest = form.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let directive = directive(&mut rest, &mut values)?;
        if directive.kind == '%' {
            out.push('%');
            continue;
        }
        let value = match &directive.name {
            Some(name) => values.named(name)?,
            None => values.take()?,
        };
        let size = directive.width.saturating_add(directive.precision.unwrap_or(0));
        state.consume_fuel((size / 64) as u64 + 1)?;
        out.push_str(&directive.written(&value)?);
    }
    values.finish()?;
    Ok(Value::from(out))
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn directive(rest: &mut Characters, values: &mut Values) -> Result<Directive, Error> {
    let cut = || wrong("a “%” at the end of a text says not what to fill in");
    let mut found = Directive::default();
    if rest.next_if_eq(&'(').is_some() {
        let mut name = String::new();
        loop {
            match rest.next().ok_or_else(cut)? {
                ')' => break,
                character => name.push(character),
            }
        }
        found.name = Some(name);
    }
    while let Some(flag) = rest.next_if(|character| "-+ 0#".contains(*character)) {
        match flag {
            '-' => found.left = true,
            '+' => found.plus = true,
            ' ' => found.space = true,
            '0' => found.zero = true,
            _ => found.other = true,
        }
    }
    let width = size(rest, values)?.unwrap_or(0);
    found.left |= width < 0;
    found.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
    if rest.next_if_eq(&'.').is_some() {
        found.precision = Some(usize::try_from(size(rest, values)?.unwrap_or(0)).unwrap_or(0));
    }
    while rest.next_if(|character| "hlL".contains(*character)).is_some() {}
    found.kind = rest.next().ok_or_else(cut)?;
    Ok(found)
}

/// A number in the form, or the next value for `*`.
fn size(rest: &mut Characters, values: &mut Values) -> Result<Option<i64>, Error> {
    if rest.next_if_eq(&'*').is_some() {
        return values.size().map(Some);
    }
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if digits.is_empty() {
        return Ok(None);
    }
    digits.parse().map(Some).map_err(|_| wrong(format!("{digits} is too wide")))
}

impl Directive {
    fn written(&self, value: &Value) -> Result<String, Error> {
        let precise = |text: String| match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text,
        };
        Ok(match self.kind {
            's' => self.padded("", &precise(text(value)?), false),
            'r' => self.padded("", &precise(shown(value)?), false),
            'a' => self.padded("", &precise(escaped(&shown(value)?)), false),
            'c' => self.padded("", &character(value)?, false),
            'd' | 'i' | 'u' => {
                let number = match (whole(value), float(value)) {
                    (Some(number), _) => number,
                    (None, Some(float)) if float.is_finite() => float.trunc() as i128,
                    _ => return Err(self.unfit(value)),
                };
                self.integer(number, number.unsigned_abs().to_string(), "")
            }
            'x' | 'X' | 'o' => {
                let number = whole(value).ok_or_else(|| self.unfit(value))?;
                let size = number.unsigned_abs();
                let (digits, mark) = match self.kind {
                    'x' => (format!("{size:x}"), "0x"),
                    'X' => (format!("{size:X}"), "0X"),
                    _ => (format!("{size:o}"), "0o"),
                };
                self.integer(number, digits, if self.other { mark } else { "" })
            }
            'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
                let number = float(value).ok_or_else(|| self.unfit(value))?;
                let digits = self.digits(number.abs());
                let digits = if self.kind.is_uppercase() { digits.to_uppercase() } else { digits };
                self.padded(self.sign(number.is_sign_negative() && !number.is_nan()), &digits, number.is_finite())
            }
            other => return Err(wrong(format!("“%{other}” is no form that Python knows"))),
        })
    }

    fn unfit(&self, value: &Value) -> Error {
        wrong(format!("“%{}” needs a number, not a value of type {}", self.kind, value.kind()))
    }

    fn sign(&self, negative: bool) -> &'static str {
        match () {
            () if negative => "-",
            () if self.plus => "+",
            () if self.space => " ",
            () => "",
        }
    }

    fn integer(&self, number: i128, digits: String, mark: &str) -> String {
        let missing = self.precision.unwrap_or(0).saturating_sub(digits.len());
        self.padded(&format!("{}{mark}", self.sign(number < 0)), &format!("{}{digits}", "0".repeat(missing)), true)
    }

    /// A number that is not negative, with as many digits as were asked for.
    fn digits(&self, number: f64) -> String {
        let precision = self.precision.unwrap_or(6).min(usize::from(u16::MAX));
        match self.kind.to_ascii_lowercase() {
            _ if number.is_nan() => "nan".to_owned(),
            _ if number.is_infinite() => "inf".to_owned(),
            'f' => format!("{number:.precision$}{}", if self.other && precision == 0 { "." } else { "" }),
            'e' => powered(number, precision).0,
            _ => {
                let digits = precision.max(1);
                let (scientific, power) = powered(number, digits - 1);
                let fixed = (-4..digits as i32).contains(&power);
                let text =
                    if fixed { format!("{number:.*}", (digits as i32 - 1 - power) as usize) } else { scientific };
                if self.other { text } else { shortened(&text) }
            }
        }
    }

    fn padded(&self, sign: &str, body: &str, numeric: bool) -> String {
        let missing = self.width.saturating_sub(sign.len() + body.chars().count());
        match () {
            () if self.left => format!("{sign}{body}{}", " ".repeat(missing)),
            () if self.zero && numeric => format!("{sign}{}{body}", "0".repeat(missing)),
            () => format!("{}{sign}{body}", " ".repeat(missing)),
        }
    }
}

/// `1.5e+03`, and its power.
fn powered(number: f64, precision: usize) -> (String, i32) {
    let text = format!("{number:.precision$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    (format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs()), power)
}

/// Without the zeros that end a fraction.
fn shortened(text: &str) -> String {
    let (digits, power) = text.find('e').map_or((text, ""), |place| text.split_at(place));
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits}{power}")
}

fn character(value: &Value) -> Result<String, Error> {
    let code = whole(value).and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32);
    match value.as_str() {
        Some(text) if text.chars().count() == 1 => Ok(text.to_owned()),
        _ => code.map(String::from).ok_or_else(|| wrong(format!("“%c” needs one character, not {}", number(value)))),
    }
}

/// As `ascii()` writes what `repr` leaves as it is.
fn escaped(text: &str) -> String {
    text.chars().map(|character| if character.is_ascii() { character.into() } else { coded(character) }).collect()
}
