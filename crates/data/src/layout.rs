//! Detects the layout of a file from its text, never from its extension alone. Detection may read the whole file, but
//! keeps only column names.

use crate::DataError;
use crate::columns;
use crate::encoding::{Decoder, Encoding};
use crate::records::Stop;
use crate::scan::{LONGEST, Scanner};
use crate::table::{Dialect, dialect};
use crate::unsupported;
use alidade_domain::{Wording, Words, wording};
use serde::de::IgnoredAny;
use std::io::{Read, Seek};

/// Most text that is read for detection.
const LOOKED_AT: u64 = 256 << 10;
/// Most keys of one object that are remembered.
const MOST_NAMES: usize = 4_096;

/// The source of a file, which is read more than once from its beginning.
pub(crate) trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// The layout of records in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// JSON values one after another, each a record.
    Values,
    /// The elements of a list, or of several one after another.
    Elements,
    /// The elements of the list under this key of the one object.
    Under(String),
    /// The values of the one object.
    Keyed,
    /// A JSON value a line.
    Lines,
    /// A table with names in its first row.
    Table(Dialect),
    /// Text in paragraphs.
    Paragraphs,
}

/// The text of a source from its beginning.
pub(crate) fn open(source: &mut dyn Source) -> Result<Decoder<&mut dyn Source>, Stop> {
    source.rewind()?;
    Ok(Decoder::new(source)?)
}

/// Detects the layout and the encoding of a file.
pub(crate) fn sniff(source: &mut dyn Source, name: &str) -> Result<(Layout, Encoding), Stop> {
    source.rewind()?;
    let mut bytes = Vec::new();
    source.take(crate::encoding::HEAD as u64).read_to_end(&mut bytes)?;
    unsupported::refuse(&bytes, name)?;
    let text = open(source)?;
    let encoding = text.encoding();
    let mut head = Vec::new();
    text.take(LOOKED_AT).read_to_end(&mut head)?;
    let head = String::from_utf8_lossy(&head).into_owned();
    let Some(first) = Scanner::new(open(source)?).peek()? else {
        return Err(DataError::Empty { name: name.to_owned() }.into());
    };
    let name_in_small = name.to_lowercase();
    let prose = name_in_small.ends_with(".txt") || name_in_small.ends_with(".md");
    let layout = match first {
        b'[' | b'{' if !prose || opens_json(&head) => json(source, &head, name)?,
        _ if mostly_lines(&head) || one_value(&head, &name_in_small) => Layout::Lines,
        _ => match dialect(&head, &name_in_small) {
            Some(dialect) => Layout::Table(dialect),
            None if prose => Layout::Paragraphs,
            None => Layout::Lines,
        },
    };
    Ok((layout, encoding))
}

/// True unless a bracket begins prose, as in a link.
fn opens_json(head: &str) -> bool {
    let mut marks = head.bytes().filter(|byte| !byte.is_ascii_whitespace());
    match (marks.next(), marks.next()) {
        (Some(b'{'), Some(next)) => matches!(next, b'"' | b'}'),
        (Some(b'['), Some(next)) => matches!(next, b'"' | b'{' | b'[' | b']'),
        _ => false,
    }
}

/// True when half of the first lines are whole objects or lists.
fn mostly_lines(head: &str) -> bool {
    let mut lines: Vec<&str> = head.lines().filter(|line| !line.trim().is_empty()).collect();
    if head.len() as u64 >= LOOKED_AT {
        lines.pop();
    }
    let whole = |line: &&&str| line.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(line).is_ok();
    let whole = lines.iter().filter(whole).count();
    whole > 0 && whole * 2 >= lines.len()
}

/// True when the first line is a JSON value other than an object or a list, in a file that is not named as a table.
fn one_value(head: &str, name: &str) -> bool {
    let table = [".csv", ".tsv", ".txt", ".md"].iter().any(|ending| name.ends_with(ending));
    let first = head.lines().find(|line| !line.trim().is_empty());
    !table && first.is_some_and(|line| serde_json::from_str::<IgnoredAny>(line).is_ok())
}

