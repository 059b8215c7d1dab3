//! Binary files, detected by their first bytes and reported with their format and what to do instead.

use crate::DataError;
use crate::encoding::{Encoding, encoding_of};
use alidade_domain::Words;

const UNPACK: Words = Words::new("Unpack it and import the file inside.", "解压后导入其中的文件。");
const TABLE: Words = Words::new(
    "Save the table as CSV, JSON or JSON lines and import that.",
    "把表格存成 CSV、JSON 或 JSON Lines 后导入。",
);
const CHOOSE: Words =
    Words::new("Choose a JSON, JSON lines, CSV, TSV or text file.", "请选择 JSON、JSON Lines、CSV、TSV 或文本文件。");

/// First bytes, format, what to do.
const KNOWN: &[(&[u8], Words, Words)] = &[
    (b"\x1f\x8b", Words::new("a gzip archive", "gzip 压缩文件"), UNPACK),
    (b"\xfd7zXZ\x00", Words::new("an xz archive", "xz 压缩文件"), UNPACK),
    (b"\x28\xb5\x2f\xfd", Words::new("a zstd archive", "zstd 压缩文件"), UNPACK),
    (b"\x04\x22\x4d\x18", Words::new("an lz4 archive", "lz4 压缩文件"), UNPACK),
    (b"BZh", Words::new("a bzip2 archive", "bzip2 压缩文件"), UNPACK),
    (b"7z\xbc\xaf\x27\x1c", Words::new("a 7z archive", "7z 压缩文件"), UNPACK),
    (b"PAR1", Words::new("a parquet file", "Parquet 文件"), TABLE),
    (b"ARROW1", Words::new("an Arrow file", "Arrow 文件"), TABLE),
    (b"\xff\xff\xff\xff", Words::new("an Arrow stream", "Arrow 数据流"), TABLE),
    (b"Obj\x01", Words::new("an Avro file", "Avro 文件"), TABLE),
    (b"\x89HDF", Words::new("an HDF5 file", "HDF5 文件"), TABLE),
    (b"\x93NUMPY", Words::new("a numpy array", "NumPy 数组"), TABLE),
    (b"SQLite format 3", Words::new("an SQLite database", "SQLite 数据库"), TABLE),
    (b"\xd0\xcf\x11\xe0", Words::new("an old Office file (xls or doc)", "旧版 Office 文件（xls 或 doc）"), TABLE),
    (b"\x80\x02", PICKLE, SAFE),
    (b"\x80\x03", PICKLE, SAFE),
    (b"\x80\x04", PICKLE, SAFE),
    (b"\x80\x05", PICKLE, SAFE),
    (b"%PDF", Words::new("a PDF document", "PDF 文档"), CHOOSE),
    (b"{\\rtf", Words::new("an RTF document", "RTF 文档"), CHOOSE),
    (b"GGUF", Words::new("a GGUF model", "GGUF 模型"), CHOOSE),
    (b"\x89PNG", Words::new("a picture", "图片"), CHOOSE),
    (b"\xff\xd8\xff", Words::new("a picture", "图片"), CHOOSE),
    (b"\x7fELF", Words::new("a program", "程序文件"), CHOOSE),
    (
        b"\xff\xfe\x00\x00",
        Words::new("UTF-32 text", "UTF-32 文本"),
        Words::new("Save the file as UTF-8 and import it again.", "把文件另存为 UTF-8 后再导入。"),
    ),
    (
        b"\x00\x00\xfe\xff",
        Words::new("UTF-32 text", "UTF-32 文本"),
        Words::new("Save the file as UTF-8 and import it again.", "把文件另存为 UTF-8 后再导入。"),
    ),
    (
        b"version https://git-lfs",
        Words::new("a git-lfs pointer, not the data itself", "git-lfs 指针，而不是数据本身"),
        Words::new("Fetch the real file (git lfs pull) and import that.", "取回真正的文件（git lfs pull）后再导入。"),
    ),
];
const PICKLE: Words = Words::new("a Python pickle", "Python pickle 文件");
const SAFE: Words = Words::new(
    "Pickles can run code and are never opened here; save the rows as JSON lines in Python.",
    "pickle 可能运行代码，这里从不打开；请在 Python 中把数据存成 JSON Lines。",
);

/// Refuses a file whose first bytes show that it is no text.
pub(crate) fn refuse(head: &[u8], name: &str) -> Result<(), DataError> {
    let found = KNOWN.iter().find(|(magic, ..)| head.starts_with(magic)).map(|(_, found, fix)| (*found, *fix));
    let Some((found, fix)) = found.or_else(|| zip(head)).or_else(|| page(head)).or_else(|| binary(head)) else {
        return Ok(());
    };
    Err(DataError::container(name, found, fix))
}

fn zip(head: &[u8]) -> Option<(Words, Words)> {
    let holds = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
    if !head.starts_with(b"PK\x03\x04") && !head.starts_with(b"PK\x05\x06") {
        return None;
    }
    Some(match () {
        () if holds(b"xl/") || holds(b"[Content_Types].xml") => {
            (Words::new("an Excel workbook or another Office file", "Excel 工作簿或其他 Office 文件"), TABLE)
        }
        () if holds(b"data.pkl") => (Words::new("a PyTorch file", "PyTorch 文件"), SAFE),
        () => (Words::new("a zip archive", "zip 压缩文件"), UNPACK),
    })
}

fn page(head: &[u8]) -> Option<(Words, Words)> {
    let start: Vec<u8> = head.trim_ascii_start().iter().take(14).map(u8::to_ascii_lowercase).collect();
    let begins = |word: &[u8]| start.starts_with(word);
    let fix = Words::new(
        "A download may have saved a page instead of the file; fetch the file itself.",
        "下载时保存的可能是网页而不是文件，请取得文件本身。",
    );
    (begins(b"<!doctype html") || begins(b"<html")).then_some((Words::new("a web page", "网页"), fix))
}

/// Text contains no zero bytes, except UTF-16, which begins with its mark or with a character and a zero byte. A stray
/// one spoils its row, which is reported there.
fn binary(head: &[u8]) -> Option<(Words, Words)> {
    let utf16 = encoding_of(head).0 != Encoding::Utf8;
    if head.get(257..262) == Some(b"ustar") {
        return Some((Words::new("a tar archive", "tar 归档文件"), UNPACK));
    }
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    (!utf16 && zeros * 100 > head.len()).then_some((Words::new("a binary file", "二进制文件"), CHOOSE))
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
