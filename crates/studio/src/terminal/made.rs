//! Recognises what the program itself has made in a run folder, by its marks, and removes it. Everything else there belongs
//! to somebody else: it is never removed, emptied or overwritten.

use alidade_domain::{Plan, Problem, ProblemCode, RunEvent, Wording, why, wording};
use alidade_jobs::train::provenance;
use alidade_jobs::worker::PLAN;
use alidade_model::{adapter_sha256, file_sha256, model_sha256};
use alidade_train::session_files;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Files that a run writes.
pub(crate) const FILES: [&str; 7] =
    [PLAN, "rows.jsonl", "log.jsonl", "events.jsonl", "run.json", "before.json", "after.json"];
/// Folders that runs write; each run writes only one of the first two.
const FOLDERS: [&str; 3] = [ADAPTER, MODEL, CHECKPOINTS];
const ADAPTER: &str = "adapter";
const MODEL: &str = "model";
const CHECKPOINTS: &str = "checkpoints";
/// Files of a result, if its mark does not list them.
const OF_A_RESULT: [&str; 4] = ["adapter_config.json", "adapter_model.safetensors", "alidade.json", "README.md"];

/// All names that a run writes to; a run that trains every weight makes a model, others an adapter.
pub(crate) fn names(full: bool) -> Vec<&'static str> {
    let other = if full { ADAPTER } else { MODEL };
    FOLDERS.into_iter().filter(|name| *name != other).chain(FILES).collect()
}

/// A folder in which the program has worked.
pub(crate) struct Made {
    folder: PathBuf,
    /// The plan of the last run there, if readable.
    pub(crate) plan: Option<Plan>,
    record: Option<Value>,
}

impl Made {
    /// `None` if the folder has no mark of ours.
    pub(crate) fn find(folder: &Path) -> Option<Self> {
        let plan = read::<Plan>(&folder.join(PLAN));
        let record = read::<Value>(&folder.join("run.json"));
        let record = record.filter(|record| record["hashes"]["adapter"].is_string());
        let written = record.as_ref().and_then(|record| serde_json::from_value(record["plan"].clone()).ok());
        let marked = plan.is_some()
            || written.is_some()
            || read::<Value>(&folder.join("checkpoints/plan.json")).is_some_and(|owner| owner["facts"].is_object())
            || own_events(&folder.join("events.jsonl"));
        marked.then(|| Self { folder: folder.to_owned(), plan: plan.or(written), record })
    }

