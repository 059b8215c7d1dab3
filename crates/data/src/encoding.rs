//! Streaming decoder from bytes to text: UTF-8 is validated, UTF-16 is converted to UTF-8, a byte order mark is removed.
//! Nothing is guessed: invalid input is reported with the offset of its first bad byte.

use alidade_domain::{Wording, wording};
use std::io::{self, BufRead, Read};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// Bytes from which the encoding or a binary format is detected.
pub(crate) const HEAD: usize = 4 << 10;

/// How the text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Utf16Little,
    Utf16Big,
}

/// Where the bytes are invalid in their encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not valid {encoding} (first invalid byte{byte} at offset {offset})")]
pub(crate) struct Undecodable {
    encoding: &'static str,
    byte: String,
    offset: u64,
}

impl Undecodable {
    /// The message in both languages.
    pub(crate) fn wording(&self) -> Wording {
        let Self { encoding, byte, offset } = self;
        wording!(
            "not valid {encoding} (first invalid byte{byte} at offset {offset})",
            "无效的 {encoding} 文件（第一个无效字节{byte}，偏移 {offset}）"
        )
    }
}

/// A reader that yields the text of a source as UTF-8.
pub(crate) struct Decoder<R> {
    source: R,
    encoding: Encoding,
    /// Bytes of the source that are not decoded yet, and the offset of the first.
    raw: Vec<u8>,
    offset: u64,
    text: Vec<u8>,
    at: usize,
    fault: Option<Undecodable>,
    ended: bool,
    /// JSON that ends inside a character ends inside a record, which its reader reports; elsewhere the character would
    /// be lost.
    json: bool,
}

impl<R: Read> Decoder<R> {
    /// Detects the encoding from the first bytes of a source.
    pub(crate) fn new(mut source: R) -> io::Result<Self> {
        let mut raw = Vec::with_capacity(CHUNK + HEAD);
        (&mut source).take(HEAD as u64).read_to_end(&mut raw)?;
        let (encoding, mark) = encoding_of(&raw);
        raw.drain(..mark);
        let json = raw
            .iter()
            .find(|byte| !matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n'))
            .is_some_and(|byte| b"[{".contains(byte));
        let (text, at, fault, ended) = (Vec::new(), 0, None, false);
        Ok(Self { source, encoding, raw, offset: mark as u64, text, at, fault, ended, json })
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn more(&mut self) -> io::Result<()> {
        let read = (&mut self.source).take(CHUNK as u64).read_to_end(&mut self.raw)?;
        self.ended = read == 0;
        (self.at, self.fault) = (0, None);
        self.text.clear();
        match self.encoding {
            Encoding::Utf8 => self.check(),
            Encoding::Utf16Little => self.widen(u16::from_le_bytes),
            Encoding::Utf16Big => self.widen(u16::from_be_bytes),
        }
        Ok(())
    }

    fn check(&mut self) {
        let (good, broken) = match std::str::from_utf8(&self.raw) {
            Ok(_) => (self.raw.len(), false),
            Err(error) => (error.valid_up_to(), error.error_len().is_some() || (self.ended && !self.json)),
        };
        self.text.extend_from_slice(&self.raw[..good]);
        self.done_with(good, broken, "UTF-8");
    }

    fn widen(&mut self, unit: fn([u8; 2]) -> u16) {
        let units: Vec<u16> = self.raw.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        let (mut good, mut broken) = (0, false);
        let mut letter = [0; 4];
        for decoded in char::decode_utf16(units.iter().copied()) {
            match decoded {
                Ok(character) => {
                    self.text.extend_from_slice(character.encode_utf8(&mut letter).as_bytes());
                    good += 2 * character.len_utf16();
                }
                // A surrogate at the end of a chunk waits for its other half.
                Err(_) => {
                    broken = (self.ended && !self.json) || good + 2 < 2 * units.len();
                    break;
                }
            }
        }
        let odd = self.ended && !self.json && good < self.raw.len();
        self.done_with(good, broken || odd, "UTF-16");
    }

    fn done_with(&mut self, good: usize, broken: bool, encoding: &'static str) {
        self.raw.drain(..good);
        self.offset += good as u64;
        if broken {
            let byte = self.raw.first().map_or_else(String::new, |byte| format!(" 0x{byte:02X}"));
            self.fault = Some(Undecodable { encoding, byte, offset: self.offset });
        }
    }
}

impl<R: Read> BufRead for Decoder<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.text.len() {
            if let Some(fault) = &self.fault {
                return Err(io::Error::new(io::ErrorKind::InvalidData, fault.clone()));
            }
            if self.ended {
                return Ok(&[]);
            }
            self.more()?;
        }
        Ok(&self.text[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.text.len());
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let chunk = self.fill_buf()?;
        let length = chunk.len().min(out.len());
        out[..length].copy_from_slice(&chunk[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// The encoding, and the length of its byte order mark. Without a mark the first two characters decide, if they are
/// ASCII: UTF-8 text has no zero bytes between its characters.
pub(crate) fn encoding_of(head: &[u8]) -> (Encoding, usize) {
    match head {
        [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
        [0xFF, 0xFE, ..] => (Encoding::Utf16Little, 2),
        [0xFE, 0xFF, ..] => (Encoding::Utf16Big, 2),
        [one, 0, two, 0, ..] if *one != 0 && *two != 0 => (Encoding::Utf16Little, 0),
        [0, one, 0, two, ..] if *one != 0 && *two != 0 => (Encoding::Utf16Big, 0),
        _ => (Encoding::Utf8, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Result<String, String> {
        let mut text = String::new();
        Decoder::new(bytes).unwrap().read_to_string(&mut text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn every_spelling_of_a_text_is_the_same_text() {
        let long: String = "[\"Fluß 🚢 水\"] ".repeat(20_000);
        assert_eq!(text(long.as_bytes()).unwrap(), long);
        assert_eq!(text(format!("\u{feff}{long}").as_bytes()).unwrap(), long);
        for unit in [u16::to_le_bytes, u16::to_be_bytes] {
            assert_eq!(text(&utf16(&long, unit)).unwrap(), long);
            assert_eq!(text(&utf16(&format!("\u{feff}{long}"), unit)).unwrap(), long);
            assert_eq!(text(&utf16(&format!("\u{feff}水{long}"), unit)).unwrap(), format!("水{long}"));
        }
    }

    #[test]
    fn the_first_invalid_byte_is_named() {
        assert!(text(b"{\"a\":\"Flu\xdf\"}").unwrap_err().contains("UTF-8 (first invalid byte 0xDF at offset 9)"));
        let late = [vec![b'a'; 200_000], vec![0xC3]].concat();
        assert!(text(&late).unwrap_err().contains("0xC3 at offset 200000"));
        let mut half = utf16("\u{feff}ab", u16::to_le_bytes);
        half.extend([0x3D, 0xD8, b'c', 0]);
        assert!(text(&half).unwrap_err().contains("UTF-16 (first invalid byte 0x3D at offset 6)"));
        half.truncate(5);
        assert!(text(&half).unwrap_err().contains("offset 4"));
        assert_eq!(text(b"{\"a\":\"Flu\xc3").unwrap(), "{\"a\":\"Flu");
    }
}
