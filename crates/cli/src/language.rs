//! The language of the terminal: `--language`, else `ALIDADE_LANGUAGE`, else the locale. JSON carries both languages.

use alidade_domain::{Language, Wording};
use alidade_studio::preferred_language;
use std::sync::OnceLock;

static LANGUAGE: OnceLock<Language> = OnceLock::new();

/// The value of `--language`. Without a help text of each value, which would make the help of every command longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Named {
    En,
    Zh,
}

impl From<Named> for Language {
    fn from(named: Named) -> Self {
        match named {
            Named::En => Language::English,
            Named::Zh => Language::Chinese,
        }
    }
}

/// Sets the language for the rest of the program.
pub fn choose(named: Option<Named>) {
    // A second choice is not made.
    let _ = LANGUAGE.set(named.map_or_else(preferred_language, Language::from));
}

/// The language of the terminal.
pub fn current() -> Language {
    LANGUAGE.get().copied().unwrap_or_default()
}

/// A text in that language.
pub fn said(text: impl Into<Wording>) -> String {
    text.into().spoken(current()).to_owned()
}