    /// The existing result, or whatever is in its place.
    pub(crate) fn result(&self, full: bool) -> Option<&'static str> {
        let written = names(full);
        let there = |name: &&str| self.folder.join(name).exists() && (written.contains(name) || self.own_result(name));
        [ADAPTER, MODEL].into_iter().find(there)
    }

    /// Files under the names of a run that no run has made.
    fn foreign(&self, full: bool) -> Vec<String> {
        let (mut found, written) = (Vec::new(), names(full));
        for name in [ADAPTER, MODEL] {
            let place = self.folder.join(name);
            if !place.exists() {
                continue;
            }
            if !self.own_result(name) {
                // Names that this run does not write may stay.
                found.extend(written.contains(&name).then(|| name.to_owned()));
                continue;
            }
            let listed = provenance::files(&place);
            let known = listed.or_else(|| (name == ADAPTER).then(|| OF_A_RESULT.map(str::to_owned).to_vec()));
            let others = entries(&place).into_iter().filter(|entry| known.as_ref().is_some_and(|k| !k.contains(entry)));
            found.extend(others.map(|other| format!("{name}/{other}")));
        }
        let own = session_files(&self.folder).unwrap_or_default();
        let checkpoints = self.folder.join(CHECKPOINTS);
        let others = entries(&checkpoints).into_iter().filter(|entry| !own.contains(&checkpoints.join(entry)));
        found.extend(others.map(|other| format!("{CHECKPOINTS}/{other}")));
        found
    }

    /// True if a result has our mark, or its weights are those in `run.json`.
    fn own_result(&self, name: &str) -> bool {
        let place = self.folder.join(name);
        let recorded = self.record.as_ref().and_then(|record| record["hashes"]["adapter"].as_str());
        let found = || if name == ADAPTER { adapter_sha256(&place) } else { model_sha256(&place) };
        provenance::is_marked(&place) || recorded.is_some_and(|recorded| found().is_ok_and(|found| found == recorded))
    }

    /// Files under the names of a run with foreign content; they are renamed instead of removed.
    fn changed(&self) -> Vec<&'static str> {
        let changed = |name: &&str| {
            let path = self.folder.join(name);
            path.is_file()
                && match *name {
                    "rows.jsonl" => {
                        let recorded = self.plan.as_ref().map(|plan| plan.rows_sha256.as_str());
                        recorded.is_some_and(|recorded| file_sha256(&path).ok().as_deref() != Some(recorded))
                    }
                    "log.jsonl" => first_line(&path).is_some_and(|line| line["step"].as_u64().is_none()),
                    "events.jsonl" => first_line(&path).is_some() && !own_events(&path),
                    "run.json" => self.record.is_none(),
                    _ => false,
                }
        };
        FILES.into_iter().filter(changed).collect()
    }

    /// Removes what earlier runs made; announced through `say`.
    ///
    /// # Errors
    /// When it contains foreign files, or the system refuses.
    pub(crate) fn remove(&self, full: bool, say: &mut dyn FnMut(&Wording)) -> Result<(), Problem> {
        let foreign = self.foreign(full);
        if !foreign.is_empty() {
            let message = wording!(
                "Nothing in {folder} was removed: {foreign} was not made by this program.",
                "{folder} 中没有删除任何内容：{foreign} 不是本程序生成的。";
                foreign = Wording::names(foreign); folder = self.folder.display()
            );
            return Err(Problem::new(ProblemCode::Conflict, message)
                .hint(wording!(
                    "Move it elsewhere, or choose another output_dir.",
                    "请把它移到别处，或换一个 output_dir。"
                ))
                .at("output_dir"));
        }
        let changed = self.changed();
        for name in &changed {
            let aside = set_aside(&self.folder.join(name))?;
            say(&wording!(
                "{name} is not what the program wrote; it was kept as {aside}.",
                "{name} 不是程序写出的内容，已保留为 {aside}。"
            ));
        }
        // The mark is removed last, so that a partly cleared folder is still recognised as ours.
        let order = FOLDERS.iter().chain(FILES.iter().rev());
        let ours = |name: &&str| ![ADAPTER, MODEL].contains(name) || self.own_result(name);
        let there: Vec<&str> = order.copied().filter(|name| self.folder.join(name).exists()).filter(ours).collect();
        if there.is_empty() {
            return Ok(());
        }
        say(&wording!(
            "Removing from {folder}: {there}.",
            "从 {folder} 删除：{there}。";
            there = Wording::names(&there); folder = self.folder.display()
        ));
        for name in there {
            let path = self.folder.join(name);
            let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(|error| {
                Problem::internal(wording!(
                    "Removing {path} failed: {why}.",
                    "删除 {path} 失败：{why}。";
                    why = why(&error); path = path.display()
                ))
                .at("output_dir")
            })?;
        }
        Ok(())
    }
}

/// Renames a file in its folder and returns the new name.
///
/// # Errors
/// When the system refuses.
pub(crate) fn set_aside(path: &Path) -> Result<String, Problem> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (stem, ending) = name.split_once('.').unwrap_or((&name, ""));
    let free = (1..).map(|number| format!("{stem}.aside-{number}.{ending}")).find(|name| {
        let place = path.with_file_name(name);
        !place.exists() && !place.is_symlink()
    });
    let free = free.unwrap_or_default();
    std::fs::rename(path, path.with_file_name(&free)).map_err(|error| {
        Problem::internal(wording!(
            "Renaming {path} failed: {why}.",
            "重命名 {path} 失败：{why}。";
            why = why(&error); path = path.display()
        ))
    })?;
    Ok(free)
}

fn own_events(path: &Path) -> bool {
    first_line(path).is_some_and(|line| serde_json::from_value::<RunEvent>(line).is_ok())
}

/// The first line as JSON (`null` when it is none), `None` without a line.
fn first_line(path: &Path) -> Option<Value> {
    let mut line = Vec::new();
    BufReader::new(std::fs::File::open(path).ok()?).read_until(b'\n', &mut line).ok()?;
    (!line.is_empty()).then(|| serde_json::from_slice(&line).unwrap_or(Value::Null))
}

fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    if path.is_symlink() {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
