//! Finds where JSON values begin and end by brackets and quotes alone, so that a file of any size can be streamed.
//! Whether a value is valid JSON is decided by the parser; values that are too long, too deep or too full never reach
//! it.

use std::io::{self, BufRead};

/// Longest record, line or cell that is kept, in bytes.
pub(crate) const LONGEST: usize = 16 << 20;
/// Deepest nesting that is parsed.
pub(crate) const DEEPEST: usize = 128;
/// Most values, keys and lists in one record: parsed, each takes up to a hundred bytes more than its text.
pub(crate) const FULLEST: usize = 1 << 17;

/// Facts about a scanned value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Offset of its first byte in the text.
    pub(crate) start: u64,
    /// Its bytes, kept or not.
    pub(crate) length: u64,
    /// How deep its brackets nest.
    pub(crate) deepest: usize,
    /// True when a line ends inside it.
    pub(crate) lines: bool,
    /// True when the text ends inside it.
    pub(crate) cut: bool,
}

/// Scans the values of a text.
pub(crate) struct Scanner<B> {
    input: B,
    offset: u64,
    lines: u64,
}

impl<B: BufRead> Scanner<B> {
    pub(crate) fn new(input: B) -> Self {
        Self { input, offset: 0, lines: 0 }
    }

    /// Bytes consumed so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Line ends that [`Scanner::peek`] has consumed.
    pub(crate) fn lines_passed(&self) -> u64 {
        self.lines
    }

    /// The next byte that is no white space; it is not consumed.
    pub(crate) fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let blank = chunk.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let found = chunk.get(blank).copied();
            self.lines += chunk[..blank].iter().filter(|byte| **byte == b'\n').count() as u64;
            self.pass(blank);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// Consumes some bytes that were peeked.
    pub(crate) fn pass(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.offset += bytes as u64;
    }

    /// Consumes the value that begins here; its bytes are put into `keep` unless they are too many.
    pub(crate) fn value(&mut self, mut keep: Option<&mut Vec<u8>>) -> io::Result<Piece> {
        let mut walk = Walk::default();
        let mut piece = Piece { start: self.offset, ..Piece::default() };
        if let Some(kept) = keep.as_deref_mut() {
            kept.clear();
        }
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                piece.cut = walk.quoted || walk.depth > 0;
                break;
            }
            let (used, ended) = walk.advance(chunk);
            piece.length += used as u64;
            if let Some(kept) = keep.as_deref_mut() {
                if piece.length <= LONGEST as u64 && walk.deepest <= DEEPEST {
                    kept.extend_from_slice(&chunk[..used]);
                } else {
                    kept.clear();
                }
            }
            self.pass(used);
            if ended {
                break;
            }
        }
        (piece.deepest, piece.lines) = (walk.deepest, walk.lines);
        Ok(piece)
    }

    /// Consumes the list that begins here and returns the first byte of its first element.
    pub(crate) fn first_of_list(&mut self) -> io::Result<Option<u8>> {
        self.pass(1);
        let first = self.peek()?;
        let mut inside = Walk { depth: 1, ..Walk::default() };
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                return Ok(first);
            }
            let (used, ended) = inside.advance(chunk);
            self.pass(used);
            if ended {
                return Ok(first);
            }
        }
    }

    /// One line without its end; `None` at the end of the text. Of a line that is too long nothing is kept.
    pub(crate) fn line(&mut self, keep: &mut Vec<u8>) -> io::Result<Option<Piece>> {
        keep.clear();
        let mut piece = Piece { start: self.offset, ..Piece::default() };
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                piece.cut = true;
                return Ok((piece.length > 0).then_some(piece));
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(chunk.len(), |end| end);
            piece.length += used as u64;
            if piece.length <= LONGEST as u64 {
                keep.extend_from_slice(&chunk[..used]);
            } else {
                keep.clear();
            }
            self.pass(used + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Some(piece));
            }
        }
    }

    /// Consumes everything to the end and counts the bytes that are no white space.
    pub(crate) fn rest(&mut self) -> io::Result<u64> {
        let mut count = 0;
        while self.peek()?.is_some() {
            let length = self.input.fill_buf()?.len();
            count += length as u64;
            self.pass(length);
        }
        Ok(count)
    }
}

