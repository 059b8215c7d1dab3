//! System errors about files, in words without error numbers.

use std::io::{Error, ErrorKind};

/// The reason of a failed read or write as a clause ("there is no such file"), without the error number.
pub fn why(error: &Error) -> String {
    let known = match error.kind() {
        ErrorKind::NotFound => "there is no such file",
        ErrorKind::PermissionDenied => "permission denied",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "there is no room left on the disk",
        ErrorKind::ReadOnlyFilesystem => "the disk can only be read",
        ErrorKind::IsADirectory => "it is a folder",
        ErrorKind::NotADirectory => "a part of the path is not a folder",
        ErrorKind::FileTooLarge if error.raw_os_error().is_some() => "the file would become too large",
        _ => return without_number(&error.to_string()),
    };
    known.to_owned()
}

/// A message without the numbers that systems add to it ("(os error 2)").
pub fn without_number(text: &str) -> String {
    let mut rest = text;
    let mut whole = String::with_capacity(text.len());
    while let Some(place) = rest.find(" (os error ") {
        let behind = &rest[place + " (os error ".len()..];
        let digits = behind.trim_start_matches(|c: char| c == '-' || c.is_ascii_digit());
        whole.push_str(&rest[..place]);
        match digits.strip_prefix(')') {
            Some(after) => rest = after,
            None => {
                whole.push_str(" (os error ");
                rest = behind;
            }
        }
    }
    whole + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_system_are_left_out() {
        assert_eq!(why(&Error::from_raw_os_error(2)), "there is no such file");
        assert_eq!(why(&Error::new(ErrorKind::InvalidData, "it is no UTF-8 text")), "it is no UTF-8 text");
        assert_eq!(without_number("Input/output error (os error 5)"), "Input/output error");
        assert_eq!(without_number("a (os error 2): b (os error 28)."), "a: b.");
        assert_eq!(without_number("a (os error x) (os error 1)"), "a (os error x)");
    }

    #[cfg(unix)]
    #[test]
    fn a_full_disk_is_named() {
        assert_eq!(why(&Error::from_raw_os_error(28)), "there is no room left on the disk");
        assert_eq!(why(&Error::from_raw_os_error(5)), "Input/output error");
    }
}
