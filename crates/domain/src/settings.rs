//! Settings of a method or builder, declared once: a list of fields yields the form in the wizard, the keys of recipes,
//! range checks, defaults and help texts.

use crate::{Problem, Wording, Words, nearest_name, wording};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(untagged)]
pub enum SettingValue {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// Any number.
    Number(f64),
    /// One of a list of names.
    Text(String),
    /// Several numbers.
    Numbers(Vec<f64>),
    /// Several of a list of names.
    Names(Vec<String>),
    /// Decided by the program from the data.
    Automatic,
}

/// What values a setting takes.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SettingKind {
    /// A whole number from `low` to `high`, ends included.
    Whole {
        /// Smallest allowed value.
        low: i64,
        /// Largest allowed value.
        high: i64,
    },
    /// A number from `low` to `high`, ends included.
    Number {
        /// Smallest allowed value.
        low: f64,
        /// Largest allowed value.
        high: f64,
    },
    /// Yes or no; `automatic` if the program may decide from the data.
    Flag {
        /// True if the program may decide.
        automatic: bool,
    },
    /// One of these names.
    Choice {
        /// The names.
        options: &'static [&'static str],
    },
    /// One or several of these names.
    Choices {
        /// The names.
        options: &'static [&'static str],
    },
    /// A list of numbers from `low` to `high`, ends included; empty when left out.
    Numbers {
        /// Smallest allowed value.
        low: f64,
        /// Largest allowed value.
        high: f64,
    },
}

/// Whether a setting is shown at once or behind *advanced*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SettingLevel {
    /// Shown to everyone.
    Simple,
    /// Shown on demand.
    Advanced,
}

/// One setting: its key as TRL spells it, its allowed values, and its meaning.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct SettingField {
    /// TRL's name.
    pub key: &'static str,
    /// Allowed values.
    #[serde(rename = "value_kind")]
    pub kind: SettingKind,
    /// Default value.
    pub default: SettingValue,
    /// Where it is shown.
    pub level: SettingLevel,
    /// A readable name; the key is shown in small print beside it.
    pub label: Words,
    /// One plain sentence.
    pub help: Words,
}

impl SettingField {
    /// The normalised value, if it is allowed.
    ///
    /// # Errors
    /// At the setting, with its allowed values.
    pub fn check(&self, value: &SettingValue) -> Result<SettingValue, Problem> {
        self.accepts(value).map_err(|rule| {
            Problem::input(wording!(
                "{key} is {value}; it {rule}.",
                "{key} 的值是 {value}，{rule}。";
                value = value.show(), rule; key = self.key
            ))
            .at(format!("settings.{}", self.key))
        })
    }

    fn accepts(&self, value: &SettingValue) -> Result<SettingValue, Wording> {
        match (&self.kind, value) {
            (SettingKind::Whole { low, high }, SettingValue::Whole(number)) => {
                in_range(*number as f64, *low as f64, *high as f64).map(|()| value.clone())
            }
            (SettingKind::Number { low, high }, SettingValue::Whole(number)) => {
                in_range(*number as f64, *low, *high).map(|()| SettingValue::Number(*number as f64))
            }
            (SettingKind::Number { low, high }, SettingValue::Number(number)) => {
                in_range(*number, *low, *high).map(|()| value.clone())
            }
            (SettingKind::Flag { .. }, SettingValue::Flag(_))
            | (SettingKind::Flag { automatic: true }, SettingValue::Automatic) => Ok(value.clone()),
            (SettingKind::Choice { options } | SettingKind::Choices { options }, SettingValue::Text(text))
                if options.contains(&text.as_str()) =>
            {
                Ok(value.clone())
            }
            (SettingKind::Choices { options }, SettingValue::Names(names))
                if !names.is_empty() && names.iter().all(|name| options.contains(&name.as_str())) =>
            {
                Ok(value.clone())
            }
            (SettingKind::Numbers { low, high }, SettingValue::Numbers(numbers)) => {
                numbers.iter().try_for_each(|number| in_range(*number, *low, *high)).map(|()| value.clone())
            }
            (kind, _) => Err(wording!("must be {rule}", "必须是{rule}"; rule = kind.describe())),
        }
    }
}

