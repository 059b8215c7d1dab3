//! The lock of a run folder: only one program at a time works there, the app's worker or a terminal. The system releases the
//! lock however its holder ends, so a leftover lock file has no meaning.

use alidade_domain::{Problem, ProblemCode, Words, why, wording};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

/// The lock file; whoever trains in the folder holds its lock.
pub const LOCK: &str = "worker.lock";
/// Retries, because [`is_held`] takes the lock for a moment.
const ATTEMPTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(10);

/// The lock of a folder, released when dropped.
#[derive(Debug)]
pub struct RunLock(#[allow(dead_code, reason = "held, never read")] File);

impl RunLock {
    /// Takes the lock of an existing folder.
    ///
    /// # Errors
    /// When another program holds it, or the file cannot be opened.
    pub fn take(folder: &Path) -> Result<Self, Problem> {
        let path = folder.join(LOCK);
        let failed = |error: std::io::Error| {
            Problem::internal(wording!(
                "Opening {path} failed: {why}.",
                "打开 {path} 失败：{why}。";
                why = why(&error); path = path.display()
            ))
        };
        if path.is_symlink() {
            let message = wording!(
                "{path} is a link; files are not written through links.",
                "{path} 是链接；本程序不通过链接写入文件。",
                path = path.display()
            );
            return Err(
                Problem::new(ProblemCode::Conflict, message).hint(Words::new("Remove the link.", "请删除该链接。"))
            );
        }
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(failed)?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let message = wording!(
                        "Another program is working in {folder}.",
                        "另一个程序正在 {folder} 中工作。",
                        folder = folder.display()
                    );
                    return Err(Problem::new(ProblemCode::Conflict, message)
                        .hint(Words::new("Wait until it has finished.", "请等它结束。")));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Ok(Self(file))
    }
}

/// True while a program works in the folder.
pub fn is_held(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(file) => file.try_lock().is_err(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_free_again_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_held(folder.path()));
        let first = RunLock::take(folder.path()).unwrap();
        assert!(is_held(folder.path()));
        let problem = RunLock::take(folder.path()).unwrap_err();
        assert_eq!(problem.code, ProblemCode::Conflict);
        drop(first);
        assert!(!is_held(folder.path()));
        RunLock::take(folder.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), folder.path().join(LOCK)).unwrap();
        assert!(RunLock::take(folder.path()).unwrap_err().message.en.contains("link"));
        assert!(!folder.path().join("elsewhere").exists());
    }
}
