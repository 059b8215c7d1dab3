//! Numbers, units, durations and dates in the form of a language.

use crate::words::{self, fill};
use alidade_domain::{Estimate, Language, LocalTime, Measure, SettingValue};

/// A space that does not break a number from its unit.
const TIGHT: char = '\u{a0}';

/// A share in whole per cent, halves rounded away from zero as in the window.
pub(crate) fn percent(share: f64) -> f64 {
    (100.0 * share).round() + 0.0
}

/// A number with a real minus sign, and with a plus sign if it is asked for.
fn signed(value: f64, decimals: usize, plus: bool) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    match (zero, value < 0.0, plus) {
        (true, ..) | (_, false, false) => text,
        (_, true, _) => format!("−{text}"),
        (_, false, true) => format!("+{text}"),
    }
}

/// A whole number with separators of thousands.
pub(crate) fn whole(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Decimals that a unit needs.
fn decimals(unit: &str) -> usize {
    match unit {
        "nats" => 3,
        "tokens" => 1,
        _ => 2,
    }
}

/// A quantity of a measure in its unit.
pub(crate) fn quantity(language: Language, measure: &Measure, value: f64) -> String {
    if measure.unit == "rate" {
        let number = signed(percent(value), 0, false);
        return match language {
            Language::English => format!("{number}{TIGHT}%"),
            Language::Chinese => format!("{number}%"),
        };
    }
    let number = signed(value, decimals(&measure.unit), false);
    match unit_of(language, measure) {
        "" => number,
        unit => format!("{number}{TIGHT}{unit}"),
    }
}

/// The name of a unit beside a value; a reward is a bare number.
pub(crate) fn unit_of(language: Language, measure: &Measure) -> &str {
    match measure.unit.as_str() {
        "rate" | "reward" => "",
        unit if measure.words.unit.is_empty() => unit,
        _ => language.wording(&measure.words.unit),
    }
}

/// The ends of an interval in the measure's scale, without a unit.
fn ends(language: Language, measure: &Measure, estimate: &Estimate, plus: bool) -> String {
    let end = |value: f64| match measure.unit.as_str() {
        "rate" => signed(percent(value), 0, plus),
        unit => signed(value, decimals(unit), plus),
    };
    let between = if plus || estimate.low < 0.0 { language.word(words::TO) } else { "–" };
    format!("{}{between}{}", end(estimate.low), end(estimate.high))
}

/// The interval and the number of items: "83–92, n = 200".
pub(crate) fn support(language: Language, measure: &Measure, estimate: &Estimate) -> String {
    let comma = language.word(words::AND);
    let unread = match estimate.unreadable {
        0 => String::new(),
        n => format!("{comma}{}", fill(language.word(words::UNREADABLE), &[("n", &whole(n as u64))])),
    };
    let n = whole(estimate.n as u64);
    format!("{}{comma}n{TIGHT}={TIGHT}{n}{unread}", ends(language, measure, estimate, false))
}

/// A value with unit, interval and n: "88 % (83–92, n = 200)".
pub(crate) fn value(language: Language, measure: &Measure, estimate: &Estimate) -> String {
    let (value, rest) = (quantity(language, measure, estimate.value), support(language, measure, estimate));
    fill(language.word(words::BRACKETS), &[("value", &value), ("rest", &rest)])
}

/// A value with unit and interval, for a table with a column for n: "88 % (83–92)".
pub(crate) fn short_value(language: Language, measure: &Measure, estimate: Option<&Estimate>) -> String {
    let Some(estimate) = estimate else { return "–".to_owned() };
    let (value, rest) = (quantity(language, measure, estimate.value), ends(language, measure, estimate, false));
    fill(language.word(words::BRACKETS), &[("value", &value), ("rest", &rest)])
}

/// The items behind a measure, those of each stack if they differ: "200", "200 / 198 (2 unreadable)".
pub(crate) fn items(language: Language, measure: &Measure) -> String {
    let mut found: Vec<String> = Vec::new();
    for estimate in measure.values.iter().flatten() {
        let n = whole(estimate.n as u64);
        let unread = fill(language.word(words::UNREADABLE), &[("n", &whole(estimate.unreadable as u64))]);
        found.push(match estimate.unreadable {
            0 => n,
            _ => fill(language.word(words::BRACKETS), &[("value", &n), ("rest", &unread)]),
        });
    }
    found.dedup();
    if found.is_empty() { "–".to_owned() } else { found.join(" / ") }
}

/// A change in points or in its unit: "+55 points (+48 to +62)".
pub(crate) fn change(language: Language, measure: &Measure, estimate: Option<&Estimate>) -> String {
    let Some(estimate) = estimate else { return "–".to_owned() };
    let value = match measure.unit.as_str() {
        "rate" => {
            let number = signed(percent(estimate.value), 0, true);
            fill(language.word(words::POINTS), &[("value", &number)])
        }
        unit => {
            let number = signed(estimate.value, decimals(unit), true);
            match unit_of(language, measure) {
                "" => number,
                unit => format!("{number}{TIGHT}{unit}"),
            }
        }
    };
    let rest = ends(language, measure, estimate, true);
    fill(language.word(words::BRACKETS), &[("value", &value), ("rest", &rest)])
}

/// A duration: "4.2 s", "2 min 41 s", "1 h 5 min".
pub(crate) fn duration(language: Language, seconds: f64) -> String {
    let [hour, minute, second] = match language {
        Language::English => ["h", "min", "s"],
        Language::Chinese => ["小时", "分", "秒"],
    };
    if seconds < 9.95 {
        return format!("{:.1}{TIGHT}{second}", seconds.max(0.0));
    }
    let all = seconds.round() as u64;
    match (all / 3600, all / 60 % 60, all % 60) {
        (0, 0, seconds) => format!("{seconds}{TIGHT}{second}"),
        (0, minutes, seconds) => format!("{minutes}{TIGHT}{minute}{TIGHT}{seconds}{TIGHT}{second}"),
        (hours, minutes, _) => format!("{hours}{TIGHT}{hour}{TIGHT}{minutes}{TIGHT}{minute}"),
    }
}

/// A day and a time of day.
pub(crate) fn date(language: Language, time: LocalTime) -> String {
    let LocalTime { year, month, day, hour, minute, .. } = time;
    match language {
        Language::English => {
            let place = usize::try_from(month - 1).unwrap_or_default();
            let name = words::MONTHS.get(place).copied().unwrap_or_default();
            format!("{day} {name} {year}, {hour:02}:{minute:02}")
        }
        Language::Chinese => format!("{year} 年 {month} 月 {day} 日 {hour:02}:{minute:02}"),
    }
}

/// A size on the disk.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes}{TIGHT}B"),
        1_000..1_000_000 => format!("{:.0}{TIGHT}kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}{TIGHT}MB", bytes as f64 / 1e6),
        _ => format!("{:.2}{TIGHT}GB", bytes as f64 / 1e9),
    }
}