impl SettingKind {
    fn describe(&self) -> Wording {
        match self {
            SettingKind::Whole { low, high } => {
                wording!("a whole number from {low} to {high}", "介于 {low} 和 {high} 之间的整数")
            }
            SettingKind::Number { low, high } => {
                wording!("a number from {low} to {high}", "介于 {low} 和 {high} 之间的数")
            }
            SettingKind::Flag { .. } => wording!("true or false", "true 或 false"),
            SettingKind::Choice { options } => {
                wording!("one of: {options}", "以下之一：{options}"; options = Wording::names(*options))
            }
            SettingKind::Choices { options } => {
                wording!(
                    "one or several of: {options}",
                    "以下的一个或几个：{options}";
                    options = Wording::names(*options)
                )
            }
            SettingKind::Numbers { low, high } => {
                wording!("a list of numbers from {low} to {high}", "一列介于 {low} 和 {high} 之间的数")
            }
        }
    }
}

fn in_range(value: f64, low: f64, high: f64) -> Result<(), Wording> {
    if value.is_finite() && (low..=high).contains(&value) {
        return Ok(());
    }
    Err(wording!("must be from {low} to {high}", "必须在 {low} 到 {high} 之间"))
}

/// Settings by key; absent ones have their defaults. Methods do not read them by key: each declares its settings as a struct
/// (`train/src/declare.rs`), which is read as a whole.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(transparent)]
pub struct Settings(pub BTreeMap<String, SettingValue>);

impl Settings {
    /// Checks every value against the fields and fills in the defaults.
    ///
    /// # Errors
    /// One problem per unknown key (with the nearest known name) and per value out of range, each at its field.
    pub fn resolve(&self, fields: &[SettingField]) -> Result<Settings, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut resolved: BTreeMap<String, SettingValue> =
            fields.iter().map(|field| (field.key.to_owned(), field.default.clone())).collect();
        for (key, value) in &self.0 {
            let Some(field) = fields.iter().find(|field| field.key == key) else {
                problems.push(unknown_key(key, fields));
                continue;
            };
            match field.check(value) {
                Ok(value) => drop(resolved.insert(key.clone(), value)),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Settings(resolved)) } else { Err(problems) }
    }

    /// The same settings with the default of every absent field: a stored run may be older than a setting.
    #[must_use]
    pub fn with_defaults(&self, fields: &[SettingField]) -> Settings {
        let defaults = fields.iter().map(|field| (field.key.to_owned(), field.default.clone()));
        let mut filled: BTreeMap<String, SettingValue> = defaults.collect();
        filled.extend(self.0.clone());
        Settings(filled)
    }
}

impl SettingValue {
    fn show(&self) -> Wording {
        Wording::name(match self {
            SettingValue::Flag(value) => value.to_string(),
            SettingValue::Whole(value) => value.to_string(),
            SettingValue::Number(value) => value.to_string(),
            SettingValue::Text(value) => format!("“{value}”"),
            SettingValue::Numbers(values) => format!("{values:?}"),
            SettingValue::Names(names) => format!("“{}”", names.join(", ")),
            SettingValue::Automatic => return wording!("automatic", "自动"),
        })
    }
}

fn unknown_key(key: &str, fields: &[SettingField]) -> Problem {
    let problem = Problem::input(wording!("[settings] has no key “{key}”.", "[settings] 中没有“{key}”这个键。"))
        .at(format!("settings.{key}"));
    match nearest_name(key, fields.iter().map(|field| field.key)) {
        Some(name) => problem.hint(wording!("Did you mean {name}?", "是否想写 {name}？")),
        None => problem,
    }
}
