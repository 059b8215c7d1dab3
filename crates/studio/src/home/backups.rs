//! When the database is backed up, and how a person restores a backup. There is one backup per day, which is replaced during
//! the day; the store keeps the last three days.

use crate::home::database;
use crate::home::faults::BACKUP;
use crate::studio::{Studio, now_ms};
use alidade_domain::{Problem, ProblemCode, wording};
use alidade_jobs::files::durable::{OPENING, create_folder, file_problem};
use alidade_store::Store;
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Maximum time between backups while things change.
const HOURLY: Duration = Duration::from_secs(3_600);
/// Minimum time between two backups.
const PAUSE: Duration = Duration::from_secs(60);
const DAY_MS: u64 = 86_400_000;

/// When the last backup was made.
#[derive(Default)]
pub(crate) struct Backups {
    last: Option<Instant>,
}

impl Studio {
    /// Makes a backup at the start, an hour after the last one, or a minute after it if one is `wanted`; only if something
    /// has changed.
    pub(crate) fn back_up_when_due(&self, backups: &mut Backups) {
        let wait = if self.backup_wanted.load(std::sync::atomic::Ordering::Relaxed) { PAUSE } else { HOURLY };
        if backups.last.is_some_and(|last| last.elapsed() < wait) {
            return;
        }
        backups.last = Some(Instant::now());
        let path = database(&self.configuration.home);
        if !changed(&path) {
            return;
        }
        self.backup_wanted.store(false, std::sync::atomic::Ordering::Relaxed);
        let made = self.store.back_up(&format!("{}.db", day(now_ms()))).map_err(Problem::from);
        crate::home::restrict(&path.with_file_name("backups"), true);
        self.note(BACKUP, made.err());
    }

    /// Requests a backup, because something valuable was made.
    pub(crate) fn want_backup(&self) {
        self.backup_wanted.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// A backup as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupView {
    /// Its name, which begins with its date.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// True if it is intact and can be restored.
    pub sound: bool,
}

/// The restored backup, and where the old database is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Name of the backup.
    pub backup: String,
    /// The old database, if there was one.
    pub kept: Option<PathBuf>,
}

/// The backups in a data folder, newest first.
pub fn list_backups(home: &Path) -> Vec<BackupView> {
    let view = |record: alidade_store::BackupRecord| BackupView {
        name: record.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        bytes: record.bytes,
        sound: record.sound,
    };
    Store::backups(&database(home)).into_iter().map(view).collect()
}

/// Replaces the database by a backup: the named one, or the newest intact one. The old file is kept beside it.
///
/// # Errors
/// When the program is running, no backup is intact, or something cannot be written.
pub fn restore_backup(home: &Path, name: Option<&str>) -> Result<Restored, Problem> {
    create_folder(home)?;
    let lock = home.join("queue.lock");
    let lock = File::create(&lock).map_err(|error| file_problem(OPENING, &lock, &error))?;
    if lock.try_lock().is_err() {
        return Err(Problem::new(
            ProblemCode::Conflict,
            wording!("Alidade is running and uses the database.", "Alidade 正在运行并使用数据库。"),
        )
        .hint(wording!(
            "Close its window or end `alidade serve`, then try again.",
            "请关闭它的窗口或结束“alidade serve”，然后再试。"
        )));
    }
    let backups = list_backups(home);
    let found = match name {
        Some(name) => backups.iter().find(|backup| backup.name == name),
        None => backups.iter().find(|backup| backup.sound),
    };
    let Some(backup) = found.filter(|backup| backup.sound) else {
        let message = match name {
            Some(name) => wording!(
                "There is no intact backup “{name}” in {place}.",
                "{place} 中没有完好的备份“{name}”。",
                place = home.join("backups").display()
            ),
            None => wording!(
                "There is no intact backup in {place}.",
                "{place} 中没有完好的备份。",
                place = home.join("backups").display()
            ),
        };
        return Err(Problem::new(ProblemCode::NotFound, message).hint(wording!(
            "`alidade restore --list` shows what is there.",
            "“alidade restore --list”会列出现有的备份。"
        )));
    };
    let (path, aside) = (database(home), format!(".damaged-{}-{:x}", day(now_ms()), now_ms() % DAY_MS));
    let kept = path.exists().then(|| path.with_file_name(format!("alidade.db{aside}")));
    Store::restore(&path, &home.join("backups").join(&backup.name), &aside)?;
    Ok(Restored { backup: backup.name.clone(), kept })
}

/// Whether the database was written after its newest backup.
fn changed(path: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    let wal = path.with_file_name("alidade.db-wal");
    let written = modified(path).max(modified(&wal));
    let newest = std::fs::read_dir(path.with_file_name("backups")).into_iter().flatten().flatten();
    let copied = newest.filter_map(|entry| entry.metadata().and_then(|data| data.modified()).ok()).max();
    copied.is_none() || written > copied
}

/// The date (UTC) of a time in milliseconds since 1970, as in 2026-11-28.
fn day(ms: u64) -> String {
    // Years are counted from March, so that leap days come last.
    let days = ms / DAY_MS + 719_468;
    let (era, rest) = (days / 146_097, days % 146_097);
    let year = (rest - rest / 1_460 + rest / 36_524 - rest / 146_096) / 365;
    let of_year = rest - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, carried) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{of_month:02}", era * 400 + year + carried)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_named_as_in_the_calendar() {
        for (ms, name) in [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (1_798_675_199_999, "2026-12-30"),
            (1_798_761_600_000, "2027-01-01"),
            (4_107_456_000_000, "2100-02-28"),
            (4_107_542_400_000, "2100-03-01"),
        ] {
            assert_eq!(day(ms), name);
        }
    }

    #[test]
    fn a_backup_is_put_back_and_the_damaged_file_is_kept() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(restore_backup(home.path(), None).unwrap_err().code, ProblemCode::NotFound);
        let path = database(home.path());
        let store = Store::open(&path).unwrap();
        store.back_up("2026-01-01.db").unwrap();
        store.back_up("2026-01-02.db").unwrap();
        drop(store);
        std::fs::write(&path, "damaged").unwrap();
        std::fs::write(home.path().join("backups/2026-01-02.db"), "damaged too").unwrap();
        let sound: Vec<bool> = list_backups(home.path()).iter().map(|backup| backup.sound).collect();
        assert_eq!(sound, [false, true]);
        let held = File::create(home.path().join("queue.lock")).unwrap();
        held.lock().unwrap();
        assert_eq!(restore_backup(home.path(), None).unwrap_err().code, ProblemCode::Conflict);
        drop(held);
        let restored = restore_backup(home.path(), None).unwrap();
        assert_eq!(restored.backup, "2026-01-01.db");
        assert_eq!(std::fs::read_to_string(restored.kept.unwrap()).unwrap(), "damaged");
        assert!(Store::open(&path).is_ok());
    }
}
