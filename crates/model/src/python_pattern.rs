//! Regular expressions with the semantics of Python's `re`, as PEFT uses them: look-around and back-references work.
//!
//! A pattern that this engine cannot read, or that takes too long, is an error that names it; it is never skipped.

use crate::ModelError;
use crate::error::Result;
use alidade_domain::{Wording, wording};
use fancy_regex::{Regex, RegexBuilder};

/// Steps back that one match may take.
const PATIENCE: usize = 100_000;
/// Longest pattern.
const LONGEST: usize = 4_096;

/// A pattern that knows its own spelling.
pub(crate) struct Pattern {
    text: String,
    form: Form,
}

enum Form {
    /// The end of a path from a dot on, in letters; a dot is any letter, as in every regular expression. Some adapters hold
    /// hundreds of these, one a layer.
    Letters,
    Compiled(Box<Regex>),
}

impl Pattern {
    /// For the whole of a module path (`re.fullmatch`), as `target_modules` and `exclude_modules` are meant.
    pub(crate) fn whole(text: &str) -> Result<Self> {
        Self::compile(text, &format!("^(?:{})$", spelled(text)))
    }

    /// For the end of a module path, from a dot on, as the keys of `rank_pattern` and `alpha_pattern` are meant.
    pub(crate) fn ending(text: &str) -> Result<Self> {
        if text.bytes().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'.' | b'-')) {
            return Ok(Self { text: text.to_owned(), form: Form::Letters });
        }
        Self::compile(text, &format!("^(.*\\.)?({})$", spelled(text)))
    }

    fn compile(text: &str, full: &str) -> Result<Self> {
        let unreadable = |found: Wording| ModelError::Adapter {
            reason: wording!(
                "the pattern “{text}” cannot be read as a regular expression of Python: {found}",
                "模式“{text}”不能作为 Python 正则表达式读取：{found}";
                found
            ),
        };
        if text.len() > LONGEST {
            return Err(unreadable(wording!("it is longer than {LONGEST} bytes", "它超过 {LONGEST} 字节")));
        }
        let regex = RegexBuilder::new(full).backtrack_limit(PATIENCE).delegate_size_limit(1 << 20).build();
        match regex {
            Ok(regex) => Ok(Self { text: text.to_owned(), form: Form::Compiled(Box::new(regex)) }),
            Err(error) => Err(unreadable(Wording::name(error.to_string().replace(['\n', '\r'], " ")))),
        }
    }

    /// True when it matches the path.
    pub(crate) fn matches(&self, path: &str) -> Result<bool> {
        let slow = |error| ModelError::Adapter {
            reason: wording!(
                "the pattern “{text}” cannot be matched against {path}: {error}",
                "模式“{text}”无法与 {path} 匹配：{error}",
                text = self.text
            ),
        };
        match &self.form {
            Form::Compiled(regex) => regex.is_match(path).map_err(slow),
            Form::Letters => Ok(ends_with(path.as_bytes(), self.text.as_bytes())),
        }
    }
}

fn ends_with(path: &[u8], key: &[u8]) -> bool {
    let Some(start) = path.len().checked_sub(key.len()) else { return false };
    let from_a_dot = start == 0 || path[start - 1] == b'.';
    from_a_dot && path[start..].iter().zip(key).all(|(letter, wanted)| letter == wanted || *wanted == b'.')
}

/// Python's `\Z` is the very end, which is `\z` here.
fn spelled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        out.push(letter);
        if letter == '\\'
            && let Some(escaped) = letters.next()
        {
            out.push(if escaped == 'Z' { 'z' } else { escaped });
        }
    }
    out
}

/// The value of the first pattern that matches the end of the path.
pub(crate) fn first<'a, T: Copy + 'a>(
    patterns: impl IntoIterator<Item = (&'a str, T)>,
    path: &str,
) -> Result<Option<T>> {
    for (key, value) in patterns {
        if Pattern::ending(key)?.matches(path)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The keys that match the end of none of the paths.
pub(crate) fn idle<'a>(keys: impl Iterator<Item = &'a str>, paths: &[String]) -> Result<Vec<String>> {
    let mut idle = Vec::new();
    for key in keys {
        let pattern = Pattern::ending(key)?;
        let mut used = false;
        for path in paths {
            used = used || pattern.matches(path)?;
        }
        if !used {
            idle.push(key.to_owned());
        }
    }
    Ok(idle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 3] =
        ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj", "model.layers.10.mlp.up_proj"];

    /// What Python 3.11 says: `re.fullmatch(pattern, path)` and `re.match(rf"(.*\.)?({pattern})$", path)` for each path.
    #[test]
    fn patterns_match_what_python_matches() {
        let whole = |text: &str| PATHS.map(|path| Pattern::whole(text).unwrap().matches(path).unwrap());
        let ending = |text: &str| PATHS.map(|path| Pattern::ending(text).unwrap().matches(path).unwrap());
        assert_eq!(whole(r"model(?=\.).*\.(q_proj|v_proj)"), [true, true, false]);
        assert_eq!(whole(r"q_proj|.*up_proj"), [false, false, true]);
        assert_eq!(whole(r".*layers\.(\d)\1?\..*"), [true, true, false]);
        assert_eq!(whole(r"(?P<a>model).*up_proj\Z"), [false, false, true]);
        assert_eq!(ending(r"layers\.(?!0\.)\d+\.self_attn\.q_proj"), [false, true, false]);
        assert_eq!(ending("^q_proj"), [false; 3]);
        assert_eq!(ending("proj"), [false; 3]);
        assert_eq!(ending(""), [false; 3]);
        assert_eq!(ending("layers.0.self.attn.q.proj"), [true, false, false]);
        assert_eq!(ending("0.self_attn.q_proj"), [true, false, false]);
        assert_eq!(ending("model.layers.1.self_attn.q_proj"), [false, true, false]);
        assert_eq!(ending("x.model.layers.1.self_attn.q_proj"), [false; 3]);
        assert_eq!(ending("q_proj"), [true, true, false]);
        assert_eq!(ending("(?<!0.)self_attn.q_proj"), [false, true, false]);
    }

    #[test]
    fn what_cannot_be_read_or_takes_too_long_is_named() {
        for text in ["(", "[a", "(?P<x", &format!("({})", "a".repeat(5_000))] {
            let told = Pattern::ending(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(told.contains(text) && told.contains("regular expression"), "{told}");
        }
        let endless = r"(?:a|a(?=a)|aa)*b";
        let slow = Pattern::whole(endless).unwrap().matches(&"a".repeat(200)).map_err(|error| error.to_string());
        assert!(matches!(&slow, Ok(false)) || slow.as_ref().is_err_and(|told| told.contains(endless)), "{slow:?}");
    }
}
