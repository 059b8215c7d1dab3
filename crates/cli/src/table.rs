//! Tables for the terminal: columns as wide as their widest cell, numbers to the right. Wide characters count as two columns,
//! as terminals draw them.

use crate::language::said;
use alidade_domain::Words;

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// The lines of a table with its heads; none without rows.
pub fn table(heads: &[(Words, Align)], rows: &[Vec<String>]) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let head: Vec<String> = heads.iter().map(|(name, _)| said(*name)).collect();
    let all = || [&head].into_iter().chain(rows);
    let width = |column: usize| all().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(heads).zip(&widths).map(|((cell, (_, align)), width)| {
            let space = " ".repeat(width.saturating_sub(columns(cell)));
            match align {
                Align::Left => format!("{cell}{space}"),
                Align::Right => format!("{space}{cell}"),
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect()
}

/// Columns of a terminal that a text takes: two for each character of Chinese, Japanese and Korean.
fn columns(text: &str) -> usize {
    let wide = |letter: char| {
        matches!(letter, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{303e}' | '\u{3041}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}')
    };
    text.chars().map(|letter| if wide(letter) { 2 } else { 1 }).sum()
}

/// A text of at most so many characters.
pub fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_both_languages() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let lines = table(
            &[(Words::name("name"), Align::Left), (Words::name("行"), Align::Right)],
            &[row(["友善", "9"]), row(["a", "1,000"])],
        );
        assert_eq!(lines, ["name     行", "友善      9", "a     1,000"]);
        assert_eq!((short("abcdef", 4), short("abc", 4)), ("abc…".to_owned(), "abc".to_owned()));
        assert!(table(&[(Words::name("name"), Align::Left)], &[]).is_empty());
    }
}
