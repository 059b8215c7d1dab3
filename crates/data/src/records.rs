//! Iterates over the records of a file with at most one of them in memory. A record that is broken, cut off, too long,
//! too deep or too full is reported in its place, and reading continues with the next one.

use crate::DataError;
use crate::conversation::is_message;
use crate::fault::{Fault, reason};
use crate::layout::{Layout, Source, members, open};
use crate::scan::{DEEPEST, FULLEST, LONGEST, Piece, Scanner, weigh};
use crate::table;
use alidade_domain::{Wording, Words, shown, wording};
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

const FETCH: Words = Words::new(
    "Fetch or write the file again; the records before this place are used.",
    "请重新获取或写出该文件；此处之前的记录已使用。",
);
const SPLIT: Words = Words::new("Split the record or leave it out.", "拆分这条记录，或略去它。");

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
                let found = wording!(
                    "{lost} bytes behind the end of the list, from byte {at} on, are no JSON",
                    "列表结束之后，从第 {at} 字节起有 {lost} 字节不是 JSON"
                );
                each(Err(Fault::new(Words::new("text behind the list", "列表之后有文本"), found, FETCH)))?;
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
        let found = wording!(
            "{deepest} brackets inside each other; the limit is {DEEPEST}",
            "括号嵌套 {deepest} 层，上限为 {DEEPEST} 层",
            deepest = piece.deepest
        );
        return Some(Fault::new(
            Words::new("nested too deep", "嵌套过深"),
            found,
            Words::new("Flatten the record or leave it out.", "展平这条记录，或略去它。"),
        ));
    }
    let found = wording!("more than {FULLEST} values and names in one record", "一条记录中的值和名称超过 {FULLEST} 个");
    (count > FULLEST).then(|| Fault::new(Words::new("too many values", "值过多"), found, SPLIT))
}

fn too_long(piece: &Piece) -> Fault {
    let found = wording!(
        "{length} bytes from byte {start} on; the limit is {limit} MiB",
        "从第 {start} 字节起有 {length} 字节，上限为 {limit} MiB",
        length = piece.length,
        start = piece.start,
        limit = LONGEST >> 20
    );
    Fault::new(reason::TOO_LONG, found, SPLIT)
}

fn cut_off(piece: &Piece) -> Fault {
    let deep = match piece.deepest {
        deepest if deepest > DEEPEST => wording!(", {deepest} brackets deep", "（括号嵌套 {deepest} 层）"),
        _ => Wording::default(),
    };
    let found = wording!(
        "the file ends inside this record{deep}: its {length} bytes from byte {start} on are lost",
        "文件在这条记录中间结束{deep}：从第 {start} 字节起的 {length} 字节丢失";
        deep; length = piece.length, start = piece.start
    );
    Fault::new(reason::CUT_OFF, found, FETCH)
}

fn unclosed(offset: u64) -> Fault {
    let found = wording!(
        "the file ends at byte {offset} without closing its list; what may have followed is lost",
        "文件在第 {offset} 字节处结束，列表没有收尾；之后的内容可能已丢失"
    );
    Fault::new(reason::CUT_OFF, found, FETCH)
}

fn broken(text: &[u8], error: &serde_json::Error) -> Fault {
    let part = String::from_utf8_lossy(&text[..text.len().min(400)]).into_owned();
    let fix = match () {
        () if text.contains(&0) => {
            Words::new("The record holds zero bytes; write the file again.", "记录中有零字节，请重新写出该文件。")
        }
        () if part.starts_with("{'") || part.starts_with("[{'") => Words::new(
            "This is Python's print format; write it with json.dumps.",
            "这是 Python 的打印格式，请用 json.dumps 写出。",
        ),
        () => Words::new("Correct the JSON of this record.", "改正这条记录的 JSON。"),
    };
    Fault::new(reason::BROKEN_RECORD, Wording::name(format!("{error}: {}", shown(&part, 60))), fix)
}
