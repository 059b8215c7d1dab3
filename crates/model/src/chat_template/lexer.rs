//! Splits a template into the tokens of its expressions, as far as rewriting operators needs it; text, comments and raw
//! parts are skipped. A truncated template yields its complete part; the engine reports what is wrong with it.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a word of the language.
    Word,
    /// A number or a text in quotes.
    Literal,
    Open,
    Close,
    Operator,
}

/// A piece of an expression and where it stands in the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) at: usize,
}

/// What stands between `{{` and `}}`, or between `{%` and `%}`.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    /// Whether it begins with the word of a statement.
    pub(super) statement: bool,
    pub(super) tokens: Vec<Token<'a>>,
}

/// The tags of a template in their order.
pub(super) fn tags(source: &str) -> Vec<Tag<'_>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(start) = source[at..].find('{').map(|place| at + place) {
        let statement = match source.as_bytes().get(start + 1) {
            Some(b'{') => false,
            Some(b'%') => true,
            Some(b'#') => match source[start..].find("#}") {
                Some(end) => {
                    at = start + end + 2;
                    continue;
                }
                None => break,
            },
            _ => {
                at = start + 1;
                continue;
            }
        };
        let Some((tokens, end)) = expression(source, start + 2, if statement { "%}" } else { "}}" }) else { break };
        let raw = statement && tokens.first().is_some_and(|token| token.text == "raw");
        found.push(Tag { statement, tokens });
        at = if raw { after_raw(source, end) } else { end };
    }
    found
}

/// Past the end of a raw part.
fn after_raw(source: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(place) = source[at..].find("{%") {
        at += place + 2;
        if source[at..].trim_start_matches(['-', '+']).trim_start().starts_with("endraw") {
            return source[at..].find("%}").map_or(source.len(), |end| at + end + 2);
        }
    }
    source.len()
}

/// The tokens from `at` to the closing sign, and where what follows begins.
fn expression<'a>(source: &'a str, at: usize, close: &str) -> Option<(Vec<Token<'a>>, usize)> {
    let (mut tokens, mut depth) = (Vec::new(), 0usize);
    // A sign directly behind the opening one, or before the closing one, is about white space.
    let mut at = at + usize::from(source[at..].starts_with(['-', '+']));
    loop {
        let rest = &source[at..];
        let first = rest.chars().next()?;
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if depth == 0 {
            let signed = rest.strip_prefix(['-', '+']).is_some_and(|rest| rest.starts_with(close));
            if signed || rest.starts_with(close) {
                return Some((tokens, at + usize::from(signed) + close.len()));
            }
        }
        let (kind, length) = token(rest, first)?;
        match kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        tokens.push(Token { kind, text: &rest[..length], at });
        at += length;
    }
}

/// The kind and the bytes of what a text begins with.
fn token(rest: &str, first: char) -> Option<(Kind, usize)> {
    let run = |taken: fn(char) -> bool| rest.find(|character| !taken(character)).unwrap_or(rest.len());
    Some(match first {
        '(' | '[' | '{' => (Kind::Open, 1),
        ')' | ']' | '}' => (Kind::Close, 1),
        '\'' | '"' => (Kind::Literal, quoted(rest, first)?),
        '0'..='9' => (Kind::Literal, number(rest)),
        _ if first.is_alphabetic() || first == '_' => {
            (Kind::Word, run(|character| character.is_alphanumeric() || character == '_'))
        }
        _ => {
            let two = ["==", "!=", "<=", ">=", "//", "**"].iter().any(|sign| rest.starts_with(sign));
            (Kind::Operator, if two { 2 } else { first.len_utf8() })
        }
    })
}

fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (place, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return Some(place + 1),
            _ => {}
        }
    }
    None
}

/// Digits with their fraction and power; `1.x` is a look-up in a number, and no fraction.
fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let word = |from: usize| {
        let end = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'_';
        bytes[from..].iter().position(end).map_or(bytes.len(), |length| from + length)
    };
    let digit = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_digit);
    let mut end = word(0);
    if bytes.get(end) == Some(&b'.') && digit(end + 1) {
        end = word(end + 1);
    }
    let powered = bytes[..end].last().is_some_and(|byte| matches!(byte, b'e' | b'E')) && !rest.starts_with("0x");
    if powered && matches!(bytes.get(end), Some(b'-' | b'+')) && digit(end + 1) {
        end = word(end + 1);
    }
    end
}