/// Brackets and quotes of one value.
#[derive(Debug, Default)]
struct Walk {
    depth: usize,
    deepest: usize,
    quoted: bool,
    escaped: bool,
    scalar: bool,
    lines: bool,
}

impl Walk {
    /// How many bytes belong to the value, and whether it ends with them.
    fn advance(&mut self, chunk: &[u8]) -> (usize, bool) {
        for (index, byte) in chunk.iter().enumerate() {
            self.lines |= *byte == b'\n';
            if self.quoted {
                if self.in_string(*byte) {
                    return (index + 1, true);
                }
                continue;
            }
            if self.scalar {
                if byte.is_ascii_whitespace() || b",:[]{}\"".contains(byte) {
                    return (index, true);
                }
                continue;
            }
            match byte {
                b'"' => self.quoted = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    self.deepest = self.deepest.max(self.depth);
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return (index + 1, true);
                    }
                }
                _ => self.scalar = self.depth == 0 && !byte.is_ascii_whitespace(),
            }
        }
        (chunk.len(), false)
    }

    /// True when the string ends the value.
    fn in_string(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.quoted = false;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

/// How deep a text of JSON nests, and how many values, keys and lists it has at most.
pub(crate) fn weigh(text: &[u8]) -> (usize, usize) {
    let mut walk = Walk::default();
    let mut count = 0;
    for byte in text {
        if !walk.quoted {
            count += usize::from(b",:[{".contains(byte));
        }
        walk.scalar = false;
        walk.advance(std::slice::from_ref(byte));
    }
    (walk.deepest, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<(String, bool)> {
        // Chunks of one byte: no chunk boundary may matter.
        let mut scanner = Scanner::new(io::BufReader::with_capacity(1, text.as_bytes()));
        let (mut found, mut kept) = (Vec::new(), Vec::new());
        while scanner.peek().unwrap().is_some() {
            let piece = scanner.value(Some(&mut kept)).unwrap();
            found.push((String::from_utf8(kept.clone()).unwrap(), piece.cut));
        }
        found
    }

    #[test]
    fn values_end_where_their_brackets_close() {
        let whole = |texts: &[&str]| texts.iter().map(|text| ((*text).to_owned(), false)).collect::<Vec<_>>();
        assert_eq!(
            pieces("{\"a\":\"}\\\"]\"}\n[1, [2]] 3 \"x\""),
            whole(&["{\"a\":\"}\\\"]\"}", "[1, [2]]", "3", "\"x\""])
        );
        assert_eq!(pieces("[1,{\"a\":"), [("[1,{\"a\":".to_owned(), true)]);
        assert_eq!(pieces("}x"), whole(&["}", "x"]));
    }

    #[test]
    fn long_and_deep_values_pass_without_being_kept() {
        let text = format!("\"{}\" [{}", "a".repeat(LONGEST), "[".repeat(100_000));
        let mut scanner = Scanner::new(text.as_bytes());
        let mut kept = Vec::new();
        let piece = scanner.value(Some(&mut kept)).unwrap();
        assert_eq!((piece.length, kept.len(), piece.cut), (LONGEST as u64 + 2, 0, false));
        scanner.peek().unwrap();
        let piece = scanner.value(Some(&mut kept)).unwrap();
        assert_eq!((piece.deepest, kept.len(), piece.cut), (100_001, 0, true));
    }

    #[test]
    fn a_record_is_weighed_without_its_strings() {
        assert_eq!(weigh(b"{\"a,:[\":[1,2],\"b\":{}}"), (2, 7));
    }
}
