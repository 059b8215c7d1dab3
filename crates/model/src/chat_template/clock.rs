//! `strftime_now` as Python gives it: the day that the studio handed down, in the form that the template asks for. English
//! names, as in Python's own locale; a directive that is none stays as it stands.

use alidade_domain::LocalTime;
use jiff::civil::DateTime;
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};

/// A time in a form like `%d %b %Y`.
///
/// # Errors
/// When the numbers are no day.
pub(super) fn strftime(now: LocalTime, format: &str) -> Result<String, String> {
    let LocalTime { year, month, day, hour, minute, second } = now;
    let time = DateTime::new(year, month, day, hour, minute, second, 0).map_err(|error| error.to_string())?;
    let config = Config::new().custom(PosixCustom::new()).lenient(true);
    let mut text = String::new();
    BrokenDownTime::from(time)
        .format_with_config(&config, python(format), &mut text)
        .map_err(|error| error.to_string())?;
    Ok(text)
}

/// Python fills in microseconds and the time zone itself; a time without a zone has none to name.
fn python(format: &str) -> String {
    let mut out = String::with_capacity(format.len());
    let mut rest = format.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, rest.peek()) {
            ('%', Some('f')) => out.push_str("000000"),
            ('%', Some('z' | 'Z')) => {}
            ('%', Some(other)) => out.extend(['%', *other]),
            (other, _) => {
                out.push(other);
                continue;
            }
        }
        rest.next();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_come_out_as_python_writes_them() {
        let now = LocalTime { hour: 7, minute: 5, second: 9, ..LocalTime::day(2026, 3, 4) };
        let forms = [
            ("%d %b %Y", "04 Mar 2026"),
            ("%B %d, %Y", "March 04, 2026"),
            ("%-d %B", "4 March"),
            ("%e", " 4"),
            ("%A %a", "Wednesday Wed"),
            ("%H:%M:%S", "07:05:09"),
            ("%I:%M %p", "07:05 AM"),
            ("%j", "063"),
            ("%y-%m", "26-03"),
            ("%F %T", "2026-03-04 07:05:09"),
            ("%c", "Wed Mar  4 07:05:09 2026"),
            ("%x %X", "03/04/26 07:05:09"),
            ("%U %W %w %u", "09 09 3 3"),
            ("%G-W%V", "2026-W10"),
            ("%f|%z|%Z|", "000000|||"),
            ("100%%", "100%"),
            ("at %-I", "at 7"),
            ("%", "%"),
            ("é %Y", "é 2026"),
        ];
        for (form, expected) in forms {
            assert_eq!(strftime(now, form).unwrap(), expected, "{form}");
        }
        assert!(strftime(LocalTime::day(2026, 13, 1), "%Y").is_err());
    }
}
