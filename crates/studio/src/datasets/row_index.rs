//! Index of the byte offsets of rows in the file of a data set, so that a page of rows is read without the rest. An index is
//! keyed by the hash of the content, built when a data set is first viewed, and sparse.

use crate::studio::{Studio, lock};
use alidade_data::rows_from_jsonl;
use alidade_domain::{Example, Problem};
use alidade_jobs::files::durable::{READING, file_problem};
use alidade_store::DatasetRecord;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// Rows per index entry.
const EVERY: usize = 64;
/// Number of cached indexes.
const KEPT: usize = 16;

/// The index of one file.
pub(crate) struct RowIndex {
    rows: usize,
    /// Byte offset of each row whose number is divisible by [`EVERY`].
    places: Vec<u64>,
}

impl Studio {
    /// The number of rows of a data set, and a page of them.
    ///
    /// # Errors
    /// When its file has changed or cannot be read.
    pub(crate) fn some_rows(
        &self,
        set: &DatasetRecord,
        offset: usize,
        limit: usize,
    ) -> Result<(usize, Vec<Example>), Problem> {
        let path = self.rows_path(&set.id);
        self.verify_rows(set, &path)?;
        let failed = |error: Error| file_problem(READING, &path, &error);
        let known = lock(&self.row_indexes).get(&set.sha256).cloned();
        let index = match known {
            Some(index) => index,
            None => {
                let index = Arc::new(RowIndex::of(&path).map_err(failed)?);
                let mut indexes = lock(&self.row_indexes);
                if indexes.len() >= KEPT {
                    indexes.clear();
                }
                indexes.insert(set.sha256.clone(), Arc::clone(&index));
                index
            }
        };
        let text = index.lines(&path, offset, limit).map_err(failed)?;
        Ok((index.rows, rows_from_jsonl(&String::from_utf8_lossy(&text))?))
    }
}

impl RowIndex {
    /// Builds the index by reading a file line by line.
    fn of(path: &Path) -> Result<Self, Error> {
        let (mut file, mut line) = (BufReader::new(File::open(path)?), Vec::new());
        let (mut index, mut place) = (Self { rows: 0, places: Vec::new() }, 0);
        loop {
            line.clear();
            let length = file.read_until(b'\n', &mut line)? as u64;
            if length == 0 {
                return Ok(index);
            }
            if !line.trim_ascii().is_empty() {
                if index.rows.is_multiple_of(EVERY) {
                    index.places.push(place);
                }
                index.rows += 1;
            }
            place += length;
        }
    }

    /// The lines of some rows.
    fn lines(&self, path: &Path, offset: usize, limit: usize) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        let Some(place) = self.places.get(offset / EVERY).filter(|_| offset < self.rows) else { return Ok(text) };
        let mut file = BufReader::new(File::open(path)?);
        file.seek(SeekFrom::Start(*place))?;
        let (first, mut row) = (offset % EVERY, 0);
        while row < first + limit {
            let start = text.len();
            if file.read_until(b'\n', &mut text)? == 0 {
                break;
            }
            let blank = text[start..].trim_ascii().is_empty();
            if blank || row < first {
                text.truncate(start);
            }
            row += usize::from(!blank);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_from_where_it_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let row = |row: usize| format!("{{\"row\":{row}}}\n{}", if row % 50 == 3 { "\n" } else { "" });
        let mut whole: String = (0..1_000).map(row).collect();
        std::fs::write(&path, &whole).unwrap();
        let index = RowIndex::of(&path).unwrap();
        assert_eq!((index.rows, index.places.len()), (1_000, 16));
        let page = |offset, limit| String::from_utf8(index.lines(&path, offset, limit).unwrap()).unwrap();
        let expected =
            |rows: std::ops::Range<usize>| rows.map(|row| format!("{{\"row\":{row}}}\n")).collect::<String>();
        for (offset, limit) in [(0, 3), (0, 1_000), (2, 70), (63, 2), (64, 64), (990, 500), (999, 1)] {
            assert_eq!(page(offset, limit), expected(offset..1_000.min(offset + limit)), "{offset} {limit}");
        }
        assert_eq!((page(1_000, 5), page(5, 0)), (String::new(), String::new()));
        // Rows before the page are not parsed.
        whole.replace_range(..5_000, &"x".repeat(5_000));
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(page(900, 10), expected(900..910));
    }
}