fn json(source: &mut dyn Source, head: &str, name: &str) -> Result<Layout, Stop> {
    let mut scanner = Scanner::new(open(source)?);
    let first = scanner.peek()?;
    let piece = scanner.value(None)?;
    let before = scanner.lines_passed();
    let more = scanner.peek()?.is_some();
    let one_line = !piece.lines && !piece.cut && piece.length <= LONGEST as u64;
    let next_line = more && scanner.lines_passed() > before;
    if (one_line && next_line) || ((piece.lines || piece.cut) && mostly_lines(head)) {
        return Ok(Layout::Lines);
    }
    match first {
        Some(b'[') if begins_with_message(source)? => Ok(Layout::Values),
        Some(b'[') => Ok(Layout::Elements),
        _ if more => Ok(Layout::Values),
        _ => object(source, name),
    }
}

/// True when the list at the beginning is one conversation: its first element is a message.
fn begins_with_message(source: &mut dyn Source) -> Result<bool, Stop> {
    let mut scanner = Scanner::new(open(source)?);
    scanner.peek()?;
    scanner.pass(1);
    let mut kept = Vec::new();
    if scanner.peek()? != Some(b'{') {
        return Ok(false);
    }
    scanner.value(Some(&mut kept))?;
    let (depth, count) = crate::scan::weigh(&kept);
    if depth > crate::scan::DEEPEST || count > crate::scan::FULLEST {
        return Ok(false);
    }
    Ok(serde_json::from_slice(&kept).is_ok_and(|value| crate::conversation::is_message(&value)))
}

/// The layout of a file that is one object: a row, a wrapper around a list of rows, or rows under keys.
fn object(source: &mut dyn Source, name: &str) -> Result<Layout, Stop> {
    let (mut keys, mut lists, mut columns, mut objects) = (0_usize, Vec::new(), 0_usize, 0_usize);
    let mut row = 0_usize;
    members(&mut Scanner::new(open(source)?), &mut |key, scanner| {
        keys += 1;
        let known = columns::names_a_row(key);
        row += usize::from(known);
        match scanner.peek()? {
            Some(b'{') => objects += 1,
            Some(b'[') => {
                // The first element decides; the rest is skipped as the inside of one value.
                let inner = scanner.first_of_list()?;
                columns += usize::from(known && inner == Some(b'"'));
                if matches!(inner, Some(b'{' | b'[')) && lists.len() < MOST_NAMES {
                    lists.push(key.to_owned());
                }
                return Ok(());
            }
            _ => {}
        }
        scanner.value(None)?;
        Ok(())
    })?;
    if columns > 1 || (row > 1 && objects == keys) {
        let found = Words::new("a table that is stored column by column", "按列存放的表格");
        let fix = Words::new(
            "Store it row by row: a list of objects, or one object a line (in pandas orient=\"records\", lines=True).",
            "请按行存放：对象的列表，或每行一个对象（在 pandas 中 orient=\"records\", lines=True）。",
        );
        return Err(DataError::container(name, found, fix).into());
    }
    match lists.as_slice() {
        _ if row > 0 => Ok(Layout::Values),
        [key] => Ok(Layout::Under(key.clone())),
        [] if keys > 1 && objects == keys => Ok(Layout::Keyed),
        [] => Ok(Layout::Values),
        several => {
            let names: Vec<String> =
                several.iter().take(8).map(|key| format!("“{}”", alidade_domain::shown(key, 40))).collect();
            let found = wording!(
                "an object with {count} lists of rows ({names})",
                "含有 {count} 个数据列表的对象（{names}）";
                names = Wording::names(&names); count = several.len()
            );
            Err(DataError::container(
                name,
                found,
                Words::new("Keep the list that you want in a file of its own.", "把需要的列表单独存成一个文件。"),
            )
            .into())
        }
    }
}

/// Called with the key of a member; the scanner is before its value, which the visitor must consume.
type Visit<'a, B> = dyn FnMut(&str, &mut Scanner<B>) -> Result<(), Stop> + 'a;

/// Visits the members of the object at the beginning. Returns whether the object was closed.
pub(crate) fn members<B: std::io::BufRead>(scanner: &mut Scanner<B>, visit: &mut Visit<B>) -> Result<bool, Stop> {
    let mut kept = Vec::new();
    scanner.peek()?;
    scanner.pass(1);
    loop {
        match scanner.peek()? {
            None => return Ok(false),
            Some(b'}') => return Ok(true),
            Some(b',' | b':') => scanner.pass(1),
            Some(_) => {
                scanner.value(Some(&mut kept))?;
                let key: String = serde_json::from_slice(&kept).unwrap_or_default();
                if scanner.peek()? != Some(b':') {
                    continue;
                }
                scanner.pass(1);
                if scanner.peek()?.is_some() {
                    visit(&key, scanner)?;
                }
            }
        }
    }
}
