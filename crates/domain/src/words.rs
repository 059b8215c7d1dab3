//! Texts of the program in both of its languages.

use crate::Language;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A text in English and Chinese.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, TS)]
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

/// A text for a person that is put together while the program runs, or stored because a later version may no longer have it.
/// There is no conversion from a plain text: a message in one language does not compile. Made by [`crate::wording`].
///
/// Without `Display`, so that no text ends up inside a text of the other language.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, TS)]
#[serde(from = "WordingOnDisk")]
pub struct Wording {
    /// English.
    pub en: String,
    /// Simplified Chinese.
    pub zh: String,
}

impl Wording {
    /// A name that is the same in every language.
    pub fn name(name: impl Into<String>) -> Self {
        let en = name.into();
        Self { zh: en.clone(), en }
    }

    /// Names or clauses one after the other, as each language lists them.
    pub fn list<W: Into<Wording>>(parts: impl IntoIterator<Item = W>) -> Self {
        Self::joined(parts, ", ", "、")
    }

    /// Clauses one after the other.
    pub fn clauses<W: Into<Wording>>(parts: impl IntoIterator<Item = W>) -> Self {
        Self::joined(parts, "; ", "；")
    }

    /// Sentences one after the other.
    pub fn sentences<W: Into<Wording>>(parts: impl IntoIterator<Item = W>) -> Self {
        Self::joined(parts, " ", "")
    }

    /// Names that are the same in every language, as each language lists them.
    pub fn names<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::list(names.into_iter().map(|name| Self::name(name.as_ref())))
    }

    fn joined<W: Into<Wording>>(parts: impl IntoIterator<Item = W>, en: &str, zh: &str) -> Self {
        let parts: Vec<Wording> = parts.into_iter().map(Into::into).collect();
        let all = |text: fn(&Wording) -> &str, between: &str| parts.iter().map(text).collect::<Vec<_>>().join(between);
        Self { en: all(|part| &part.en, en), zh: all(|part| &part.zh, zh) }
    }

    /// The text in one language.
    pub fn spoken(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::Chinese => &self.zh,
        }
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

impl From<&Wording> for Wording {
    fn from(wording: &Wording) -> Self {
        wording.clone()
    }
}

/// Earlier versions stored their texts in English only.
#[derive(Deserialize)]
#[serde(untagged)]
enum WordingOnDisk {
    Plain(String),
    Both { en: String, zh: String },
}

impl From<WordingOnDisk> for Wording {
    fn from(found: WordingOnDisk) -> Self {
        match found {
            WordingOnDisk::Plain(text) => Self::name(text),
            WordingOnDisk::Both { en, zh } => Self { en, zh },
        }
    }
}

/// A [`Wording`] from two format strings with inline arguments, first English, then Chinese. Arguments that are texts
/// themselves follow a semicolon as `name = wording`, or `name` alone; formatted ones follow a comma in the first form,
/// another semicolon in the second.
///
/// ```
/// # use alidade_domain::{Wording, Words, wording};
/// let (rows, s) = (2, "s");
/// let text = wording!("{rows} row{s} left out.", "略去 {rows} 条。");
/// assert_eq!(text.zh, "略去 2 条。");
/// let why = Words::new("there is no such file", "没有这个文件");
/// let text = wording!("Reading {path} failed: {why}.", "读取 {path} 失败：{why}。"; why; path = "a.json");
/// assert_eq!(text.zh, "读取 a.json 失败：没有这个文件。");
/// ```
///
/// A translation that is missing or left in English does not compile:
///
/// ```compile_fail
/// # use alidade_domain::wording;
/// let text = wording!("There is no file.", "There is no file.");
/// ```
///
/// ```compile_fail
/// # use alidade_domain::Problem;
/// let problem = Problem::input("There is no file.");
/// ```
#[macro_export]
macro_rules! wording {
    ($en:literal, $zh:literal $(, $($rest:tt)*)?) => {{
        const _: () = $crate::check_languages($en, $zh);
        $crate::Wording { en: format!($en $(, $($rest)*)?), zh: format!($zh $(, $($rest)*)?) }
    }};
    ($en:literal, $zh:literal; $($name:ident $(= $said:expr)?),+ $(; $($rest:tt)*)?) => {{
        const _: () = $crate::check_languages($en, $zh);
        match ($(&$crate::wording!(@ $name $(= $said)?),)+) {
            ($($name,)+) => $crate::Wording {
                en: format!($en, $($name = $name.en),+ $(, $($rest)*)?),
                zh: format!($zh, $($name = $name.zh),+ $(, $($rest)*)?),
            },
        }
    }};
    (@ $name:ident) => { $name };
    (@ $name:ident = $said:expr) => { $said };
}

