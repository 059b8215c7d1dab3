//! Tables as text: comma, tab, semicolon or bar between the cells, names in the first row, quotes after RFC 4180. Memory
//! is bounded: a guard in front of the parser truncates rows that are too long or have too many cells.

use crate::DataError;
use crate::columns;
use crate::fault::{Fault, reason};
use crate::records::{Each, Stop};
use crate::scan::LONGEST;
use alidade_domain::{Words, wording};
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

/// Most columns of a table.
pub(crate) const COLUMNS: usize = 4_096;
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// The dialect of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    pub(crate) quoting: bool,
}

/// Detects the dialect of a table from the beginning of a file. `name` is in lower case.
pub(crate) fn dialect(head: &str, name: &str) -> Option<Dialect> {
    let rate = |delimiter: &u8| {
        let names = header(head, *delimiter);
        let known = names.iter().filter(|name| columns::is_known(name)).count();
        let meant = name.ends_with(".tsv") && *delimiter == b'\t' && names.len() > 1;
        (meant, known, names.len(), *delimiter)
    };
    let (_, known, columns, delimiter) =
        DELIMITERS.iter().rev().map(rate).max_by_key(|(meant, known, columns, _)| (*meant, *known, *columns))?;
    let prose = name.ends_with(".txt") || name.ends_with(".md");
    let table = if prose { known > 1 } else { columns > 1 || known > 0 };
    table.then(|| Dialect { delimiter, quoting: delimiter != b'\t' || quotes_close(head) })
}

fn header(head: &str, delimiter: u8) -> Vec<String> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(head.as_bytes());
    let first = reader.records().next().and_then(Result::ok).unwrap_or_default();
    first.iter().map(|name| name.trim().to_owned()).collect()
}

/// True when cells between tabs that begin with a quote also end with one. Many programs write tabs without any quoting,
/// and a lone quote would swallow the rest of the file.
fn quotes_close(head: &str) -> bool {
    let cut = if head.ends_with('\n') { head } else { head.rsplit_once('\n').map_or(head, |(before, _)| before) };
    let mut cells = cut.lines().flat_map(|line| line.split('\t')).filter(|cell| cell.starts_with('"'));
    let ends = |cell: &str| cell.len() > 1 && cell.ends_with('"') && cell.matches('"').count().is_multiple_of(2);
    cells.all(ends)
}

/// Passes every row of a table to `each`.
pub(crate) fn rows<B: BufRead>(text: B, dialect: &Dialect, name: &str, each: Each<'_>) -> Result<(), Stop> {
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(dialect.delimiter).quoting(dialect.quoting).has_headers(false).flexible(true);
    let mut reader = builder.buffer_capacity(64 << 10).from_reader(Guard::new(text, *dialect));
    let mut cells = csv::ByteRecord::new();
    if !read(&mut reader, &mut cells)? {
        return Err(DataError::Empty { name: name.to_owned() }.into());
    }
    let header = names(&cells);
    if let Some(cut) = cut(&mut reader) {
        let found = match cut {
            Cut::Columns => wording!("a table of more than {COLUMNS} columns", "超过 {COLUMNS} 列的表格"),
            Cut::Long | Cut::Open => wording!("a table whose row of names has no end", "列名一行没有结束的表格"),
        };
        let fix = Words::new(
            "Keep the columns that you need: a prompt and an answer, or a prompt, a chosen and a rejected one.",
            "只保留需要的列：提问和回答，或提问、优选回答和劣选回答。",
        );
        return Err(DataError::container(name, found, fix).into());
    }
    while read(&mut reader, &mut cells)? {
        let start = cells.position().map_or(0, csv::Position::byte);
        each(match cut(&mut reader) {
            Some(cut) => Err(cut.fault(start, reader.position().byte() - start)),
            None => row(&header, &cells),
        })?;
    }
    Ok(())
}

fn read<R: Read>(reader: &mut csv::Reader<R>, cells: &mut csv::ByteRecord) -> Result<bool, Stop> {
    reader.read_byte_record(cells).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => Stop::Read(error),
        other => Stop::Read(io::Error::other(format!("{other:?}"))),
    })
}

/// The names of the columns; a name that comes twice is numbered.
fn names(cells: &csv::ByteRecord) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for cell in cells {
        let name = String::from_utf8_lossy(cell).trim().to_owned();
        let fresh = seen.insert(name.clone());
        names.push(if fresh { name } else { format!("{name} ({})", names.len() + 1) });
    }
    names
}

fn row(header: &[String], cells: &csv::ByteRecord) -> Result<Value, Fault> {
    // Blank cells after the last name are left by spreadsheets.
    if cells.len() < header.len() || cells.iter().skip(header.len()).any(|cell| !cell.trim_ascii().is_empty()) {
        let found = wording!(
            "{cells} cells under {names} names of columns",
            "{names} 个列名下有 {cells} 个单元格",
            cells = cells.len(),
            names = header.len()
        );
        let fix = Words::new(
            "Give each row one cell a column; put texts with separators or line ends into quotes.",
            "每一列只写一个单元格；含有分隔符或换行的文本要加引号。",
        );
        return Err(Fault::new(reason::ODD_CELLS, found, fix));
    }
    if cells.iter().any(|cell| cell.contains(&0)) {
        return Err(Fault::new(
            reason::BROKEN_RECORD,
            Words::new("zero bytes in a cell", "单元格中有零字节"),
            Words::new("Write the file again as UTF-8 text.", "把文件重新写成 UTF-8 文本。"),
        ));
    }
    Ok(Value::Object(header.iter().cloned().zip(cells.iter().map(cell)).collect::<Map<_, _>>()))
}

