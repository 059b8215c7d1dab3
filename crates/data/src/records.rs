//! Iterates over the records of a file with at most one of them in memory. A record that is broken, cut off, too long,
//! too deep or too full is reported in its place, and reading continues with the next one.

use crate::DataError;
use crate::conversation::is_message;
use crate::fault::Fault;
use crate::layout::{Layout, Source, members, open};
use crate::scan::{DEEPEST, FULLEST, LONGEST, Piece, Scanner, weigh};
use crate::table;
use alidade_domain::shown;
use serde_json::{Map, Value, json};
use std::io::{self, BufRead};

/// Why reading ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The source failed, or is no text.
    Read(io::Error),
    /// The file as a whole is unusable, or a row could not be stored.
    Data(DataError),
    /// Enough was read.
    Enough,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<DataError> for Stop {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

/// A record, or what is wrong with its text.
pub(crate) type Record = Result<Value, Fault>;
/// Takes records in their order.
pub(crate) type Each<'a> = &'a mut dyn FnMut(Record) -> Result<(), Stop>;

const FETCH: &str = "Fetch or write the file again; the records before this place are used.";
const SPLIT: &str = "Split the record or leave it out.";

/// Passes every record of a file to `each`.
pub(crate) fn records(source: &mut dyn Source, layout: &Layout, name: &str, each: Each<'_>) -> Result<(), Stop> {
    let text = open(source)?;
    if let Layout::Table(dialect) = layout {
        return table::rows(text, dialect, name, each);
    }
    let mut scanner = Scanner::new(text);
    match layout {
        Layout::Lines => lines(&mut scanner, each),
        Layout::Paragraphs => paragraphs(&mut scanner, each),
        Layout::Values => values(&mut scanner, each),
        Layout::Elements => lists(&mut scanner, each),
        Layout::Under(wanted) => under(&mut scanner, wanted, each),
        Layout::Keyed | Layout::Table(_) => keyed(&mut scanner, each),
    }
}

fn lines<B: BufRead>(scanner: &mut Scanner<B>, each: Each<'_>) -> Result<(), Stop> {
    let mut kept = Vec::new();
    while let Some(piece) = scanner.line(&mut kept)? {
        let line = kept.trim_ascii();
        let line = line.strip_suffix(b",").unwrap_or(line);
        if piece.length > LONGEST as u64 {
            each(Err(too_long(&piece)))?;
            continue;
        }
        let (deepest, count) = weigh(line);
        let fault = oversized(&Piece { deepest, cut: false, ..piece }, count);
        match fault.map_or_else(|| line_values(line, &piece), Err) {
            Ok(values) => values.into_iter().try_for_each(|value| expand(value, each))?,
            Err(fault) => each(Err(fault))?,
        }
    }
    Ok(())
}

/// The values of a line: one, as a rule.
fn line_values(line: &[u8], piece: &Piece) -> Result<Vec<Value>, Fault> {
    let read =
        |line: &[u8]| -> Result<Vec<Value>, _> { serde_json::Deserializer::from_slice(line).into_iter().collect() };
    let values = read(line).or_else(|error| without_nan(line).map_or(Err(error), |line| read(&line)));
    values.map_err(|error| if error.is_eof() && piece.cut { cut_off(piece) } else { broken(line, &error) })
}

fn values<B: BufRead>(scanner: &mut Scanner<B>, each: Each<'_>) -> Result<(), Stop> {
    let mut kept = Vec::new();
    while let Some(byte) = scanner.peek()? {
        match byte {
            b',' => scanner.pass(1),
            _ => {
                one(scanner, &mut kept, each)?;
            }
        }
    }
    Ok(())
}

/// Lists one after another, and anything between and after them.
fn lists<B: BufRead>(scanner: &mut Scanner<B>, each: Each<'_>) -> Result<(), Stop> {
    let mut kept = Vec::new();
    while let Some(byte) = scanner.peek()? {
        match byte {
            b'[' => elements(scanner, each)?,
            b'{' => {
                one(scanner, &mut kept, each)?;
            }
            b',' => scanner.pass(1),
            _ => {
                let at = scanner.offset();
                let lost = scanner.rest()?;
                let found = format!("{lost} bytes behind the end of the list, from byte {at} on, are no JSON");
                each(Err(Fault::new("text behind the list", found, FETCH)))?;
            }
        }
    }
    Ok(())
}

fn elements<B: BufRead>(scanner: &mut Scanner<B>, each: Each<'_>) -> Result<(), Stop> {
    let mut kept = Vec::new();
    scanner.pass(1);
    loop {
        match scanner.peek()? {
            None => return each(Err(unclosed(scanner.offset()))),
            Some(b']') => {
                scanner.pass(1);
                return Ok(());
            }
            Some(b',') => scanner.pass(1),
            // A cut element is reported by itself; nothing can follow it.
            Some(_) if one(scanner, &mut kept, each)?.cut => return Ok(()),
            Some(_) => {}
        }
    }
}

fn under<B: BufRead>(scanner: &mut Scanner<B>, wanted: &str, each: Each<'_>) -> Result<(), Stop> {
    let mut done = false;
    members(scanner, &mut |key, scanner| {
        if !done && key == wanted && scanner.peek()? == Some(b'[') {
            done = true;
            return elements(scanner, each);
        }
        scanner.value(None)?;
        Ok(())
    })?;
    Ok(())
}

fn keyed<B: BufRead>(scanner: &mut Scanner<B>, each: Each<'_>) -> Result<(), Stop> {
    let (mut kept, mut cut) = (Vec::new(), false);
    let closed = members(scanner, &mut |_, scanner| {
        cut |= one(scanner, &mut kept, each)?.cut;
        Ok(())
    })?;
    if closed || cut { Ok(()) } else { each(Err(unclosed(scanner.offset()))) }
}

fn paragraphs<B: BufRead>(scanner: &mut Scanner<B>, each: Each<'_>) -> Result<(), Stop> {
    let (mut kept, mut part, mut long) = (Vec::new(), String::new(), None);
    loop {
        let line = scanner.line(&mut kept)?;
        let text = String::from_utf8_lossy(&kept);
        let text = text.strip_suffix('\r').unwrap_or(&text);
        if let Some(piece) = &line
            && (piece.length > 0 && !text.trim().is_empty() || piece.length > LONGEST as u64)
        {
            if part.len() + text.len() > LONGEST || piece.length > LONGEST as u64 {
                long = Some(*piece);
                part.clear();
            }
            if long.is_none() {
                part.push_str(text);
                part.push('\n');
            }
            continue;
        }
        if let Some(piece) = long.take() {
            each(Err(too_long(&piece)))?;
        } else if !part.trim().is_empty() {
            each(Ok(json!({ "text": part.trim() })))?;
        }
        part.clear();
        if line.is_none() {
            return Ok(());
        }
    }
}

/// Reads the value that begins here as a record.
fn one<B: BufRead>(scanner: &mut Scanner<B>, kept: &mut Vec<u8>, each: Each<'_>) -> Result<Piece, Stop> {
    let piece = scanner.value(Some(kept))?;
    let (_, count) = weigh(kept);
    match oversized(&piece, count) {
        Some(fault) => each(Err(fault))?,
        None => match serde_json::from_slice(kept)
            .or_else(|error| without_nan(kept).map_or(Err(error), |text| serde_json::from_slice(&text)))
        {
            Ok(value) => expand(value, each)?,
            Err(error) => each(Err(broken(kept, &error)))?,
        },
    }
    Ok(piece)
}

/// The text with NaN and Infinity, which Python writes and JSON does not have, replaced by null; `None` where there are
/// none.
fn without_nan(text: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let (mut clean, mut quoted, mut at) = (Vec::with_capacity(text.len()), false, 0);
    let mut found = false;
    while let Some(byte) = text.get(at) {
        let word = WORDS.iter().find(|word| !quoted && text[at..].starts_with(word));
        if let Some(word) = word {
            clean.extend_from_slice(b"null");
            at += word.len();
            found = true;
            continue;
        }
        clean.push(*byte);
        at += 1;
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                clean.extend(text.get(at));
                at += 1;
            }
            _ => {}
        }
    }
    found.then_some(clean)
}

