//! Files that survive a power cut: whatever a row of the database, an exit status or a screen refers to is on the disk
//! first. A file is written under a temporary name, synced, renamed, and its folder synced; a folder likewise, as a whole. A
//! full disk and a read-only folder are reported as such.

use alidade_domain::{Problem, ProblemCode, Wording, Words, why, wording};
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Extension of temporary files and folders.
const UNFINISHED: &str = "tmp";

/// Writes a file atomically and durably: after a power cut it is complete. A link at `path` is replaced, never followed; a
/// pipe or a device is written to directly.
///
/// # Errors
/// When it cannot be written; a full disk is reported as such.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    replace(path, bytes, false).map_err(|error| file_problem(WRITING, path, &error))
}

/// As [`write_durably`], readable only by the person.
///
/// # Errors
/// As [`write_durably`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    replace(path, bytes, true).map_err(|error| file_problem(WRITING, path, &error))
}

/// Creates a folder and its parents durably.
///
/// # Errors
/// When it cannot be created.
pub fn create_folder(path: &Path) -> Result<(), Problem> {
    make(path).map_err(|error| file_problem(Words::new("Making the folder", "创建文件夹"), path, &error))
}

/// Lets `fill` write a temporary folder, syncs it and renames it to `place`: it is complete or absent. An earlier folder
/// there is replaced only after that.
///
/// # Errors
/// When `fill` fails or something cannot be written; nothing is left behind then.
pub fn write_folder(place: &Path, fill: impl FnOnce(&Path) -> Result<(), Problem>) -> Result<(), Problem> {
    let temporary = beside(place);
    let failed = |error: Error| file_problem(WRITING, place, &error);
    create_folder(&temporary)?;
    let filled = fill(&temporary).and_then(|()| {
        sync_tree(&temporary).map_err(failed)?;
        if place.exists() {
            std::fs::remove_dir_all(place).map_err(failed)?;
        }
        std::fs::rename(&temporary, place).map_err(failed)?;
        sync_folder(parent(place)).map_err(failed)
    });
    if filled.is_err() {
        // A leftover only costs disk space; the first error is the one to report.
        let _ = std::fs::remove_dir_all(&temporary);
    }
    filled
}

/// Removes a folder and its content durably; a missing folder is not an error.
pub fn remove_folder(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_folder(parent(path))),
    }
}

/// Removes temporary files and folders that a killed process left in `folder`, or only its `folders`, where another program
/// may be writing a file.
pub fn remove_unfinished(folder: &Path, folders: bool) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !is_unfinished(&name) {
            continue;
        }
        // A leftover only costs disk space.
        let _ = match entry.file_type() {
            Ok(kind) if kind.is_dir() => std::fs::remove_dir_all(entry.path()),
            _ if folders => Ok(()),
            _ => std::fs::remove_file(entry.path()),
        };
    }
}

/// True for names as [`beside`] makes them (".plan.json.123-4.tmp").
fn is_unfinished(name: &str) -> bool {
    let middle = || name.strip_prefix('.')?.strip_suffix(UNFINISHED)?.strip_suffix('.')?.rsplit_once('.');
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    middle()
        .and_then(|(_, maker)| maker.split_once('-'))
        .is_some_and(|(process, count)| number(process) && number(count))
}

/// Syncs the entries of a folder where the system allows it; Windows does so by itself.
///
/// # Errors
/// When the system refuses.
pub fn sync_folder(path: &Path) -> Result<(), Error> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// What is done with a file or folder, for [`file_problem`].
pub const READING: Words = Words::new("Reading", "读取");
/// As [`READING`].
pub const WRITING: Words = Words::new("Writing", "写入");
/// As [`READING`].
pub const OPENING: Words = Words::new("Opening", "打开");
/// As [`READING`].
pub const MAKING: Words = Words::new("Making", "创建");
/// As [`READING`].
pub const REPLACING: Words = Words::new("Replacing", "替换");

