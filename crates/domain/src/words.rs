//! Words that the program says by itself, in both of its languages.

use serde::Serialize;
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