/// A cell; `nan` is what some programs write into an empty one.
fn cell(bytes: &[u8]) -> Value {
    let text = String::from_utf8_lossy(bytes);
    Value::String(match text.as_ref() {
        "nan" | "NaN" => String::new(),
        text if text.contains("\r\n") => text.replace("\r\n", "\n"),
        _ => text.into_owned(),
    })
}

/// Why a row was cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Long,
    Columns,
    Open,
}

impl Cut {
    fn fault(self, start: u64, length: u64) -> Fault {
        match self {
            Cut::Long => Fault::new(
                reason::TOO_LONG,
                wording!("a row of more than {limit} MiB", "一行超过 {limit} MiB", limit = LONGEST >> 20),
                Words::new(
                    "Split it or leave it out; a quote that is not closed also makes one row of many.",
                    "拆分或略去它；没有闭合的引号也会把多行并成一行。",
                ),
            ),
            Cut::Columns => Fault::new(
                reason::ODD_CELLS,
                wording!("more than {COLUMNS} cells", "超过 {COLUMNS} 个单元格"),
                Words::new("Leave the row out.", "略去这一行。"),
            ),
            Cut::Open => Fault::new(
                reason::CUT_OFF,
                wording!(
                    "the file ends inside a cell that a quote opened: {length} bytes from byte {start} on are lost",
                    "文件在引号打开的单元格中间结束：从第 {start} 字节起的 {length} 字节丢失"
                ),
                Words::new(
                    "Close the quote, or fetch or write the file again; the rows before this place are used.",
                    "补上引号，或重新获取、写出该文件；此处之前的数据已使用。",
                ),
            ),
        }
    }
}

/// Whether the row that was just read had been cut.
fn cut<B: BufRead>(reader: &mut csv::Reader<Guard<B>>) -> Option<Cut> {
    let end = reader.position().byte();
    let guard = reader.get_mut();
    let mut found = None;
    while guard.cuts.front().is_some_and(|(start, _)| *start < end) {
        found = guard.cuts.pop_front().map(|(_, cut)| cut);
    }
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Plain,
    Quoted,
    Quote,
}

/// A reader that truncates rows that are too long or have too many cells, and remembers where.
struct Guard<B> {
    text: B,
    dialect: Dialect,
    at: At,
    length: usize,
    cells: usize,
    over: bool,
    /// Bytes passed on, and where the present row began among them.
    passed: u64,
    row: u64,
    cuts: VecDeque<(u64, Cut)>,
    ended: bool,
}

impl<B> Guard<B> {
    fn new(text: B, dialect: Dialect) -> Self {
        let (at, cuts) = (At::Start, VecDeque::new());
        Self { text, dialect, at, length: 0, cells: 1, over: false, passed: 0, row: 0, cuts, ended: false }
    }

    /// The output for a byte.
    fn pass(&mut self, byte: u8) -> Option<u8> {
        let before = self.at;
        let ends = matches!(byte, b'\n' | b'\r') && before != At::Quoted;
        self.at = match (before, byte) {
            _ if ends => At::Start,
            (At::Quoted, b'"') => At::Quote,
            (At::Quoted, _) => At::Quoted,
            (At::Quote, b'"') => At::Quoted,
            (At::Start, b'"') if self.dialect.quoting => At::Quoted,
            _ if byte == self.dialect.delimiter => {
                self.cells += 1;
                At::Start
            }
            _ => At::Plain,
        };
        self.length += 1;
        if ends {
            (self.length, self.cells, self.over) = (0, 1, false);
            self.passed += 1;
            self.row = self.passed;
            return Some(byte);
        }
        if self.over {
            return None;
        }
        if self.length > LONGEST || self.cells > COLUMNS {
            self.over = true;
            self.cuts.push_back((self.row, if self.cells > COLUMNS { Cut::Columns } else { Cut::Long }));
            // The parser must not think that it is still between quotes.
            let closing = before == At::Quoted && self.cells <= COLUMNS;
            self.passed += u64::from(closing);
            return closing.then_some(b'"');
        }
        self.passed += 1;
        Some(byte)
    }
}

impl<B: BufRead> Read for Guard<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written == 0 {
            let chunk = self.text.fill_buf()?;
            let length = chunk.len().min(out.len());
            if length == 0 {
                if self.at == At::Quoted && !self.ended && !self.over {
                    self.cuts.push_back((self.row, Cut::Open));
                }
                self.ended = true;
                break;
            }
            out[..length].copy_from_slice(&chunk[..length]);
            self.text.consume(length);
            for index in 0..length {
                if let Some(byte) = self.pass(out[index]) {
                    out[written] = byte;
                    written += 1;
                }
            }
        }
        Ok(written)
    }
}
