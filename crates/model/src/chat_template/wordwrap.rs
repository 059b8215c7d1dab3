//! The filter `wordwrap`: Python's `textwrap` over the lines of a text. A piece is a run of white space, a word with the
//! hyphen that ends it, or a dash between words; as many as fit make a line.

use super::arguments::Arguments;
use super::methods::lines;
use super::python::text;
use minijinja::value::{Kwargs, Rest};
use minijinja::{Error, ErrorKind, Value};

/// `wordwrap(s, width=79, break_long_words=True, wrapstring=None, break_on_hyphens=True)`.
pub(super) fn wordwrap(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    let given = Arguments::new(places, names);
    let width = given.size(0, "width")?.unwrap_or(79);
    let long = given.flag(1, "break_long_words")?.unwrap_or(true);
    let between = given.text(2, "wrapstring")?.unwrap_or_else(|| "\n".to_owned());
    let hyphens = given.flag(3, "break_on_hyphens")?.unwrap_or(true);
    given.done()?;
    if width == 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "“wordwrap” needs a width above 0"));
    }
    let whole = text(value)?;
    let wrapped = |line: &&str| wrapped(line, width, long, hyphens).join(&between);
    Ok(Value::from(lines(&whole, false).iter().map(wrapped).collect::<Vec<_>>().join(&between)))
}

fn is_blank(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn is_letter(character: char) -> bool {
    is_word(character) && !character.is_numeric()
}

fn ends_word(character: char) -> bool {
    is_word(character) || "!\"'&.,?".contains(character)
}

/// One line as lines of at most `width` characters.
fn wrapped(line: &str, width: usize, long: bool, hyphens: bool) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    let mut pieces = pieces(&characters, hyphens).into_iter().map(<[char]>::to_vec).rev().collect::<Vec<_>>();
    let mut found: Vec<String> = Vec::new();
    while !pieces.is_empty() {
        let (mut taken, mut length) = (Vec::<Vec<char>>::new(), 0);
        if !found.is_empty() && pieces.last().is_some_and(|piece| blank(piece)) {
            pieces.pop();
        }
        while let Some(piece) = pieces.pop_if(|piece| length + piece.len() <= width) {
            length += piece.len();
            taken.push(piece);
        }
        if let Some(piece) = pieces.pop_if(|piece| piece.len() > width) {
            match cut(&piece, width - length, hyphens).filter(|_| long) {
                Some(end) => {
                    taken.push(piece[..end].to_vec());
                    pieces.push(piece[end..].to_vec());
                }
                None if taken.is_empty() => taken.push(piece),
                None => pieces.push(piece),
            }
        }
        taken.pop_if(|piece| blank(piece));
        if !taken.is_empty() {
            found.push(taken.concat().into_iter().collect());
        }
    }
    found
}

fn blank(piece: &[char]) -> bool {
    piece.iter().all(|character| super::python::is_space(*character))
}

/// Where a piece that is longer than a line is cut: behind its last hyphen that fits, or where the room ends.
fn cut(piece: &[char], room: usize, hyphens: bool) -> Option<usize> {
    let hyphen = piece[..room]
        .iter()
        .rposition(|character| *character == '-')
        .filter(|place| hyphens && *place > 0 && piece[..*place].iter().any(|character| *character != '-'));
    Some(hyphen.map_or(room, |place| place + 1))
}

/// A line in pieces.
fn pieces(line: &[char], hyphens: bool) -> Vec<&[char]> {
    let (mut found, mut start) = (Vec::new(), 0);
    while start < line.len() {
        let blank = is_blank(line[start]);
        let end = match blank || !hyphens {
            true => start + line[start..].iter().take_while(|character| is_blank(**character) == blank).count(),
            false => word_end(line, start),
        };
        found.push(&line[start..end]);
        start = end;
    }
    found
}

/// Where the word or the dash that begins at `start` ends.
fn word_end(line: &[char], start: usize) -> usize {
    if let Some(end) = dash(line, start) {
        return end;
    }
    let letters = |from: usize, to: usize| line.get(from..to).is_some_and(|part| part.iter().copied().all(is_letter));
    for end in start + 1..line.len() {
        if is_blank(line[end]) || dash(line, end).is_some() {
            return end;
        }
        if line[end] != '-' {
            continue;
        }
        let after_two = end >= 2 && letters(end - 2, end);
        let after_hyphen = end >= 3 && is_letter(line[end - 3]) && line[end - 2] == '-' && ends_word(line[end - 1]);
        let before = letters(end + 1, end + 3)
            || (letters(end + 1, end + 2) && line.get(end + 2) == Some(&'-') && letters(end + 3, end + 4));
        if (after_two || after_hyphen) && before {
            return end + 1;
        }
    }
    line.len()
}

/// The end of two or more hyphens between two words.
fn dash(line: &[char], start: usize) -> Option<usize> {
    let length = line[start..].iter().take_while(|character| **character == '-').count();
    let between =
        start > 0 && ends_word(line[start - 1]) && line.get(start + length).is_some_and(|next| is_word(*next));
    (length >= 2 && between).then_some(start + length)
}
