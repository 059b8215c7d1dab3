//! The language of whoever started the program, where no window can be asked.

use alidade_domain::Language;

/// Names the language, before the locale does.
const OWN: &str = "ALIDADE_LANGUAGE";
/// What names the locale of messages, the strongest first.
const LOCALE: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

/// The language that the environment names: English unless it says otherwise.
pub fn preferred_language() -> Language {
    of(|name| std::env::var(name).ok())
}

fn of(variable: impl Fn(&str) -> Option<String>) -> Language {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let own = set(OWN).and_then(|tag| Language::named(&tag));
    let locale = || LOCALE.into_iter().find_map(set).and_then(|tag| Language::named(&tag));
    own.or_else(locale).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_variable_comes_before_the_locale() {
        let with = |set: &[(&str, &str)]| {
            of(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        let (en, zh) = (Language::English, Language::Chinese);
        assert_eq!(with(&[]), en);
        assert_eq!(with(&[("LANG", "zh_CN.UTF-8")]), zh);
        assert_eq!(with(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C.UTF-8")]), en);
        assert_eq!(with(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "")]), zh);
        assert_eq!(with(&[("LC_MESSAGES", "zh_TW"), ("LANG", "de_DE")]), zh);
        assert_eq!(with(&[("LANG", "zh_CN"), ("ALIDADE_LANGUAGE", "en")]), en);
        assert_eq!(with(&[("LANG", "de_DE"), ("ALIDADE_LANGUAGE", "zh")]), zh);
        assert_eq!(with(&[("LANG", "zh_CN"), ("ALIDADE_LANGUAGE", "klingon")]), zh);
    }
}
