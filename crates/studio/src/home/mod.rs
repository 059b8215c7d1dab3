//! The data folder: readable only by the person, and never treated as new when its database is lost. Leftovers are only
//! cleaned up at the start.

pub(crate) mod backups;
pub(crate) mod configuration;
pub(crate) mod faults;
pub(crate) mod removal;
pub(crate) mod settings;
pub(crate) mod verify;
pub(crate) mod wake;

use crate::studio::Studio;
use alidade_domain::{Problem, ProblemCode, Words, wording};
use alidade_jobs::files::durable::{create_folder, remove_unfinished};
use alidade_jobs::worker::is_alive;
use std::path::{Path, PathBuf};

/// All names of ours in the data folder.
const OURS: &[&str] = &[
    "runs",
    "datasets",
    "uploads",
    "exports",
    "backups",
    "alidade.db",
    "alidade.db-wal",
    "alidade.db-shm",
    "queue.lock",
];

/// The database in a data folder.
pub(crate) fn database(home: &Path) -> PathBuf {
    home.join("alidade.db")
}

/// Creates the data folder and what every start needs in it.
///
/// # Errors
/// When it cannot be created, or has lost its database.
pub(crate) fn prepare(home: &Path) -> Result<(), Problem> {
    create_folder(home)?;
    refuse_lost_database(home)?;
    for name in ["runs", "datasets"] {
        create_folder(&home.join(name))?;
    }
    Ok(())
}

/// A folder with runs or data sets has had a database: an empty new one would hide them all.
fn refuse_lost_database(home: &Path) -> Result<(), Problem> {
    let path = database(home);
    if path.metadata().is_ok_and(|data| data.len() > 0) {
        return Ok(());
    }
    let entries = |name: &str| std::fs::read_dir(home.join(name)).into_iter().flatten().flatten().count();
    let (runs, sets, backups) = (entries("runs"), entries("datasets"), entries("backups"));
    if runs + sets + backups == 0 {
        return Ok(());
    }
    let what = if path.exists() { Words::new("is empty", "是空的") } else { Words::new("is missing", "缺失") };
    let message = wording!(
        "The database alidade.db in {home} {what}, although {runs} runs and {sets} data sets are beside it. Nothing was changed.",
        "{home} 中的数据库 alidade.db {what}，但旁边有 {runs} 次运行和 {sets} 个数据集。没有做任何改动。";
        what; home = home.display()
    );
    let problem = Problem::new(ProblemCode::Conflict, message);
    let problem = if backups == 0 {
        problem.hint(wording!("Put the file back from a copy of your own.", "请用您自己的副本恢复该文件。"))
    } else {
        problem.hint(wording!(
            "Run `alidade restore`: it replaces the database with the newest intact backup.",
            "请运行“alidade restore”：它会用最新的完好备份替换数据库。"
        ))
    };
    Err(problem.hint(wording!(
        "To start over, move the folders runs, datasets and backups away, or set ALIDADE_HOME to another folder.",
        "如要重新开始，请移走文件夹 runs、datasets 和 backups，或把 ALIDADE_HOME 设为另一个文件夹。"
    )))
}

/// Removes the access rights of other users from the data folder and from our files in it.
pub(crate) fn tighten(home: &Path) {
    restrict(home, false);
    OURS.iter().for_each(|name| restrict(&home.join(name), true));
}

/// As [`tighten`], for one folder and everything below it. Failures are ignored: such files are not ours, and the data
/// folder itself keeps others out.
#[cfg(unix)]
pub(crate) fn restrict(path: &Path, deep: bool) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(data) = std::fs::symlink_metadata(path) else { return };
    if data.is_symlink() {
        return;
    }
    let mode = data.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & !0o077));
    }
    if deep && data.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            restrict(&entry.path(), true);
        }
    }
}

/// On other systems a person's folders are private by default.
#[cfg(not(unix))]
pub(crate) fn restrict(_: &Path, _: bool) {}

impl Studio {
    /// Removes incomplete files of killed processes; only at the start of the one program that runs the queue.
    pub(crate) fn clear_leftovers(&self) {
        let home = &self.configuration.home;
        for entry in std::fs::read_dir(home.join("uploads")).into_iter().flatten().flatten() {
            // Uploads from before this program started are leftovers; newer ones may be in progress.
            if made_ms(&entry.file_name().to_string_lossy()).is_none_or(|made| made < self.opened_ms) {
                // If this fails, the next start tries again.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        remove_unfinished(home, false);
        for name in ["runs", "datasets"] {
            remove_unfinished(&home.join(name), false);
            for entry in std::fs::read_dir(home.join(name)).into_iter().flatten().flatten() {
                // A worker that outlived the program may be writing files.
                if !is_alive(&entry.path()) {
                    remove_unfinished(&entry.path(), false);
                }
            }
        }
    }
}

/// When a folder was created, from the identifier that is its name.
fn made_ms(name: &str) -> Option<u64> {
    u64::from_str_radix(name.split_once('-')?.0, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_has_lost_its_database_is_refused_and_a_fresh_one_is_not() {
        let home = tempfile::tempdir().unwrap();
        prepare(home.path()).unwrap();
        std::fs::write(database(home.path()), "").unwrap();
        prepare(home.path()).unwrap();
        std::fs::create_dir(home.path().join("runs/r1")).unwrap();
        let said = prepare(home.path()).unwrap_err();
        assert!(said.message.en.contains("is empty, although 1 runs"), "{said}");
        std::fs::remove_file(database(home.path())).unwrap();
        assert!(prepare(home.path()).unwrap_err().message.en.contains("is missing"));
        std::fs::create_dir(home.path().join("backups")).unwrap();
        std::fs::write(home.path().join("backups/2026-01-01.db"), "x").unwrap();
        assert!(prepare(home.path()).unwrap_err().hints[0].en.contains("alidade restore"));
    }

    #[cfg(unix)]
    #[test]
    fn others_lose_their_rights_and_links_are_not_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (home, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        let file = home.path().join("runs/r/log.jsonl");
        create_folder(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "").unwrap();
        symlink(theirs.path(), home.path().join("runs/link")).unwrap();
        for (path, mode) in
            [(home.path(), 0o755), (&file, 0o644), (file.parent().unwrap(), 0o755), (theirs.path(), 0o755)]
        {
            open(path, mode);
        }
        tighten(home.path());
        assert_eq!((mode(home.path()), mode(&file), mode(file.parent().unwrap())), (0o700, 0o600, 0o700));
        assert_eq!(mode(theirs.path()), 0o755);
    }
}
