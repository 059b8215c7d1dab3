//! Backups of the database, made with SQLite's backup API and checked before they count, and restoring one. What a person
//! deletes is deleted in the backups as well.

use crate::Store;
use crate::error::{Result, StoreError};
use crate::opening;
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Number of backups of each kind that are kept.
const KEPT: usize = 3;
/// Folder beside the database.
const FOLDER: &str = "backups";
/// Suffix of SQLite's rollback journal.
const JOURNAL: &str = "-journal";
/// Prefix of the backups that are made before a migration.
const BEFORE: &str = "before-version-";

/// A backup of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRecord {
    /// Its path.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// True if it is intact and readable by this program.
    pub sound: bool,
}

impl Store {
    /// Makes a backup called `name`, replacing an older one of that name, checks it, and keeps only the newest three. Names
    /// begin with the date, so they are compared as text.
    ///
    /// # Errors
    /// When it cannot be written; earlier backups stay.
    pub fn back_up(&self, name: &str) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        // A connection of its own, so that others can continue meanwhile.
        let source = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        copy(&source, &folder(path), name)?;
        prune(path, |name| !name.starts_with(BEFORE));
        Ok(())
    }

    /// The backups beside a database, newest first, those from before a migration last.
    pub fn backups(path: &Path) -> Vec<BackupRecord> {
        let mut found = files(path);
        found.sort_by_key(|path| (name_of(path).starts_with(BEFORE), std::cmp::Reverse(name_of(path))));
        let record = |path: PathBuf| BackupRecord {
            bytes: path.metadata().map_or(0, |data| data.len()),
            sound: sound(&path).is_ok(),
            path,
        };
        found.into_iter().map(record).collect()
    }

    /// Replaces a database by a backup. The old file, and SQLite's files beside it, are renamed with the suffix `aside` and
    /// kept.
    ///
    /// # Errors
    /// When the backup is damaged or something cannot be written; the old file then stays in place.
    pub fn restore(path: &Path, backup: &Path, aside: &str) -> Result<()> {
        sound(backup)?;
        let failed = |error: std::io::Error| StoreError::File { path: path.to_owned(), found: error };
        let fresh = beside(path, ".restored");
        std::fs::copy(backup, &fresh)
            .and_then(|_| File::options().write(true).open(&fresh)?.sync_all())
            .map_err(failed)?;
        for ending in [JOURNAL, "-wal", "-shm", ""] {
            let (old, kept) = (beside(path, ending), beside(path, &format!("{aside}{ending}")));
            if old.exists() {
                std::fs::rename(&old, &kept).map_err(failed)?;
            }
        }
        std::fs::rename(&fresh, path).map_err(failed)?;
        sync(path.parent().unwrap_or(Path::new("."))).map_err(failed)
    }

    /// Applies a deletion to the backups as well; a backup that cannot be changed is removed.
    pub(crate) fn delete_in_backups(&self, statement: &str, id: &str) {
        let Some(path) = &self.path else { return };
        for copy in files(path) {
            let delete = || -> rusqlite::Result<()> {
                let connection = connect(&copy)?;
                connection.pragma_update(None, "secure_delete", true)?;
                connection.pragma_update(None, "foreign_keys", true)?;
                // A backup from before the table existed has nothing to delete.
                match connection.execute(statement, [id]) {
                    Err(rusqlite::Error::SqliteFailure(_, Some(words))) if words.contains("no such table") => Ok(()),
                    other => other.map(drop),
                }
            };
            if delete().is_err() {
                // Better no copy than one with what was to be forgotten; if that fails too, the person was told all along
                // that copies exist.
                let _ = clear(&copy).and_then(|()| sync(&folder(path)));
            }
        }
    }
}

/// Makes a backup before a migration.
pub(crate) fn before_migration(connection: &Connection, path: &Path, version: usize) -> Result<()> {
    copy(connection, &folder(path), &format!("{BEFORE}{version:04}.db"))?;
    prune(path, |name| name.starts_with(BEFORE));
    Ok(())
}

