//! Texts of the program in both of its languages.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A text in English and Chinese.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
pub struct Words {
    /// English.
    pub en: &'static str,
    /// Simplified Chinese.
    pub zh: &'static str,
}

impl Words {
    /// A text in both languages.
    pub const fn new(en: &'static str, zh: &'static str) -> Self {
        Self { en, zh }
    }

    /// A name that is the same in both languages.
    pub const fn name(name: &'static str) -> Self {
        Self { en: name, zh: name }
    }
}

/// Texts that are stored with a result, because a later version of the program may no longer have them.
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

    /// True if both texts are empty.
    pub fn is_empty(&self) -> bool {
        self.en.is_empty()
    }
}

impl From<Words> for Wording {
    fn from(words: Words) -> Self {
        Self { en: words.en.to_owned(), zh: words.zh.to_owned() }
    }
}
