//! What the person set for the whole program: a small file in the data folder. An unreadable file counts as empty, because
//! every setting has a default.

use crate::studio::{Studio, lock};
use crate::views::{AppInfo, Held};
use alidade_domain::{Problem, RunState, Wording, wording};
use alidade_jobs::files::durable::write_private;
use alidade_jobs::machine::{memory_of, resident_bytes};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file in the data folder.
const SETTINGS: &str = "settings.json";

/// Settings of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// Threads that runs compute with; all when absent.
    pub(crate) threads: Option<usize>,
}

impl Settings {
    /// The settings in a data folder.
    pub(crate) fn of(home: &Path) -> Self {
        let text = std::fs::read(home.join(SETTINGS)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

impl Studio {
    /// Threads that the next run computes with.
    pub(crate) fn threads(&self) -> usize {
        self.chosen_threads().unwrap_or(self.configuration.threads)
    }

    /// The number that the person set, as far as the machine has so many.
    pub(crate) fn chosen_threads(&self) -> Option<usize> {
        lock(&self.settings).threads.map(|threads| threads.clamp(1, self.configuration.threads))
    }

    /// Sets the number of threads of the runs that start from now on; `None` for all of the machine.
    ///
    /// # Errors
    /// When the machine does not have so many, or the setting cannot be written.
    pub fn set_threads(&self, threads: Option<usize>) -> Result<AppInfo, Problem> {
        let available = self.configuration.threads;
        if let Some(threads) = threads.filter(|threads| !(1..=available).contains(threads)) {
            let message = wording!(
                "{threads} threads were asked for; this machine has {available}.",
                "要求使用 {threads} 个线程，而本机只有 {available} 个。"
            );
            let hint = wording!("Choose 1 to {available}.", "请选择 1 到 {available}。");
            return Err(Problem::input(message).hint(hint).at("threads"));
        }
        let settings = Settings { threads };
        let text =
            serde_json::to_string(&settings).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
        write_private(&self.configuration.home.join(SETTINGS), text.as_bytes())?;
        *lock(&self.settings) = settings;
        Ok(self.app_info())
    }

    /// Gives back the memory of models that chats have loaded and are not answering with.
    pub fn free_memory(&self) -> AppInfo {
        self.unload_all();
        self.app_info()
    }

    /// What holds memory now: the program, models that chats have loaded, and the processes of runs.
    pub(crate) fn held(&self) -> Vec<Held> {
        let program = Held { what: Wording::name("Alidade"), bytes: resident_bytes(), can_free: false };
        let chat = |(name, bytes): (String, u64)| {
            let what = wording!("{name} (for chats)", "{name}（用于对话）");
            Held { what, bytes, can_free: true }
        };
        let runs = self.store.unsettled_runs().unwrap_or_default();
        let runs = runs.into_iter().filter(|run| run.state == RunState::Running).filter_map(|run| {
            let bytes = memory_of(self.pid_of(&run).ok()??);
            let title = self.store.experiment(&run.experiment).ok()?.title;
            let what = wording!("Run of “{title}”", "“{title}”的运行");
            (bytes > 0).then_some(Held { what, bytes, can_free: false })
        });
        [program].into_iter().chain(self.held_by_chats().into_iter().map(chat)).chain(runs).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::House;

    #[test]
    fn threads_are_bounded_by_the_machine_and_survive_a_restart() {
        let house = House::new();
        let studio = house.open();
        assert_eq!(studio.set_threads(Some(9)).unwrap_err().field.as_deref(), Some("threads"));
        let told = studio.set_threads(Some(1)).unwrap();
        assert_eq!((told.threads, told.available_threads), (1, 1));
        assert!(told.held[0].bytes > 0);
        drop(studio);
        assert_eq!(super::Settings::of(&house.home()).threads, Some(1));
        std::fs::write(house.home().join("settings.json"), "no JSON").unwrap();
        assert_eq!(house.open().threads(), 1);
    }
}
