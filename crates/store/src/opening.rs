//! Checks on a file before it is used as the database: owner, version, integrity. Nothing is written before all checks have
//! passed, so a refused file does not change by a byte.

use crate::error::{Result, StoreError};
use crate::migrations::{APPLICATION_ID, MIGRATIONS, version};
use alidade_domain::{Wording, wording};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};
use std::time::Duration;

/// How long a writer waits for another process.
const PATIENCE: Duration = Duration::from_secs(5);
/// Tables of every version from the second on.
const OLDEST: &str = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('experiments', 'runs')";

/// Refuses a file of another program or a later version, or a damaged one.
pub(crate) fn inspect(connection: &Connection) -> Result<()> {
    connection.busy_timeout(PATIENCE)?;
    // Closing the last connection checkpoints the log, which would change a refused file.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    identify(connection).map_err(in_words)?;
    check(connection).map_err(in_words)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// Settings of a connection: a commit is durable when it returns, and deleted data is erased from the file.
pub(crate) fn settle_in(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(())
}

/// Checks the integrity of every page of a database.
pub(crate) fn check(connection: &Connection) -> Result<()> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Corrupt { found: Wording::name(found) }) }
}

fn identify(connection: &Connection) -> Result<()> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let version = version(connection)?;
    let owner = count("PRAGMA application_id")?;
    let tables = count("SELECT COUNT(*) FROM sqlite_schema")?;
    let ours = count(OLDEST)? == 2;
    let known = MIGRATIONS.len();
    // Databases of early versions have no application id, but our tables.
    if (owner != 0 && owner != APPLICATION_ID) || (owner == 0 && tables > 0 && !ours && version != 1) {
        return Err(StoreError::Foreign {
            found: wording!("it belongs to another program", "它属于另一个程序")
        });
    }
    match usize::try_from(version) {
        Err(_) => Err(StoreError::Corrupt { found: wording!("its version is {version}", "其版本是 {version}") }),
        Ok(found) if found > known => Err(StoreError::Newer { found, known }),
        Ok(found) if found > 1 && !ours => {
            Err(StoreError::Corrupt { found: wording!("tables are missing", "缺少一些表") })
        }
        Ok(_) => Ok(()),
    }
}

/// Translates SQLite's error about an unreadable file.
fn in_words(error: StoreError) -> StoreError {
    let StoreError::Sqlite(rusqlite::Error::SqliteFailure(inner, _)) = &error else { return error };
    match inner.code {
        ErrorCode::NotADatabase => {
            StoreError::Foreign { found: wording!("it is no SQLite database", "它不是 SQLite 数据库") }
        }
        ErrorCode::DatabaseCorrupt => StoreError::Corrupt { found: Wording::name(error.to_string()) },
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use std::path::{Path, PathBuf};

    fn refused(path: &Path) -> StoreError {
        let before = std::fs::read(path).unwrap();
        let error = Store::open(path).err().expect("it was opened");
        assert_eq!(std::fs::read(path).unwrap(), before, "it was changed");
        error
    }

    fn made(folder: &Path, name: &str, sql: &str) -> PathBuf {
        let path = folder.join(name);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    }

    #[test]
    fn what_is_not_ours_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = [
            made(folder.path(), "no-number", "CREATE TABLE notes (text TEXT)"),
            made(folder.path(), "wal", "PRAGMA journal_mode = WAL; CREATE TABLE notes (text TEXT)"),
            made(folder.path(), "number", "PRAGMA application_id = 1234; CREATE TABLE runs (id TEXT)"),
        ];
        for path in theirs {
            assert!(matches!(refused(&path), StoreError::Foreign { .. }), "{}", path.display());
        }
        let text = folder.path().join("text");
        std::fs::write(&text, "a shopping list, long enough to be taken for the first page of a database".repeat(9))
            .unwrap();
        assert!(matches!(refused(&text), StoreError::Foreign { .. }));
    }

    #[test]
    fn absurd_versions_are_told_in_words() {
        let folder = tempfile::tempdir().unwrap();
        for (version, words) in [("-1", "−1"), ("-2147483648", "damaged"), ("2147483647", "2147483647")] {
            let path = folder.path().join(version);
            drop(Store::open(&path).unwrap());
            Connection::open(&path).unwrap().execute_batch(&format!("PRAGMA user_version = {version}")).unwrap();
            let said = refused(&path).to_string().replace('-', "−");
            assert!(said.contains(words), "{said}");
        }
        let path = made(
            folder.path(),
            "hollow",
            &format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 7"),
        );
        assert!(matches!(refused(&path), StoreError::Corrupt { .. }));
    }

    #[test]
    fn a_database_of_before_the_number_is_taken_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(Store::open(&path).unwrap());
        let ask = || -> i64 {
            let connection = Connection::open(&path).unwrap();
            connection.query_row("PRAGMA application_id", [], |row| row.get(0)).unwrap()
        };
        Connection::open(&path).unwrap().execute_batch("PRAGMA application_id = 0").unwrap();
        drop(Store::open(&path).unwrap());
        assert_eq!(ask(), APPLICATION_ID);
    }

    /// Random bytes are overwritten: the file is opened completely or refused, and a refused one is not changed.
    #[test]
    fn damage_is_found_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole.db");
        let store = Store::open(&whole).unwrap();
        for number in 0..400 {
            store.put(crate::Shelf::Chats, &number.to_string(), &"word ".repeat(60), number).unwrap();
        }
        drop(store);
        let bytes = std::fs::read(&whole).unwrap();
        let (mut refused_times, mut state) = (0, 17_u64);
        for round in 0..60 {
            let mut damaged = bytes.clone();
            for _ in 0..40 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let place = (state >> 33) as usize % damaged.len();
                damaged[place] ^= (state >> 20) as u8 | 1;
            }
            let path = folder.path().join(format!("{round}.db"));
            std::fs::write(&path, &damaged).unwrap();
            if Store::open(&path).is_err() {
                refused_times += 1;
                assert_eq!(std::fs::read(&path).unwrap(), damaged);
            }
        }
        assert!(refused_times >= 40, "only {refused_times} of 60 were found");
    }
}
