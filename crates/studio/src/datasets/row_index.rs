//! Where the rows of a stored data set begin in its file, so that a page of them is read without the rest. An index belongs to
//! a content, by its hash: it is made when a set is first looked at, and holds one place for every few rows.

use crate::studio::{Studio, lock};
use crate::views::DatasetView;
use alidade_data::rows_from_jsonl;
use alidade_domain::{Example, Problem};
use alidade_jobs::files::durable::file_problem;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// Rows from one known place to the next.
const EVERY: usize = 64;
/// Indexes that are kept; looking at more sets in turn makes them anew.
const KEPT: usize = 16;

/// The places of one content.
pub(crate) struct RowIndex {
    rows: usize,
    /// Where each row of a number divisible by [`EVERY`] begins.
    places: Vec<u64>,
}

impl Studio {
    /// How many rows a set has, and some of them.
    ///
    /// # Errors
    /// When its file is no longer what it was, or cannot be read.
    pub(crate) fn some_rows(
        &self,
        set: &DatasetView,
        offset: usize,
        limit: usize,
    ) -> Result<(usize, Vec<Example>), Problem> {
        let path = self.rows_path(&set.id);
        self.verify_rows(set, &path)?;
        let failed = |error: Error| file_problem("Reading", &path, &error);
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
    /// Reads a file once, a line at a time.
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
        // What stands before a page is not looked at.
        whole.replace_range(..5_000, &"x".repeat(5_000));
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(page(900, 10), expected(900..910));
    }
}
