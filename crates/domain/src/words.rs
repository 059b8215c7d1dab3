//! Words that the program says by itself, in both of its languages.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The same in English and in Chinese.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
pub struct Words {
    /// English.
    pub en: &'static str,
    /// Simplified Chinese.
    pub zh: &'static str,
}

impl Words {
    /// The same in both languages.
    pub const fn new(en: &'static str, zh: &'static str) -> Self {
        Self { en, zh }
    }

    /// A name that both languages spell alike.
    pub const fn name(name: &'static str) -> Self {
        Self { en: name, zh: name }
    }
}

/// Such words as they are kept with what was measured, and read again by a program that may not have them any more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
pub struct Wording {
    /// English.
    pub en: String,
    /// Simplified Chinese.
    pub zh: String,
}

impl Wording {
    /// A name that is the same in every language.
    pub fn name(name: &str) -> Self {
        Self { en: name.to_owned(), zh: name.to_owned() }
    }

    /// True when nothing is said.
    pub fn is_empty(&self) -> bool {
        self.en.is_empty()
    }
}

impl From<Words> for Wording {
    fn from(words: Words) -> Self {
        Self { en: words.en.to_owned(), zh: words.zh.to_owned() }
    }
}