/// A bare list is a conversation or a batch of records; everything else is a record.
fn expand(value: Value, each: Each<'_>) -> Result<(), Stop> {
    let Value::Array(list) = value else { return each(Ok(value)) };
    match list.first() {
        Some(first) if is_message(first) => {
            let mut record = Map::new();
            record.insert(BARE.to_owned(), Value::Array(list));
            each(Ok(Value::Object(record)))
        }
        Some(Value::Object(_)) => list.into_iter().try_for_each(|value| each(Ok(value))),
        Some(Value::Array(inner)) if inner.first().is_some_and(is_message) => {
            list.into_iter().try_for_each(|value| expand(value, each))
        }
        _ => each(Ok(Value::Array(list))),
    }
}

/// The field name of a bare conversation in its record; no column of a file has this name.
pub(crate) const BARE: &str = "\u{1}bare conversation";

fn oversized(piece: &Piece, count: usize) -> Option<Fault> {
    if piece.cut {
        return Some(cut_off(piece));
    }
    if piece.length > LONGEST as u64 {
        return Some(too_long(piece));
    }
    if piece.deepest > DEEPEST {
        let found = format!("{} brackets inside each other; the limit is {DEEPEST}", piece.deepest);
        return Some(Fault::new("nested too deep", found, "Flatten the record or leave it out."));
    }
    let found = format!("more than {FULLEST} values and names in one record");
    (count > FULLEST).then(|| Fault::new("too many values", found, SPLIT))
}

fn too_long(piece: &Piece) -> Fault {
    let found = format!("{} bytes from byte {} on; the limit is {} MiB", piece.length, piece.start, LONGEST >> 20);
    Fault::new("too long", found, SPLIT)
}

fn cut_off(piece: &Piece) -> Fault {
    let deep = if piece.deepest > DEEPEST { format!(", {} brackets deep", piece.deepest) } else { String::new() };
    let found = format!(
        "the file ends inside this record{deep}: its {} bytes from byte {} on are lost",
        piece.length, piece.start
    );
    Fault::new("cut off", found, FETCH)
}

fn unclosed(offset: u64) -> Fault {
    let found = format!("the file ends at byte {offset} without closing its list; what may have followed is lost");
    Fault::new("cut off", found, FETCH)
}

fn broken(text: &[u8], error: &serde_json::Error) -> Fault {
    let part = String::from_utf8_lossy(&text[..text.len().min(400)]).into_owned();
    let fix = match () {
        () if text.contains(&0) => "The record holds zero bytes; write the file again.",
        () if part.starts_with("{'") || part.starts_with("[{'") => {
            "This is Python's print format; write it with json.dumps."
        }
        () => "Correct the JSON of this record.",
    };
    Fault::new("broken record", format!("{error}: {}", shown(&part, 60)), fix)
}
