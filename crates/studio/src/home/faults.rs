//! Current faults, which screens show as long as they last: a full disk, a run with unreadable files, rows that were
//! skipped. They are not stored: a persistent fault is found again at the next start.

use crate::studio::{Studio, lock};
use alidade_domain::{Problem, Wording, wording};

/// Faults of the queue itself.
pub(crate) const QUEUE: &str = "the queue";
/// Faults of the backups.
pub(crate) const BACKUP: &str = "the backup";
/// Runs that cannot be shown.
pub(crate) const RUNS: &str = "the runs";

fn listed(table: &str) -> Wording {
    match table {
        "models" => wording!("models", "模型"),
        "datasets" => wording!("data sets", "数据集"),
        "chats" => wording!("chats", "对话"),
        "experiments" => wording!("experiments", "实验"),
        "runs" => wording!("runs", "运行"),
        "adapters" => wording!("adapters", "适配器"),
        other => Wording::name(other),
    }
}

impl Studio {
    /// Sets the fault of a run or of a part of the program; `None` clears it.
    pub(crate) fn note(&self, place: &str, problem: Option<Problem>) {
        let mut faults = lock(&self.faults);
        match problem {
            Some(problem) => faults.insert(place.to_owned(), problem),
            None => faults.remove(place),
        };
    }

    /// The current fault of a run, apart from the problem that ended it.
    pub(crate) fn fault_of(&self, run: &str) -> Option<Problem> {
        lock(&self.faults).get(run).cloned()
    }

    /// Faults of the program as a whole.
    pub(crate) fn own_faults(&self) -> Vec<Problem> {
        let faults = lock(&self.faults);
        let mut found: Vec<Problem> =
            [QUEUE, BACKUP, RUNS].iter().filter_map(|place| faults.get(*place).cloned()).collect();
        for (what, count) in self.store.unreadable() {
            let message = wording!(
                "{count} of the stored {what} cannot be read and are left out of the lists.",
                "已存的{what}中有 {count} 个无法读取，未列出。";
                what = listed(what)
            );
            found.push(Problem::internal(message).hint(wording!(
                "They remain in the database. Close Alidade and run `alidade restore --list` to see the backups.",
                "它们仍在数据库中。请关闭 Alidade 并运行“alidade restore --list”查看备份。"
            )));
        }
        found
    }
}
