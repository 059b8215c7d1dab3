//! Containers: what the bytes are, and the records in them. JSON arrays (also cut-off ones), an object around an array,
//! JSON lines, CSV with a header, plain text.

use crate::DataError;
use serde_json::{Map, Value};

/// Longest line that is read.
const LINE_LIMIT: usize = 16 << 20;

/// One record, or what was wrong with its text.
pub(crate) type Record = Result<Value, String>;

/// Records with remarks on the whole file.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) records: Vec<Record>,
    pub(crate) remarks: Vec<String>,
}

pub(crate) fn read(bytes: &[u8], name: &str) -> Result<Records, DataError> {
    refuse_foreign(bytes, name)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| DataError::Container {
        name: name.to_owned(),
        found: format!("not valid UTF-8 (first odd byte at offset {})", error.valid_up_to()),
        fix: "Save the file as UTF-8 and import it again.",
    })?;
    let trimmed = text.trim_start();
    if trimmed.is_empty() {
        return Err(DataError::Empty { name: name.to_owned() });
    }
    Ok(match trimmed.as_bytes()[0] {
        b'[' => array(trimmed),
        b'{' => whole_object(trimmed).unwrap_or_else(|| lines(text)),
        _ if name.to_lowercase().ends_with(".txt") || name.to_lowercase().ends_with(".md") => paragraphs(text),
        _ => table(text).unwrap_or_else(|| lines(text)),
    })
}

fn refuse_foreign(bytes: &[u8], name: &str) -> Result<(), DataError> {
    let known: [(&[u8], &str, &'static str); 6] = [
        (b"\x1f\x8b", "a gzip archive", "Unpack it (gunzip) and import the file inside."),
        (b"\xfd7zXZ\x00", "an xz archive", "Unpack it (unxz) and import the file inside."),
        (b"PK\x03\x04", "a zip archive", "Unpack it and import the file inside."),
        (b"PAR1", "a parquet file", "This version reads JSON, JSON lines and CSV; save the table in one of these."),
        (b"\x28\xb5\x2f\xfd", "a zstd archive", "Unpack it (unzstd) and import the file inside."),
        (
            b"version https://git-lfs",
            "a git-lfs pointer, not the data itself",
            "Fetch the real file (git lfs pull) and import that.",
        ),
    ];
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(DataError::Empty { name: name.to_owned() });
    }
    if let Some((_, found, fix)) = known.iter().find(|(magic, _, _)| bytes.starts_with(magic)) {
        return Err(DataError::Container { name: name.to_owned(), found: (*found).to_owned(), fix });
    }
    if bytes.contains(&0) {
        let (found, fix) = ("a binary file".to_owned(), "Choose a JSON, JSON lines, CSV or text file.");
        return Err(DataError::Container { name: name.to_owned(), found, fix });
    }
    Ok(())
}

/// A JSON array; one that is cut off or broken in the middle yields the records before the break.
fn array(text: &str) -> Records {
    if let Ok(Value::Array(list)) = serde_json::from_str(text) {
        return Records { records: list.into_iter().map(Ok).collect(), remarks: Vec::new() };
    }
    let mut result = Records::default();
    let mut offset = 1;
    loop {
        let rest = &text[offset..];
        let gap = rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',').len();
        let mut stream = serde_json::Deserializer::from_str(&rest[gap..]).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => {
                result.records.push(Ok(value));
                offset += gap + stream.byte_offset();
            }
            _ => break,
        }
    }
    let kept = result.records.len();
    result
        .remarks
        .push(format!("The JSON array breaks off at byte {offset}; the {kept} complete records before it were read."));
    result
}

/// One object over the whole file: the array inside it, or the object as the only record.
fn whole_object(text: &str) -> Option<Records> {
    let Value::Object(map) = serde_json::from_str(text).ok()? else { return None };
    let arrays: Vec<&String> = map.iter().filter(|(_, value)| is_array_of_objects(value)).map(|(key, _)| key).collect();
    let looks_like_a_row =
        ["messages", "conversations", "prompt", "instruction", "text"].iter().any(|key| map.contains_key(*key));
    match arrays.as_slice() {
        [key] if !looks_like_a_row => {
            let remark = format!("The rows were found under the key “{key}”.");
            let Some(Value::Array(list)) = map.get(key.as_str()) else { return None };
            Some(Records { records: list.iter().cloned().map(Ok).collect(), remarks: vec![remark] })
        }
        _ => Some(Records { records: vec![Ok(Value::Object(map))], remarks: Vec::new() }),
    }
}

fn is_array_of_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_object))
}

fn lines(text: &str) -> Records {
    let record = |line: &str| {
        if line.len() > LINE_LIMIT {
            return Err(format!("a line of {} bytes; the limit is {LINE_LIMIT}", line.len()));
        }
        serde_json::from_str(line).map_err(|error| format!("{error}"))
    };
    let records = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(record);
    Records { records: records.collect(), remarks: Vec::new() }
}

/// CSV with a header of at least two columns, or of one column called "text" or "prompt".
fn table(text: &str) -> Option<Records> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().ok()?.iter().map(|name| name.trim().to_lowercase()).collect();
    if header.len() < 2 && !["text", "prompt"].contains(&header.first()?.as_str()) {
        return None;
    }
    let record = |row: Result<csv::StringRecord, csv::Error>| {
        let row = row.map_err(|error| error.to_string())?;
        if row.len() != header.len() {
            return Err(format!("{} cells under a header of {}", row.len(), header.len()));
        }
        Ok(Value::Object(header.iter().cloned().zip(row.iter().map(cell)).collect::<Map<_, _>>()))
    };
    Some(Records { records: reader.records().map(record).collect(), remarks: Vec::new() })
}

fn cell(text: &str) -> Value {
    match text.to_lowercase().as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "nan" => Value::String(String::new()),
        _ => Value::String(text.to_owned()),
    }
}

fn paragraphs(text: &str) -> Records {
    let normal = text.replace("\r\n", "\n");
    let parts = normal.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    let record = |part: &str| Ok(serde_json::json!({ "text": part }));
    Records { records: parts.map(record).collect(), remarks: vec!["Each paragraph became one row.".to_owned()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str, name: &str) -> usize {
        read(text.as_bytes(), name).unwrap().records.len()
    }

    #[test]
    fn containers_are_told_apart() {
        assert_eq!(count("\u{feff}[{\"a\":1},{\"a\":2}]", "x"), 2);
        assert_eq!(count("{\"a\":1}\r\n\r\n{\"a\":2}\n", "x"), 2);
        assert_eq!(count("{\"version\":1,\"rows\":[{\"a\":1},{\"a\":2}]}", "x"), 2);
        assert_eq!(count("prompt,completion\n\"a, b\",c\nd,e\n", "x"), 2);
        assert_eq!(count("one\nline\n\ntwo", "x.txt"), 2);
    }

    #[test]
    fn a_cut_array_gives_what_is_whole() {
        let records = read(b"[{\"a\":1}, {\"a\":2}, {\"a\":", "x").unwrap();
        assert_eq!(records.records.len(), 2);
        assert!(records.remarks[0].contains("byte 17"), "{:?}", records.remarks);
    }

    #[test]
    fn foreign_bytes_are_named() {
        for (bytes, word) in [
            (&b"\x1f\x8b\x08"[..], "gzip"),
            (b"PAR1abc", "parquet"),
            (b"a\0b", "binary"),
            (b"\xff\xfe", "UTF-8"),
            (b" \n", "empty"),
        ] {
            let error = read(bytes, "x").unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