fn copy(source: &Connection, folder: &Path, name: &str) -> Result<()> {
    let (place, unfinished) = (folder.join(name), folder.join(format!("{name}.unfinished")));
    let failed = |error: std::io::Error| StoreError::File { path: folder.to_owned(), found: error };
    if !folder.is_dir() {
        std::fs::create_dir(folder).map_err(failed)?;
        sync(folder.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    }
    let made = || -> Result<()> {
        clear(&unfinished).map_err(failed)?;
        let mut target = Connection::open(&unfinished)?;
        Backup::new(source, &mut target)?.run_to_completion(i32::MAX, Duration::from_millis(20), None)?;
        // A single file, without a write-ahead log beside it.
        target.pragma_update(None, "journal_mode", "DELETE")?;
        opening::check(&target)?;
        drop(target);
        File::options().write(true).open(&unfinished).and_then(|file| file.sync_all()).map_err(failed)?;
        if settle(&place).is_err() {
            clear(&place).and_then(|()| sync(folder)).map_err(failed)?;
        }
        std::fs::rename(&unfinished, &place).map_err(failed)?;
        sync(folder).map_err(failed)
    };
    made().inspect_err(|_| {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&unfinished);
    })
}

/// Opens a backup for changes, durably: a commit survives a power cut, including the removal of the journal.
fn connect(copy: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(copy)?;
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    Ok(connection)
}

