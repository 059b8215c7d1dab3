//! What does not work at the moment, said on the screens as long as it lasts: a disk without room, a run whose files cannot
//! be read, rows that were passed over. Nothing here is kept: what still holds at the next start is found again.

use crate::studio::{Studio, lock};
use alidade_domain::Problem;

/// Faults of the queue itself.
pub(crate) const QUEUE: &str = "the queue";
/// Faults of the backups.
pub(crate) const BACKUP: &str = "the backup";
/// Runs that cannot be shown.
pub(crate) const RUNS: &str = "the runs";

impl Studio {
    /// Says a fault of a run, or of the program where it belongs to no run; `None` takes it back.
    pub(crate) fn note(&self, place: &str, problem: Option<Problem>) {
        let mut faults = lock(&self.faults);
        match problem {
            Some(problem) => faults.insert(place.to_owned(), problem),
            None => faults.remove(place),
        };
    }

    /// What is wrong with a run now, beside what ended it.
    pub(crate) fn fault_of(&self, run: &str) -> Option<Problem> {
        lock(&self.faults).get(run).cloned()
    }

    /// What is wrong with the program as a whole.
    pub(crate) fn own_faults(&self) -> Vec<Problem> {
        let faults = lock(&self.faults);
        let mut found: Vec<Problem> =
            [QUEUE, BACKUP, RUNS].iter().filter_map(|place| faults.get(*place).cloned()).collect();
        for (what, count) in self.store.unreadable() {
            let message = format!("{count} of the stored {what} cannot be read and are left out of the lists.");
            found.push(Problem::internal(message).hint(
                "They remain in the database. Close Alidade and run `alidade restore --list` to see the backups.",
            ));
        }
        found
    }
}
