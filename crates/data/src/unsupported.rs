//! Binary files, detected by their first bytes and reported with their format and what to do instead.

use crate::DataError;
use crate::encoding::{Encoding, encoding_of};

const UNPACK: &str = "Unpack it and import the file inside.";
const TABLE: &str = "Save the table as CSV, JSON or JSON lines and import that.";
const CHOOSE: &str = "Choose a JSON, JSON lines, CSV, TSV or text file.";

/// First bytes, format, what to do.
const KNOWN: &[(&[u8], &str, &str)] = &[
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", UNPACK),
    (b"\x04\x22\x4d\x18", "an lz4 archive", UNPACK),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"PAR1", "a parquet file", TABLE),
    (b"ARROW1", "an Arrow file", TABLE),
    (b"\xff\xff\xff\xff", "an Arrow stream", TABLE),
    (b"Obj\x01", "an Avro file", TABLE),
    (b"\x89HDF", "an HDF5 file", TABLE),
    (b"\x93NUMPY", "a numpy array", TABLE),
    (b"SQLite format 3", "an SQLite database", TABLE),
    (b"\xd0\xcf\x11\xe0", "an old Office file (xls or doc)", TABLE),
    (b"\x80\x02", PICKLE, SAFE),
    (b"\x80\x03", PICKLE, SAFE),
    (b"\x80\x04", PICKLE, SAFE),
    (b"\x80\x05", PICKLE, SAFE),
    (b"%PDF", "a PDF document", CHOOSE),
    (b"{\\rtf", "an RTF document", CHOOSE),
    (b"GGUF", "a GGUF model", CHOOSE),
    (b"\x89PNG", "a picture", CHOOSE),
    (b"\xff\xd8\xff", "a picture", CHOOSE),
    (b"\x7fELF", "a program", CHOOSE),
    (b"\xff\xfe\x00\x00", "UTF-32 text", "Save the file as UTF-8 and import it again."),
    (b"\x00\x00\xfe\xff", "UTF-32 text", "Save the file as UTF-8 and import it again."),
    (
        b"version https://git-lfs",
        "a git-lfs pointer, not the data itself",
        "Fetch the real file (git lfs pull) and import that.",
    ),
];
const PICKLE: &str = "a Python pickle";
const SAFE: &str = "Pickles can run code and are never opened here; save the rows as JSON lines in Python.";

/// Refuses a file whose first bytes show that it is no text.
pub(crate) fn refuse(head: &[u8], name: &str) -> Result<(), DataError> {
    let found = KNOWN.iter().find(|(magic, ..)| head.starts_with(magic)).map(|(_, found, fix)| (*found, *fix));
    let Some((found, fix)) = found.or_else(|| zip(head)).or_else(|| page(head)).or_else(|| binary(head)) else {
        return Ok(());
    };
    Err(DataError::container(name, found, fix))
}

fn zip(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let holds = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
    if !head.starts_with(b"PK\x03\x04") && !head.starts_with(b"PK\x05\x06") {
        return None;
    }
    Some(match () {
        () if holds(b"xl/") || holds(b"[Content_Types].xml") => ("an Excel workbook or another Office file", TABLE),
        () if holds(b"data.pkl") => ("a PyTorch file", SAFE),
        () => ("a zip archive", UNPACK),
    })
}

fn page(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let start: Vec<u8> = head.trim_ascii_start().iter().take(14).map(u8::to_ascii_lowercase).collect();
    let begins = |word: &[u8]| start.starts_with(word);
    let fix = "A download may have saved a page instead of the file; fetch the file itself.";
    (begins(b"<!doctype html") || begins(b"<html")).then_some(("a web page", fix))
}

/// Text contains no zero bytes, except UTF-16, which begins with its mark or with a character and a zero byte. A stray
/// one spoils its row, which is reported there.
fn binary(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let utf16 = encoding_of(head).0 != Encoding::Utf8;
    if head.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive", UNPACK));
    }
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    (!utf16 && zeros * 100 > head.len()).then_some(("a binary file", CHOOSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_named() {
        let tar = [vec![b'a'; 100], vec![0; 157], b"ustar".to_vec()].concat();
        let cases: [(&[u8], &str); 10] = [
            (b"\x1f\x8b\x08", "gzip"),
            (b"PAR1abc", "parquet"),
            (b"PK\x03\x04..[Content_Types].xml", "Excel"),
            (b"PK\x03\x04..rows.csv", "zip"),
            (b"\x80\x04\x95", "pickle"),
            (b"%PDF-1.7", "PDF"),
            (b"\n<!DOCTYPE HTML>", "web page"),
            (b"abcd\0ef", "binary"),
            (b"\xff\xfe\0\0[\0\0\0", "UTF-32"),
            (&tar, "tar"),
        ];
        for (bytes, word) in cases {
            let error = refuse(bytes, "x").unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        for text in [&b"[]"[..], b"a,b", b"\xff\xfe[\0", b"[\0{\0", b"BZ"] {
            assert!(refuse(text, "x").is_ok());
        }
    }
}
