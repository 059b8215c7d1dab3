//! The languages of the program, for whoever writes a text instead of showing one.

use crate::{Problem, Wording, Words};

/// A language of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Language; 2] = [Language::English, Language::Chinese];

    /// The language of a tag: “en” or “zh”.
    ///
    /// # Errors
    /// When there is no such language, at `language`.
    pub fn of(tag: &str) -> Result<Self, Problem> {
        let found = Self::ALL.into_iter().find(|language| language.tag() == tag);
        found.ok_or_else(|| {
            let message = Words::new(
                "A report is written in en (English) or zh (Chinese).",
                "报告的语言是 en（英文）或 zh（中文）。",
            );
            Problem::input(message).at("language")
        })
    }

    /// The language of a locale ("en", "zh", "zh_CN.UTF-8").
    pub fn named(tag: &str) -> Option<Self> {
        match tag.to_ascii_lowercase().split(['-', '_', '.', '@']).next() {
            Some("en" | "c" | "posix") => Some(Self::English),
            Some("zh") => Some(Self::Chinese),
            _ => None,
        }
    }

    /// Its tag on the wire and in the terminal.
    pub const fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Chinese => "zh",
        }
    }

    /// A text of the program in this language.
    pub const fn word(self, words: Words) -> &'static str {
        match self {
            Language::English => words.en,
            Language::Chinese => words.zh,
        }
    }

    /// A stored text in this language.
    pub fn wording(self, words: &Wording) -> &str {
        match self {
            Language::English => &words.en,
            Language::Chinese => &words.zh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_found_by_its_tag() {
        for language in Language::ALL {
            assert_eq!(Language::of(language.tag()), Ok(language));
        }
        assert_eq!(Language::of("fr").unwrap_err().field.as_deref(), Some("language"));
        let kind = Words::new("kind", "友善");
        assert_eq!(Language::Chinese.word(kind), "友善");
        assert_eq!(Language::English.wording(&kind.into()), "kind");
    }
}