/// The value of a setting.
pub(crate) fn setting(language: Language, value: &SettingValue) -> String {
    let number = |value: &f64| match value.abs() {
        0.0 => "0".to_owned(),
        1e-3..1e6 => value.to_string(),
        _ => format!("{value:e}"),
    };
    match value {
        SettingValue::Flag(true) => language.word(words::YES).to_owned(),
        SettingValue::Flag(false) => language.word(words::NO).to_owned(),
        SettingValue::Whole(value) => value.to_string(),
        SettingValue::Number(value) => number(value),
        SettingValue::Text(value) => value.clone(),
        SettingValue::Numbers(values) if values.is_empty() => language.word(words::UNSET).to_owned(),
        SettingValue::Numbers(values) => {
            values.iter().map(number).collect::<Vec<_>>().join(language.word(words::COMMA))
        }
        SettingValue::Names(names) => names.join(language.word(words::COMMA)),
        SettingValue::Automatic => language.word(words::AUTOMATIC).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::{Better, MeasureWords, Words};
    use {Language::Chinese as ZH, Language::English as EN};

    fn measure(unit: &str) -> Measure {
        let words = MeasureWords { unit: Words::new("nats", "nat").into(), ..MeasureWords::default() };
        Measure { key: "m".into(), unit: unit.into(), better: Better::Lower, words, values: vec![], changes: vec![] }
    }

    fn estimate(value: f64, low: f64, high: f64, unreadable: usize) -> Estimate {
        Estimate { value, low, high, n: 1_200, unreadable }
    }

    /// The text with plain spaces.
    fn plain(text: String) -> String {
        text.replace(TIGHT, " ")
    }

    #[test]
    fn a_value_has_its_unit_interval_and_items() {
        let rate = estimate(0.885, 0.83, 0.925, 0);
        assert_eq!(plain(value(EN, &measure("rate"), &rate)), "89 % (83–93, n = 1,200)");
        assert_eq!(plain(value(ZH, &measure("rate"), &rate)), "89%（83–93，n = 1,200）");
        let loss = estimate(1.6914, -0.1, 1.8, 2);
        assert_eq!(plain(value(EN, &measure("nats"), &loss)), "1.691 nats (−0.100 to 1.800, n = 1,200, 2 unreadable)");
        assert_eq!(plain(value(EN, &measure("reward"), &loss)), "1.69 (−0.10 to 1.80, n = 1,200, 2 unreadable)");
        assert_eq!(plain(short_value(EN, &measure("rate"), Some(&rate))), "89 % (83–93)");
        assert_eq!(short_value(EN, &measure("rate"), None), "–");
        let of = |values: Vec<Option<Estimate>>| plain(items(EN, &Measure { values, ..measure("rate") }));
        assert_eq!(of(vec![Some(rate), Some(rate)]), "1,200");
        assert_eq!(of(vec![Some(rate), None, Some(loss)]), "1,200 / 1,200 (2 unreadable)");
        assert_eq!(of(vec![None]), "–");
    }

    #[test]
    fn a_change_has_its_sign() {
        let fall = estimate(-0.84, -0.9, -0.004, 0);
        assert_eq!(plain(change(EN, &measure("rate"), Some(&fall))), "−84 points (−90 to 0)");
        assert_eq!(plain(change(ZH, &measure("rate"), Some(&fall))), "−84 个百分点（−90 至 0）");
        assert_eq!(
            plain(change(EN, &measure("nats"), Some(&estimate(0.2, 0.1, 0.3, 0)))),
            "+0.200 nats (+0.100 to +0.300)"
        );
    }

    #[test]
    fn durations_dates_and_sizes_are_those_of_the_language() {
        let said = |seconds| plain(duration(EN, seconds));
        assert_eq!([said(4.26), said(9.96), said(161.0), said(3_905.0)], ["4.3 s", "10 s", "2 min 41 s", "1 h 5 min"]);
        assert_eq!(plain(duration(ZH, 161.0)), "2 分 41 秒");
        let time = LocalTime { hour: 16, minute: 2, ..LocalTime::day(2026, 11, 8) };
        assert_eq!(date(EN, time), "8 November 2026, 16:02");
        assert_eq!(date(ZH, time), "2026 年 11 月 8 日 16:02");
        assert_eq!([whole(7), whole(1_000), whole(3_279_104)], ["7", "1,000", "3,279,104"]);
        assert_eq!(plain(bytes(31_400_000)), "31.4 MB");
        assert_eq!(setting(EN, &SettingValue::Number(5e-6)), "5e-6");
        assert_eq!(setting(ZH, &SettingValue::Flag(true)), "开");
    }
}