/// The problem of a file or folder that could not be read, written or created.
pub fn file_problem(doing: Words, path: &Path, error: &Error) -> Problem {
    let message = wording!(
        "{doing} {path} failed: {why}.",
        "{doing} {path} 失败：{why}。";
        doing, why = why(error); path = path.display()
    );
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let doing = Wording { en: doing.en.to_lowercase(), zh: doing.zh.to_owned() };
            let message = wording!(
                "There is no room left on the disk: {doing} {path} failed.",
                "磁盘空间不足：{doing} {path} 失败。";
                doing; path = path.display()
            );
            Problem::new(ProblemCode::DiskFull, message).hint(Words::new(
                "Free some disk space and try again; nothing that was saved is lost.",
                "请腾出一些磁盘空间再试；已保存的内容不会丢失。",
            ))
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Problem::input(message).hint(Words::new(
            "Make the folder writable for you, or choose another; ALIDADE_HOME names the folder for everything.",
            "请让该文件夹对您可写，或另选一个；ALIDADE_HOME 指定存放一切的文件夹。",
        )),
        _ => Problem::internal(message),
    }
}

fn replace(path: &Path, bytes: &[u8], private: bool) -> Result<(), Error> {
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return std::fs::write(path, bytes);
    }
    let temporary = beside(path);
    let written = fresh(&temporary, private)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&temporary);
    }
    written.and_then(|()| sync_folder(parent(path)))
}

fn fresh(path: &Path, private: bool) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    options.open(path)
}

fn make(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    make(parent(path))?;
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
        other => other?,
    }
    sync_folder(parent(path))
}

/// Syncs every file and folder below a folder.
fn sync_tree(folder: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            // Windows only syncs files that are open for writing.
            File::options().write(true).open(entry.path())?.sync_all()?;
        }
    }
    sync_folder(folder)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name beside `path` that nobody else uses.
fn beside(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy());
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    parent(path).join(format!(".{name}.{}-{count}.{UNFINISHED}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/plan.json");
        create_folder(parent(&path)).unwrap();
        write_durably(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(parent(&path)).unwrap().count(), 1);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777, 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_replaced_and_what_it_names_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (theirs, link) = (folder.path().join("theirs"), folder.path().join("link"));
        std::fs::write(&theirs, "theirs").unwrap();
        std::os::unix::fs::symlink(&theirs, &link).unwrap();
        write_durably(&link, b"ours").unwrap();
        assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "theirs");
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "ours");
    }

    #[test]
    fn a_folder_that_cannot_be_filled_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("adapter");
        let fill = |text: &'static str| move |folder: &Path| write_durably(&folder.join("weights"), text.as_bytes());
        write_folder(&place, fill("old")).unwrap();
        let failing = |folder: &Path| fill("new")(folder).and(Err(Problem::internal(Wording::name("no"))));
        assert_eq!(write_folder(&place, failing).unwrap_err().message.en, "no");
        assert_eq!(std::fs::read_to_string(place.join("weights")).unwrap(), "old");
        write_folder(&place, fill("new")).unwrap();
        assert_eq!(std::fs::read_to_string(place.join("weights")).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn leftovers_go_and_other_hidden_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(".adapter.7-0.tmp/deep")).unwrap();
        for name in [".plan.json.7-1.tmp", ".keep", "notes.tmp", ".notes.tmp", ".a.b.tmp", ".a.1-.tmp"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        remove_unfinished(folder.path(), true);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 6);
        remove_unfinished(folder.path(), false);
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".a.1-.tmp", ".a.b.tmp", ".keep", ".notes.tmp", "notes.tmp"]);
    }

    #[test]
    fn a_full_disk_is_told_as_one() {
        let problem = file_problem(WRITING, Path::new("a"), &Error::from(ErrorKind::StorageFull));
        assert_eq!(problem.code, ProblemCode::DiskFull);
        assert!(problem.message.en.starts_with("There is no room left on the disk: writing a failed"), "{problem}");
        assert!(!problem.hints.is_empty());
    }
}
