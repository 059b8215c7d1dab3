//! Escapes untrusted text for a terminal, a log or a message: control characters and characters that change the reading
//! direction are spelled out. Texts that a model reads are never changed.

use std::fmt::Write;

/// One line for a message: control characters as `\n`, `\t`, `\u{1b}`, and at most `limit` characters of the source
/// (`…` stands for the rest).
pub fn shown(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(limit) {
        match character {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            other => put(&mut line, other),
        }
    }
    if characters.next().is_some() {
        line.push('…');
    }
    line
}

/// Text for a terminal: line breaks and tabs stay, every other control character is spelled out.
pub fn printable(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => whole.push(character),
            other => put(&mut whole, other),
        }
    }
    whole
}

fn put(line: &mut String, character: char) {
    if character.is_control() || steers(character) {
        // Writing to a string cannot fail.
        let _ = write!(line, "\\u{{{:x}}}", character as u32);
    } else {
        line.push(character);
    }
}

/// Invisible characters that change how their neighbours are shown: directions, line separators, byte order marks, tags.
/// Joiners of scripts and emoji are not among them.
fn steers(character: char) -> bool {
    matches!(character,
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_passes() {
        assert_eq!(
            shown("a\u{1b}[31mred\u{7}\r\n\u{9b}2J\u{202e}x", 80),
            "a\\u{1b}[31mred\\u{7}\\r\\n\\u{9b}2J\\u{202e}x"
        );
        assert_eq!(printable("a\n\tb\u{1b}]0;t\u{7}\r"), "a\n\tb\\u{1b}]0;t\\u{7}\\u{d}");
        for code in (0..0xA0).chain(0x2000..0x2070).filter_map(char::from_u32) {
            let text = shown(&code.to_string(), 1);
            assert!(!text.chars().any(char::is_control), "{code:?}");
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shown("Straße ✓", 7), "Straße …");
        assert_eq!(shown("Straße", 6), "Straße");
        assert_eq!(shown("x", 0), "…");
    }
}
