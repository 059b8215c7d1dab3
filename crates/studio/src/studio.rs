//! The facade over all use cases, shared by all hosts; its methods are in one file per noun.

use crate::chats::answering::Slot;
use crate::datasets::row_index::RowIndex;
use crate::home::configuration::Configuration;
use crate::home::settings::Settings;
use crate::home::verify::Stamp;
use crate::home::wake::Bell;
use crate::views::{AppInfo, DatasetProfile};
use crate::{create_folder, datasets, home, models};
use alidade_domain::{Problem, ProblemCode, wording};
use alidade_store::ModelRecord;
use alidade_store::Store;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// An open installation.
pub struct Studio {
    pub(crate) configuration: Configuration,
    pub(crate) store: Store,
    pub(crate) bundled: Vec<ModelRecord>,
    /// When this program started, in milliseconds since 1970: older files in its working folders are leftovers.
    pub(crate) opened_ms: u64,
    handles: Mutex<BTreeMap<String, PathBuf>>,
    counter: AtomicU64,
    /// Loaded stacks, the most recently used last.
    pub(crate) speakers: Mutex<Vec<(String, Slot)>>,
    /// Chats that are being answered, with the flag that stops them.
    pub(crate) answering: Mutex<BTreeMap<String, Arc<AtomicBool>>>,
    /// Held while a step is measured: two at once would slow each other down.
    pub(crate) measuring: Mutex<()>,
    /// Files that are being imported, by handle, with the flag that stops each.
    pub(crate) importing: Mutex<BTreeMap<String, Arc<AtomicBool>>>,
    /// Held while a chat is read, changed and written back.
    pub(crate) chat_writes: Mutex<()>,
    /// Cached estimates by everything that they depend on.
    pub(crate) estimates: Mutex<BTreeMap<String, alidade_domain::StageEstimate>>,
    /// Name of the processor, which does not change.
    processor: String,
    /// Settings of the program.
    pub(crate) settings: Mutex<Settings>,
    /// Cached profiles of data sets, by the hashes of the set and of the model.
    pub(crate) profiles: Mutex<BTreeMap<String, DatasetProfile>>,
    /// Cached comparisons of whole experiments, each with the state of the runs that it was computed from.
    pub(crate) overalls: Mutex<BTreeMap<String, (String, Vec<alidade_domain::Evaluation>)>>,
    /// Verified files, by path and hash.
    pub(crate) verified: Mutex<BTreeMap<(PathBuf, String), Stamp>>,
    /// Current faults, by run or part of the program.
    pub(crate) faults: Mutex<BTreeMap<String, Problem>>,
    /// Held while this program adds events to a run's file.
    pub(crate) event_writes: Mutex<()>,
    /// Row indexes of data sets, by the hash of their content.
    pub(crate) row_indexes: Mutex<BTreeMap<String, Arc<RowIndex>>>,
    /// Wakes the queue when there may be something to start.
    pub(crate) wake: Bell,
    /// True if something valuable was made since the last backup.
    pub(crate) backup_wanted: AtomicBool,
}

impl Studio {
    /// Opens the data folder and prepares it; writes the bundled data sets if they are incomplete.
    ///
    /// # Errors
    /// When the database cannot be opened, is damaged or lost.
    pub fn open(configuration: Configuration) -> Result<Arc<Self>, Problem> {
        home::prepare(&configuration.home)?;
        let store = Store::open(&home::database(&configuration.home))?;
        store.repair_runs()?;
        let settings = Settings::of(&configuration.home);
        let studio = Self {
            store,
            bundled: models::bundled(&configuration.resources),
            configuration,
            opened_ms: now_ms(),
            handles: Mutex::default(),
            counter: AtomicU64::new(0),
            speakers: Mutex::default(),
            answering: Mutex::default(),
            measuring: Mutex::default(),
            importing: Mutex::default(),
            chat_writes: Mutex::default(),
            estimates: Mutex::default(),
            processor: alidade_jobs::machine::processor(),
            settings: Mutex::new(settings),
            profiles: Mutex::default(),
            overalls: Mutex::default(),
            verified: Mutex::default(),
            faults: Mutex::default(),
            event_writes: Mutex::default(),
            row_indexes: Mutex::default(),
            wake: Bell::default(),
            backup_wanted: AtomicBool::new(false),
        };
        datasets::install_bundled(&studio)?;
        home::tighten(&studio.configuration.home);
        Ok(Arc::new(studio))
    }

    /// The program and the machine.
    pub fn app_info(&self) -> AppInfo {
        AppInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: self.machine(),
            home: self.configuration.home.display().to_string(),
            threads: self.threads(),
            available_threads: self.configuration.threads,
            memory_bytes: alidade_jobs::machine::total_memory_bytes(),
            held: self.held(),
            problems: self.own_faults(),
        }
    }

    /// Operating system and processor, in words.
    pub(crate) fn machine(&self) -> String {
        let threads = format!("{} threads", self.configuration.threads);
        let parts = [std::env::consts::OS, std::env::consts::ARCH, &self.processor, &threads];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
    }

    /// The data folder.
    pub fn home(&self) -> &Path {
        &self.configuration.home
    }

    /// Free space on the disk of the data folder, if known.
    pub fn free_disk_bytes(&self) -> Option<u64> {
        Some(alidade_jobs::machine::free_disk_bytes(&self.configuration.home)).filter(|bytes| *bytes > 0)
    }

    /// Creates a handle for a file or folder that the person picked or dropped; commands take handles, never paths.
    pub fn hand_out(&self, path: PathBuf) -> String {
        let handle = self.fresh_id("h");
        lock(&self.handles).insert(handle.clone(), path);
        handle
    }

    /// A new, empty folder below the data folder.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn fresh_folder(&self, kind: &str) -> Result<PathBuf, Problem> {
        let folder = self.configuration.home.join(kind).join(self.fresh_id(""));
        create_folder(&folder)?;
        home::restrict(&self.configuration.home.join(kind), false);
        home::restrict(&folder, false);
        Ok(folder)
    }

    /// Releases a handle; an uploaded file is removed.
    pub(crate) fn take_back(&self, handle: &str) {
        let uploads = self.configuration.home.join("uploads");
        let mut handles = lock(&self.handles);
        let Some(folder) = handles.get(handle).and_then(|path| path.parent()).map(std::path::Path::to_owned) else {
            return;
        };
        if folder.parent() == Some(uploads.as_path()) {
            handles.remove(handle);
            // If this fails, the file is removed at the next start.
            let _ = std::fs::remove_dir_all(folder);
        }
    }

    /// The path behind a handle.
    ///
    /// # Errors
    /// When it was not created in this session.
    pub fn path_of(&self, handle: &str) -> Result<PathBuf, Problem> {
        lock(&self.handles).get(handle).cloned().ok_or_else(|| {
            Problem::new(ProblemCode::NotFound, wording!("The chosen file is no longer known.", "所选文件已失效。"))
                .hint(wording!("Choose it again.", "请重新选择。"))
                .at("handle")
        })
    }

    /// An identifier that was never used before.
    pub(crate) fn fresh_id(&self, prefix: &str) -> String {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        format!("{prefix}{:x}-{:x}{count:x}", now_ms(), std::process::id())
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as u64)
}

/// Locks only protect plain data, so a poisoned lock is safe to use.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