/// For [`wording`]: the first text is not Chinese, the second one is.
///
/// # Panics
/// While the program is compiled, if that is not so.
#[doc(hidden)]
pub const fn check_languages(en: &str, zh: &str) {
    assert!(!en.is_empty() && !has_chinese(en), "the first text must be English");
    assert!(has_chinese(zh), "the second text must be Chinese");
}

/// True if a text has a Chinese character (U+3400 to U+9FFF) or punctuation of full width, by the first bytes of their UTF-8.
#[doc(hidden)]
pub const fn has_chinese(text: &str) -> bool {
    let (bytes, mut place) = (text.as_bytes(), 0);
    while place + 1 < bytes.len() {
        if matches!((bytes[place], bytes[place + 1]), (0xE3, 0x80 | 0x90..) | (0xE4..=0xE9, _) | (0xEF, 0xBC)) {
            return true;
        }
        place += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_earlier_versions_are_read() {
        let old: Wording = serde_json::from_str("\"no answer\"").unwrap();
        assert_eq!(old, Wording::name("no answer"));
        let new = wording!("no answer", "没有回答");
        let text = serde_json::to_string(&new).unwrap();
        assert_eq!(text, r#"{"en":"no answer","zh":"没有回答"}"#);
        assert_eq!(serde_json::from_str::<Wording>(&text).unwrap(), new);
    }

    #[test]
    fn records_of_earlier_versions_are_read() {
        let problem = r#"{"code":"input","message":"There is no file.","hints":["Look for it."],"field":null}"#;
        let problem: crate::Problem = serde_json::from_str(problem).unwrap();
        assert_eq!((problem.message.zh.as_str(), problem.hints[0].en.as_str()), ("There is no file.", "Look for it."));
        let event = r#"{"run":"r","sequence":1,"at_ms":2,"kind":"warning","code":"few_steps","message":"Few steps."}"#;
        let event: crate::RunEvent = serde_json::from_str(event).unwrap();
        let said = Wording::name("Few steps.");
        assert!(matches!(event.kind, crate::EventKind::Warning { message, .. } if message == said));
        let issue: crate::RowIssue =
            serde_json::from_str(r#"{"row":1,"reason":"no answer","found":"an empty answer","fix":"Fill it in."}"#)
                .unwrap();
        assert_eq!(issue.fix, Wording::name("Fill it in."));
        let summary = r#"{"format":"alpaca","read":2,"kept":1,"dropped":[{"reason":"no answer","rows":1}]}"#;
        let summary: crate::ImportSummary = serde_json::from_str(summary).unwrap();
        assert_eq!((summary.format, summary.dropped[0].reason.zh.as_str()), (Wording::name("alpaca"), "no answer"));
        let answer: crate::SampleAnswer = serde_json::from_str(r#"{"text":"Yes.","label":"good"}"#).unwrap();
        assert_eq!(answer.label, Some(Wording::name("good")));
        let answer: crate::SampleAnswer = serde_json::from_str(r#"{"text":"Yes.","label":null}"#).unwrap();
        assert_eq!(answer.label, None);
    }

    #[test]
    fn arguments_may_differ_between_the_languages() {
        let names = Wording::names(["f32", "bf16"]);
        let text = wording!("Choose one of {names}.", "请从 {names} 中选择。"; names = names);
        assert_eq!((text.en.as_str(), text.zh.as_str()), ("Choose one of f32, bf16.", "请从 f32、bf16 中选择。"));
    }

    #[test]
    fn languages_have_tags() {
        for (tag, language) in [
            ("en", Some(Language::English)),
            ("zh", Some(Language::Chinese)),
            ("zh_CN.UTF-8", Some(Language::Chinese)),
            ("zh-Hans", Some(Language::Chinese)),
            ("C.UTF-8", Some(Language::English)),
            ("zhuang", None),
            ("", None),
        ] {
            assert_eq!(Language::named(tag), language, "{tag}");
        }
    }
}
