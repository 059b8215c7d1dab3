//! A local date and time of day, to the second. Chat templates may use the current date; a run keeps the date of its plan,
//! so that it renders the same bytes when it is resumed on another day.

use serde::{Deserialize, Serialize};

/// A date and a time of day, written as `2026-11-28T05:55:01`. Not every combination of numbers is a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LocalTime {
    /// The year.
    pub year: i16,
    /// The month, from 1.
    pub month: i8,
    /// The day of the month, from 1.
    pub day: i8,
    /// The hour, 0 to 23.
    pub hour: i8,
    /// The minute.
    pub minute: i8,
    /// The second.
    pub second: i8,
}

impl LocalTime {
    /// Midnight of a day.
    pub const fn day(year: i16, month: i8, day: i8) -> Self {
        Self { year, month, day, hour: 0, minute: 0, second: 0 }
    }
}

impl From<LocalTime> for String {
    fn from(time: LocalTime) -> Self {
        let LocalTime { year, month, day, hour, minute, second } = time;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

impl TryFrom<String> for LocalTime {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let numbers: Vec<i16> = text.split(['-', 'T', ':']).filter_map(|part| part.parse().ok()).collect();
        let small = |index: usize| numbers.get(index).and_then(|number| i8::try_from(*number).ok()).unwrap_or(0);
        let Some(year) = numbers.first().filter(|_| numbers.len() == 6 || numbers.len() == 3) else {
            return Err(format!("“{text}” is no time like 2026-11-28T05:55:01"));
        };
        let [month, day, hour, minute, second] = [1, 2, 3, 4, 5].map(small);
        Ok(Self { year: *year, month, day, hour, minute, second })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_and_read_back() {
        let time = LocalTime { hour: 5, minute: 55, second: 1, ..LocalTime::day(2026, 11, 28) };
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-11-28T05:55:01\"");
        assert_eq!(serde_json::from_str::<LocalTime>("\"2026-11-28T05:55:01\"").unwrap(), time);
        assert_eq!(LocalTime::try_from("2026-01-02".to_owned()), Ok(LocalTime::day(2026, 1, 2)));
        assert!(LocalTime::try_from("today".to_owned()).is_err());
    }
}
