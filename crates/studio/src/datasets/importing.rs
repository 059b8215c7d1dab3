//! Imports an untrusted data file in a child process with little memory, which writes the rows to a given file and returns a
//! summary. Not here: the meaning of rows (`data`), and where a data set is stored (`datasets`).

use crate::confined::{self, Job, Limits, Link, request_of};
use crate::datasets::ROWS;
use crate::datasets::data_file::import_rows;
use crate::home::restrict;
use crate::studio::{Studio, lock, now_ms};
use alidade_data::write_row;
use alidade_domain::{Dataset, Imported, Problem, Wording, why, wording};
use alidade_jobs::files::durable::{MAKING, WRITING, file_problem, write_folder, write_private};
use alidade_jobs::train::execute::read_rows;
use alidade_model::file_sha256;
use alidade_store::DatasetRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Name of the task.
pub(crate) const TASK: &str = "import";
/// Time limit for any file, plus the expected bytes per second of a large one.
const SECONDS: u64 = 60;
const BYTES_PER_SECOND: u64 = 1_600_000;

#[derive(Serialize, Deserialize)]
struct Request {
    path: PathBuf,
    /// The new file for the rows; none to only count them.
    rows: Option<PathBuf>,
}

/// Reads a data file from the terminal: its summary, without its rows.
///
/// # Errors
/// When it cannot be read, has no usable row, or is malicious.
pub fn inspect_file(path: &Path) -> Result<Imported, Problem> {
    import_apart(&own_program()?, path, None, &AtomicBool::new(false))
}

/// Reads a data file from the terminal, rows and all.
///
/// # Errors
/// As [`inspect_file`].
pub fn import_checked(path: &Path) -> Result<Dataset, Problem> {
    let passing = Passing::new()?;
    let found = import_apart(&own_program()?, path, Some(&passing.rows()), &AtomicBool::new(false))?;
    Ok(found.with(read_rows(&passing.rows())?))
}

/// Reads a data file in a child, which writes its rows into a new file.
///
/// # Errors
/// As [`inspect_file`]; when the rows cannot be written; when the person cancels it. Written rows must then be discarded.
pub(crate) fn import_apart(
    program: &Path,
    path: &Path,
    rows: Option<&Path>,
    stop: &AtomicBool,
) -> Result<Imported, Problem> {
    let bytes = std::fs::metadata(path).map_or(0, |data| data.len());
    let limits = Limits { seconds: SECONDS + bytes / BYTES_PER_SECOND, ..Limits::SMALL };
    let what = match path.file_name().map(|name| name.to_string_lossy()) {
        Some(name) => wording!("Reading {name}", "读取 {name}"),
        None => wording!("Reading the file", "读取文件"),
    };
    let job = Job { program, task: TASK, what, field: "dataset", limits, stop };
    confined::run(&job, &Request { path: path.to_owned(), rows: rows.map(Path::to_owned) }, &mut |_| ())
}

impl Studio {
    /// Imports a file into the folder of a new data set. The folder is complete or absent, and is written before its row in
    /// the database.
    pub(crate) fn import_as(
        &self,
        id: String,
        name: String,
        path: &Path,
        handle: &str,
    ) -> Result<DatasetRecord, Problem> {
        let importing = Importing::begin(self, handle);
        let folder = self.dataset_folder(&id);
        let mut kept = None;
        write_folder(&folder, |temporary| {
            let rows = temporary.join(ROWS);
            let found = import_apart(&self.configuration.program, path, Some(&rows), &importing.stop)?;
            let issues = serde_json::to_vec(&found.issues)
                .map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
            write_private(&temporary.join("issues.json"), &issues)?;
            kept = Some((found, file_sha256(&rows)?));
            Ok(())
        })?;
        restrict(&folder, false);
        let (found, sha256) =
            kept.ok_or_else(|| Problem::internal(wording!("The import returned no result.", "导入没有返回结果。")))?;
        let view = DatasetRecord {
            id,
            name,
            title: None,
            kind: found.kind,
            summary: found.summary,
            remarks: found.remarks,
            sha256,
            bundled: false,
            flagged: false,
            licence: None,
            imported_ms: now_ms(),
            removed: false,
        };
        self.store.put_document(&view, view.imported_ms)?;
        Ok(view)
    }

    /// Cancels the import of a file; nothing of it is kept.
    pub fn stop_import(&self, handle: &str) {
        if let Some(stop) = lock(&self.importing).get(handle) {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Guard that marks a file as being imported until it is dropped.
struct Importing<'a> {
    studio: &'a Studio,
    handle: String,
    stop: Arc<AtomicBool>,
}

impl<'a> Importing<'a> {
    fn begin(studio: &'a Studio, handle: &str) -> Self {
        let stop = lock(&studio.importing).entry(handle.to_owned()).or_default().clone();
        Self { studio, handle: handle.to_owned(), stop }
    }
}

impl Drop for Importing<'_> {
    fn drop(&mut self) {
        lock(&self.studio.importing).remove(&self.handle);
    }
}

/// The task in the child.
pub(crate) fn task(request: Value, _: &mut Link) -> Result<Value, Problem> {
    let Request { path, rows } = request_of(request)?;
    let found = match rows {
        None => import_rows(&path, &mut |_| Ok(()))?,
        Some(rows) => {
            let failed = |error: std::io::Error| file_problem(WRITING, &rows, &error);
            let mut out = BufWriter::new(fresh(&rows).map_err(failed)?);
            let found = import_rows(&path, &mut |row| write_row(&row, &mut out))?;
            out.flush().and_then(|()| out.get_ref().sync_all()).map_err(failed)?;
            found
        }
    };
    serde_json::to_value(found).map_err(|error| Problem::internal(Wording::name(error.to_string())))
}

/// A new file that nobody else can read.
fn fresh(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A temporary folder of this process, for the file that the child writes rows to.
#[derive(Debug)]
struct Passing(PathBuf);

impl Passing {
    /// Picks a free name: a killed process may have left a folder with this process id.
    fn new() -> Result<Self, Problem> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("alidade-rows-{}-{count}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    restrict(&path, false);
                    return Ok(Self(path));
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(file_problem(MAKING, &path, &error)),
            }
        }
    }

    fn rows(&self) -> PathBuf {
        self.0.join(ROWS)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // A leftover only costs disk space, and the system cleans its temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn own_program() -> Result<PathBuf, Problem> {
    std::env::current_exe().map_err(|error| {
        Problem::internal(wording!(
            "Finding the program's own file failed: {why}.",
            "查找程序自身的文件失败：{why}。";
            why = why(&error)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leftover_of_a_killed_process_with_this_number_is_passed_over() {
        let first = Passing::new().unwrap();
        let number: u64 = first.0.to_string_lossy().rsplit('-').next().unwrap().parse().unwrap();
        let name = |count: u64| std::env::temp_dir().join(format!("alidade-rows-{}-{count}", std::process::id()));
        let leftovers: Vec<PathBuf> = (number + 1..number + 40).map(name).collect();
        let made: Vec<&PathBuf> = leftovers.iter().filter(|path| std::fs::create_dir(path).is_ok()).collect();
        let next = Passing::new().unwrap();
        assert!(!made.contains(&&next.0) && next.0 != first.0, "{next:?}");
        made.into_iter().for_each(|path| std::fs::remove_dir(path).unwrap());
    }
}
