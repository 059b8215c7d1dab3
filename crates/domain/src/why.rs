//! System errors about files, in words without error numbers.

use crate::{Wording, Words};
use std::fmt;
use std::io::{Error, ErrorKind};

/// The reason of a failed read or write as a clause ("there is no such file"), without the error number.
pub fn why(error: &Error) -> Wording {
    if let Some(Said(wording)) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return wording.clone();
    }
    let known = match error.kind() {
        ErrorKind::NotFound => Words::new("there is no such file", "没有这个文件"),
        ErrorKind::PermissionDenied => Words::new("permission denied", "没有访问权限"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Words::new("there is no room left on the disk", "磁盘空间不足")
        }
        ErrorKind::ReadOnlyFilesystem => Words::new("the disk can only be read", "磁盘是只读的"),
        ErrorKind::IsADirectory => Words::new("it is a folder", "它是一个文件夹"),
        ErrorKind::NotADirectory => Words::new("a part of the path is not a folder", "路径中有一部分不是文件夹"),
        ErrorKind::AlreadyExists if error.raw_os_error().is_some() => Words::new("it exists already", "它已存在"),
        ErrorKind::DirectoryNotEmpty => Words::new("the folder is not empty", "文件夹不是空的"),
        ErrorKind::TimedOut => Words::new("it took too long", "超时"),
        ErrorKind::Interrupted if error.raw_os_error().is_some() => Words::new("it was interrupted", "操作被中断"),
        ErrorKind::OutOfMemory => Words::new("there is not enough memory", "内存不足"),
        ErrorKind::UnexpectedEof if error.raw_os_error().is_none() && error.get_ref().is_none() => {
            Words::new("it ends too early", "文件不完整")
        }
        ErrorKind::FileTooLarge if error.raw_os_error().is_some() => {
            Words::new("the file would become too large", "文件会过大")
        }
        _ => return Wording::name(without_number(&error.to_string())),
    };
    known.into()
}

/// A system error with a reason of the program's own, which [`why`] tells in both languages.
pub fn said(kind: ErrorKind, wording: impl Into<Wording>) -> Error {
    Error::new(kind, Said(wording.into()))
}

#[derive(Debug)]
struct Said(Wording);

impl fmt::Display for Said {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(&self.0.en)
    }
}

impl std::error::Error for Said {}

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
        assert_eq!(why(&Error::from_raw_os_error(2)).en, "there is no such file");
        assert_eq!(why(&Error::new(ErrorKind::InvalidData, "it is no UTF-8 text")).en, "it is no UTF-8 text");
        let own = said(ErrorKind::InvalidData, Words::new("it is no UTF-8 text", "它不是 UTF-8 文本"));
        assert_eq!((own.to_string().as_str(), why(&own).zh.as_str()), ("it is no UTF-8 text", "它不是 UTF-8 文本"));
        assert_eq!(without_number("Input/output error (os error 5)"), "Input/output error");
        assert_eq!(without_number("a (os error 2): b (os error 28)."), "a: b.");
        assert_eq!(without_number("a (os error x) (os error 1)"), "a (os error x)");
    }

    #[cfg(unix)]
    #[test]
    fn a_full_disk_is_named() {
        assert_eq!(why(&Error::from_raw_os_error(28)).zh, "磁盘空间不足");
        assert_eq!(why(&Error::from_raw_os_error(5)).zh, "Input/output error");
    }
}
