//! Rows in the program's own format (one JSON example per line), and their split into training and held-out rows.

use crate::DataError;
use alidade_domain::{Example, Purpose, Stream};
use std::io::Write;

/// Writes one row as a line of JSON.
///
/// # Errors
/// When the line cannot be written.
pub fn write_row(row: &Example, out: &mut dyn Write) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, row)?;
    out.write_all(b"\n")
}

/// Rows as JSON lines.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn rows_to_jsonl(rows: &[Example]) -> Result<String, DataError> {
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let line = serde_json::to_string(row)
            .map_err(|error| DataError::Stored { line: index + 1, found: error.to_string() })?;
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// Rows from JSON lines.
///
/// # Errors
/// When a line is damaged; the line is named.
pub fn rows_from_jsonl(text: &str) -> Result<Vec<Example>, DataError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let row = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| DataError::Stored { line: index + 1, found: error.to_string() })
    };
    lines.map(row).collect()
}

/// Indices for training and for holding out, each in rising order; a function of the seed alone. At least one row stays
/// on the training side.
pub fn split(rows: usize, held_out: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..rows).collect();
    Stream::new(seed, Purpose::Split, 0, 0).shuffle(&mut order);
    let (held, train) = order.split_at_mut(held_out.min(rows.saturating_sub(1)));
    held.sort_unstable();
    train.sort_unstable();
    (train.to_vec(), held.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_loses_nothing_and_repeats() {
        let (train, held) = split(100, 20, 7);
        assert_eq!((train.len(), held.len()), (80, 20));
        let mut all = [train.clone(), held.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        assert_eq!(split(100, 20, 7), (train, held));
        assert_eq!(split(1, 5, 0), (vec![0], vec![]));
    }

    #[test]
    fn rows_survive_their_stored_form() {
        let rows = vec![
            Example::Text { text: "a\nb".to_owned() },
            Example::PlainAnswer { prompt: "p".to_owned(), completion: "c".to_owned() },
        ];
        assert_eq!(rows_from_jsonl(&rows_to_jsonl(&rows).unwrap()).unwrap(), rows);
        assert!(rows_from_jsonl("{}\n").unwrap_err().to_string().contains("Line 1"));
    }
}