/// Lets SQLite roll back an interrupted change of a backup. A leftover journal would be applied to the next backup of that
/// name, and would make this one unreadable.
fn settle(copy: &Path) -> rusqlite::Result<()> {
    if !beside(copy, JOURNAL).exists() {
        return Ok(());
    }
    connect(copy)?.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// Removes a backup and SQLite's files beside it; the backup first, because without its journal it would be read in its
/// current state.
fn clear(copy: &Path) -> std::io::Result<()> {
    for ending in ["", JOURNAL, "-wal", "-shm"] {
        match std::fs::remove_file(beside(copy, ending)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn sound(path: &Path) -> Result<()> {
    settle(path)?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    opening::inspect(&connection)
}

fn prune(database: &Path, kind: impl Fn(&str) -> bool) {
    let mut found: Vec<PathBuf> = files(database).into_iter().filter(|path| kind(&name_of(path))).collect();
    found.sort_by_key(|path| name_of(path));
    for old in &found[..found.len().saturating_sub(KEPT)] {
        // One backup too many does no harm.
        let _ = clear(old);
    }
}

fn files(database: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(database)).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ending| ending == "db")).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn folder(database: &Path) -> PathBuf {
    database.with_file_name(FOLDER)
}

pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_file_name(format!("{}{ending}", name_of(path)))
}

/// Syncs the entries of a folder; Windows does so by itself.
pub(crate) fn sync(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shelf;

    fn open(folder: &tempfile::TempDir) -> (PathBuf, Store) {
        let path = folder.path().join("a.db");
        let store = Store::open(&path).unwrap();
        (path, store)
    }

    #[test]
    fn three_copies_are_kept_and_one_brings_everything_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, store) = open(&folder);
        store.put(Shelf::Chats, "a", &"kept", 1).unwrap();
        for day in ["2026-01-01.db", "2026-01-02.db", "2026-01-03.db", "2026-01-04.db", "2026-01-04.db"] {
            store.back_up(day).unwrap();
        }
        drop(store);
        let copies = Store::backups(&path);
        let names: Vec<String> = copies.iter().map(|copy| name_of(&copy.path)).collect();
        assert_eq!(names, ["2026-01-04.db", "2026-01-03.db", "2026-01-02.db"]);
        assert!(copies.iter().all(|copy| copy.sound && copy.bytes > 0));
        std::fs::write(&path, "damaged").unwrap();
        assert!(Store::open(&path).is_err());
        Store::restore(&path, &copies[0].path, ".damaged").unwrap();
        assert_eq!(Store::open(&path).unwrap().one::<String>(Shelf::Chats, "a").unwrap(), "kept");
        assert_eq!(std::fs::read_to_string(folder.path().join("a.db.damaged")).unwrap(), "damaged");
    }

    #[test]
    fn a_damaged_copy_is_told_and_not_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, store) = open(&folder);
        store.back_up("2026-01-01.db").unwrap();
        drop(store);
        let copy = Store::backups(&path).remove(0).path;
        let bytes = std::fs::read(&copy).unwrap();
        std::fs::write(&copy, &bytes[..bytes.len() / 2]).unwrap();
        assert!(!Store::backups(&path)[0].sound);
        let before = std::fs::read(&path).unwrap();
        assert!(Store::restore(&path, &copy, ".damaged").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn what_is_deleted_is_in_no_file_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let (_, store) = open(&folder);
        store.put(Shelf::Chats, "a", &"canary-7161".repeat(900), 1).unwrap();
        store.put(Shelf::Chats, "b", &"other", 1).unwrap();
        store.back_up("2026-01-01.db").unwrap();
        store.remove(Shelf::Chats, "a").unwrap();
        for path in [folder.path(), &folder.path().join("backups")] {
            for entry in std::fs::read_dir(path).unwrap().flatten().filter(|entry| entry.path().is_file()) {
                let bytes = std::fs::read(entry.path()).unwrap();
                let found = bytes.windows(11).any(|window| window == b"canary-7161");
                assert!(!found, "{}", entry.path().display());
            }
        }
        assert_eq!(Store::backups(&folder.path().join("a.db")).len(), 1);
        assert_eq!(store.one::<String>(Shelf::Chats, "b").unwrap(), "other");
    }

    /// A backup after a kill during a deletion: the change half made, and the journal that undoes it.
    fn half_deleted(copy: &Path) {
        let connection = Connection::open(copy).unwrap();
        connection.execute_batch("PRAGMA cache_size = 1; BEGIN; DELETE FROM chats").unwrap();
        let kept: Vec<(PathBuf, Vec<u8>)> =
            ["", JOURNAL].map(|ending| (beside(copy, ending), std::fs::read(beside(copy, ending)).unwrap())).into();
        drop(connection);
        for (path, bytes) in kept {
            std::fs::write(path, bytes).unwrap();
        }
        assert!(beside(copy, JOURNAL).metadata().unwrap().len() > 4_096);
    }

    #[test]
    fn a_deletion_that_broke_off_in_a_copy_spoils_neither_it_nor_the_next_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, store) = open(&folder);
        for number in 0..40 {
            store.put(Shelf::Chats, &number.to_string(), &"long".repeat(2_000), 1).unwrap();
        }
        store.back_up("2026-01-01.db").unwrap();
        let copy = Store::backups(&path).remove(0).path;
        half_deleted(&copy);
        assert!(Store::backups(&path)[0].sound);
        half_deleted(&copy);
        store.put(Shelf::Chats, "new", &"new", 1).unwrap();
        store.back_up("2026-01-01.db").unwrap();
        drop(store);
        assert!(Store::backups(&path)[0].sound);
        Store::restore(&path, &copy, ".old").unwrap();
        assert_eq!(Store::open(&path).unwrap().all::<String>(Shelf::Chats).unwrap().len(), 41);
    }

    #[test]
    fn a_copy_is_made_before_an_update() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let earlier = rusqlite::Connection::open(&path).unwrap();
        earlier.execute_batch(include_str!("../tests/fixtures/version-8.sql")).unwrap();
        drop(earlier);
        drop(Store::open(&path).unwrap());
        let copies = Store::backups(&path);
        let name = format!("before-version-{:04}.db", crate::migrations::MIGRATIONS.len());
        assert_eq!((copies.len(), name_of(&copies[0].path)), (1, name));
        assert!(copies[0].sound);
    }
}
