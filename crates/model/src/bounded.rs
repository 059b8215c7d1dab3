//! Reading untrusted files with a size limit. A link to a device has no end, and a file of many gigabytes in place of a
//! configuration would exhaust the memory.

use alidade_domain::{said, wording};
use std::fs::File;
use std::io::{ErrorKind, Read, Result};
use std::path::Path;

/// Most bytes of a configuration, an index or a model card.
pub const SMALL_TEXT: u64 = 64 << 20;
/// Most bytes of a tokenizer; the largest of the known families has about 35 million.
pub const TOKENIZER: u64 = 512 << 20;
/// Most bytes of a chat template.
pub const TEMPLATE: u64 = 1 << 20;
/// Most bytes of a data set, which is held in memory.
pub const DATA: u64 = 1 << 30;

/// Opens a regular file for reading; anything else is refused before it is opened, because opening a pipe blocks until a
/// writer appears.
///
/// # Errors
/// When it is a folder, a pipe, a socket or a device, or cannot be opened.
pub fn open_ordinary(path: &Path) -> Result<File> {
    let ordinary = |about: std::fs::Metadata| match about.is_file() {
        true => Ok(()),
        false if about.is_dir() => {
            Err(said(ErrorKind::IsADirectory, wording!("it is a folder, no file", "它是文件夹，不是文件")))
        }
        false => Err(said(ErrorKind::InvalidInput, wording!("it is no ordinary file", "它不是普通文件"))),
    };
    ordinary(std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    ordinary(file.metadata()?)?;
    Ok(file)
}

/// A file's bytes, if they are no more than `most`.
///
/// # Errors
/// When it is no regular file, cannot be read or is larger.
pub fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_ordinary(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let mebibytes = most >> 20;
        return Err(said(
            ErrorKind::FileTooLarge,
            wording!(
                "it is larger than {mebibytes} MiB, the most that is read",
                "它大于 {mebibytes} MiB，即能读取的上限"
            ),
        ));
    }
    Ok(bytes)
}

/// A file's text, if it is no more than `most` bytes.
///
/// # Errors
/// As [`read_bounded`], and when it is no UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(read_bounded(path, most)?)
        .map_err(|_| said(ErrorKind::InvalidData, wording!("it is no UTF-8 text", "它不是 UTF-8 文本")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_up_to_the_bound_is_read_and_a_larger_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![b'a'; 100]).unwrap();
        assert_eq!(read_text(&path, 100).unwrap().len(), 100);
        assert_eq!(read_bounded(&path, 99).unwrap_err().kind(), ErrorKind::FileTooLarge);
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(read_text(&path, 100).unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(read_bounded(Path::new("nowhere"), 1).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_ordinary_file_is_refused_unopened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        std::os::unix::fs::symlink(&pipe, folder.path().join("link")).unwrap();
        for name in ["pipe", "link", "socket", "."] {
            assert!(read_bounded(&folder.path().join(name), 1 << 16).is_err(), "{name}");
        }
        for device in ["/dev/zero", "/dev/null"] {
            assert_eq!(read_bounded(Path::new(device), 1 << 16).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
