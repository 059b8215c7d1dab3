//! Macros that declare settings. One line gives a setting's key, type, range, default, level and help, and generates
//! both the struct field and the form field, so that the two cannot drift apart: a misspelt key does not compile, and a
//! value that the struct cannot hold is reported at its setting, never silently replaced by a default.
//!
//! Not here: the settings themselves. Those shared by all methods are in `settings.rs`, a method's own in its file.

use alidade_domain::{Problem, SettingField, SettingKind, SettingLevel, SettingValue, Settings, Words, wording};

/// A setting that takes one of a list of names.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// Every option, in the order of a form.
    const ALL: &'static [Self];
    /// Their names in recipes.
    const NAMES: &'static [&'static str];

    /// The name in recipes.
    fn name(self) -> &'static str;

    /// The option of a name.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|option| option.name() == name)
    }
}

/// What a setting accepts, its default, and how a value is converted to a `T`.
pub(crate) struct Shape<T> {
    kind: SettingKind,
    default: SettingValue,
    value: fn(&SettingValue) -> Option<T>,
}

impl<T> Shape<T> {
    /// The field of a form.
    pub(crate) fn field(self, key: &'static str, level: SettingLevel, [label, help]: [Words; 2]) -> SettingField {
        SettingField { key, kind: self.kind, default: self.default, level, label, help }
    }

    /// The value in the settings.
    pub(crate) fn read(self, key: &'static str, settings: &Settings) -> Result<T, Problem> {
        let missing = || {
            Problem::internal(wording!("The settings of the run lack “{key}”.", "运行的设置缺少“{key}”。"))
                .at(format!("settings.{key}"))
        };
        let value = self.value;
        let field = self.field(key, SettingLevel::Advanced, [Words::name(key); 2]);
        let checked = field.check(settings.0.get(key).ok_or_else(missing)?)?;
        value(&checked).ok_or_else(|| {
            Problem::internal(wording!(
                "{key} takes {checked:?}, and nothing reads it.",
                "{key} 的值是 {checked:?}，但没有代码读取它。"
            ))
            .at(format!("settings.{key}"))
        })
    }
}

/// A whole number from `low` to `high`, ends included.
pub(crate) fn whole<T: TryFrom<i64>>(low: i64, high: i64, default: i64) -> Shape<T> {
    let value = |value: &SettingValue| match value {
        SettingValue::Whole(value) => T::try_from(*value).ok(),
        _ => None,
    };
    Shape { kind: SettingKind::Whole { low, high }, default: SettingValue::Whole(default), value }
}

/// A number from `low` to `high`, ends included.
pub(crate) fn number(low: f64, high: f64, default: f64) -> Shape<f64> {
    let value = |value: &SettingValue| match value {
        SettingValue::Number(value) => Some(*value),
        _ => None,
    };
    Shape { kind: SettingKind::Number { low, high }, default: SettingValue::Number(default), value }
}

/// Several numbers from `low` to `high`, ends included; none by default.
pub(crate) fn numbers(low: f64, high: f64) -> Shape<Vec<f64>> {
    let value = |value: &SettingValue| match value {
        SettingValue::Numbers(values) => Some(values.clone()),
        _ => None,
    };
    Shape { kind: SettingKind::Numbers { low, high }, default: SettingValue::Numbers(Vec::new()), value }
}

/// Yes or no.
pub(crate) fn flag(default: bool) -> Shape<bool> {
    let value = |value: &SettingValue| match value {
        SettingValue::Flag(value) => Some(*value),
        _ => None,
    };
    Shape { kind: SettingKind::Flag { automatic: false }, default: SettingValue::Flag(default), value }
}

/// Yes, no, or left to the program (`None`), which is the default.
pub(crate) fn automatic() -> Shape<Option<bool>> {
    let value = |value: &SettingValue| match value {
        SettingValue::Flag(value) => Some(Some(*value)),
        SettingValue::Automatic => Some(None),
        _ => None,
    };
    Shape { kind: SettingKind::Flag { automatic: true }, default: SettingValue::Automatic, value }
}

/// One of the options.
pub(crate) fn choice<T: Choice>(default: T) -> Shape<T> {
    let value = |value: &SettingValue| match value {
        SettingValue::Text(name) => T::named(name),
        _ => None,
    };
    Shape { kind: SettingKind::Choice { options: T::NAMES }, default: text(default), value }
}

/// One or several of the options.
pub(crate) fn choices<T: Choice>(default: T) -> Shape<Vec<T>> {
    let value = |value: &SettingValue| match value {
        SettingValue::Text(name) => Some(vec![T::named(name)?]),
        SettingValue::Names(names) => names.iter().map(|name| T::named(name)).collect(),
        _ => None,
    };
    Shape { kind: SettingKind::Choices { options: T::NAMES }, default: text(default), value }
}

fn text<T: Choice>(option: T) -> SettingValue {
    SettingValue::Text(option.name().to_owned())
}

/// An enum whose variants carry their names in recipes.
macro_rules! options {
    ($(#[$about:meta])* $visibility:vis enum $name:ident { $($option:ident = $text:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility enum $name {
            $(#[doc = concat!("`", $text, "`")] $option,)+
        }

        impl $crate::declare::Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$option),+];
            const NAMES: &'static [&'static str] = &[$($text),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$option => $text,)+
                }
            }
        }
    };
}

/// A struct of settings. Each: `key: Type = shape, Level, "label" "标签", "help" "说明";`.
macro_rules! settings {
    ($(#[$about:meta])* $visibility:vis struct $name:ident {
        $($key:ident: $type:ty = $shape:expr, $level:ident, $label:literal $label_zh:literal, $help:literal $help_zh:literal;)+
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq)]
        $visibility struct $name {
            $(#[doc = $help] $visibility $key: $type,)+
        }

        impl $name {
            /// The fields of a form, in its order.
            pub(crate) fn fields() -> Vec<alidade_domain::SettingField> {
                vec![$({
                    let shape: $crate::declare::Shape<$type> = $shape;
                    const _: () = alidade_domain::check_languages($help, $help_zh);
                    let label = alidade_domain::Words::new($label, $label_zh);
                    let help = alidade_domain::Words::new($help, $help_zh);
                    shape.field(stringify!($key), alidade_domain::SettingLevel::$level, [label, help])
                }),+]
            }

            /// Reads all of them.
            pub(crate) fn read(settings: &alidade_domain::Settings) -> std::result::Result<Self, alidade_domain::Problem> {
                Ok(Self {
                    $($key: {
                        let shape: $crate::declare::Shape<$type> = $shape;
                        shape.read(stringify!($key), settings)?
                    },)+
                })
            }
        }
    };
}

pub(crate) use {options, settings};
