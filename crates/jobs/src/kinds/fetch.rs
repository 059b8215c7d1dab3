//! A stage that copies a model into the data folder: its files are copied one by one and the hash of the weights is compared
//! with the expected one. The content is inspected afterwards, in a child process, before the model is listed.

use super::cost::estimate_of;
use super::progress::ProgressReporter;
use super::{Ask, Job, foreign, record};
use crate::files::durable::{READING, WRITING, create_folder, file_problem, sync_folder};
use crate::machine::folder_bytes;
use crate::train::estimate::{Tell, wanted};
use crate::train::execute::Outside;
use crate::train::pace::Gauge;
use alidade_domain::{
    Artifact, EventKind, FetchPlan, Phase, Planning, Problem, ProblemCode, Stage, StageEstimate, StagePlan, StopReason,
    Words, WorkUnit, why, wording,
};
use alidade_model::{file_sha256, model_sha256};
use serde_json::json;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

pub(super) struct Fetch;

/// The folder of the copy.
const FETCHED: &str = "fetched";
/// Extension of an incomplete file.
const PART: &str = "part";
/// Bytes that are copied between two checks for a request.
const CHUNK: usize = 4 << 20;

impl Job for Fetch {
    fn kind(&self) -> &'static str {
        "fetch"
    }

    fn check(&self, stage: &Stage) -> Vec<Problem> {
        let Stage::Fetch(recipe) = stage else { return vec![foreign(self, stage.kind())] };
        let mut problems = Vec::new();
        let source = Path::new(&recipe.source);
        if !source.join("config.json").is_file() {
            problems.push(
                Problem::input(wording!(
                    "“{source}” is not a model folder: it has no config.json.",
                    "“{source}”不是模型文件夹：其中没有 config.json。",
                    source = recipe.source
                ))
                .hint(Words::new(
                    "Name a folder with config.json, tokenizer.json and model.safetensors.",
                    "请指定含有 config.json、tokenizer.json 和 model.safetensors 的文件夹。",
                ))
                .at("source"),
            );
        }
        let hexadecimal = |hash: &String| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if recipe.sha256.as_ref().is_some_and(|hash| !hexadecimal(hash)) {
            problems.push(
                Problem::input(Words::new(
                    "“sha256” must be a hash of 64 hexadecimal digits.",
                    "“sha256”必须是 64 位十六进制的哈希值。",
                ))
                .at("sha256"),
            );
        }
        problems
    }

    fn estimate(&self, ask: &Ask, _: &mut Gauge, tell: Tell) -> Result<StageEstimate, Problem> {
        let Ask::Fetch(ask) = ask else { return Err(foreign(self, ask.kind())) };
        wanted(tell(Planning::Preparing))?;
        let mut estimate = estimate_of(self.kind(), ask.stage, None);
        estimate.disk_bytes = folder_bytes(Path::new(&ask.recipe.source));
        estimate.memory_bytes = crate::machine::program_bytes() + 2 * CHUNK as u64;
        Ok(estimate)
    }

    fn run(&self, plan: &StagePlan, folder: &Path, outside: &mut Outside) -> Result<(), Problem> {
        let StagePlan::Fetch(own) = plan else { return Err(foreign(self, plan.kind())) };
        record::started(0, outside)?;
        let place = folder.join(FETCHED);
        create_folder(&place)?;
        if let Some(reason) = copy_all(own, &place, outside)? {
            return outside.observer.observe(match reason {
                StopReason::Discard => EventKind::Discarded,
                StopReason::Pause | StopReason::StopAndSave => EventKind::Paused { step: 0 },
            });
        }
        outside.observer.observe(EventKind::Stage { phase: Phase::Saving })?;
        let sha256 = model_sha256(&place).map_err(|error| Problem::from(error).at("source"))?;
        if own.sha256.as_ref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&sha256)) {
            return Err(differs(own, &sha256));
        }
        let artifacts = vec![Artifact::Model { folder: FETCHED.to_owned(), sha256, name: Some(own.name.clone()) }];
        record::write(plan, folder, &artifacts, &json!({"bytes": folder_bytes(&place)}))?;
        outside.observer.observe(EventKind::Finished { steps: 1, artifacts })
    }
}

fn differs(plan: &FetchPlan, found: &str) -> Problem {
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    let wanted = plan.sha256.as_deref().unwrap_or_default();
    Problem::new(
        ProblemCode::Conflict,
        wording!(
            "The weights in {path} are not the expected ones: their SHA-256 is {found}…, but {wanted}… was asked for.",
            "{path} 中的权重与要求的不符：其 SHA-256 是 {found}…，而要求的是 {wanted}…。",
            path = plan.source.display(),
            found = short(found),
            wanted = short(wanted)
        ),
    )
    .hint(Words::new(
        "Name the right folder, or remove the hash to accept this one.",
        "请指定正确的文件夹，或去掉哈希值以接受这一个。",
    ))
    .at("sha256")
}

/// The files of a model folder: those at its top level, and named templates. Links are not followed.
fn files(source: &Path) -> Result<Vec<(PathBuf, u64)>, Problem> {
    let mut found = Vec::new();
    for below in ["", "additional_chat_templates"] {
        let folder = source.join(below);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(_) if !below.is_empty() => continue,
            Err(error) => return Err(file_problem(READING, &folder, &error).at("source")),
        };
        for entry in entries.flatten() {
            let Ok(data) = entry.path().symlink_metadata() else { continue };
            if data.is_file() {
                found.push((Path::new(below).join(entry.file_name()), data.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies the missing files; returns the request that ended it, if one did.
fn copy_all(plan: &FetchPlan, place: &Path, outside: &mut Outside) -> Result<Option<StopReason>, Problem> {
    let files = files(&plan.source)?;
    let total = files.iter().map(|(_, bytes)| bytes).sum();
    let is_there = |name: &Path, bytes: u64| {
        let (from, to) = (plan.source.join(name), place.join(name));
        let same = std::fs::metadata(&to).is_ok_and(|data| data.len() == bytes);
        same && file_sha256(&from).is_ok_and(|hash| file_sha256(&to).is_ok_and(|found| found == hash))
    };
    let (there, missing): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, bytes)| is_there(name, *bytes));
    let mut done = there.iter().map(|(_, bytes)| bytes).sum();
    let mut reporter = ProgressReporter::begin(Phase::Fetching, WorkUnit::Bytes, done, outside)?;
    reporter.progress(done, total, outside)?;
    for (name, _) in missing {
        let (from, to) = (plan.source.join(&name), place.join(&name));
        let part = to.with_extension(PART);
        let failed = |error: std::io::Error| {
            Problem::internal(wording!(
                "Copying {path} failed: {why}.",
                "复制 {path} 失败：{why}。";
                why = why(&error); path = from.display()
            ))
        };
        if let Some(folder) = to.parent() {
            create_folder(folder)?;
        }
        let mut reader = File::open(&from).map_err(|error| file_problem(READING, &from, &error).at("source"))?;
        let mut writer = File::create(&part).map_err(|error| file_problem(WRITING, &part, &error))?;
        let mut chunk = vec![0; CHUNK];
        loop {
            if let Some(reason) = reporter.request(outside) {
                return Ok(Some(reason));
            }
            let read = reader.read(&mut chunk).map_err(failed)?;
            if read == 0 {
                break;
            }
            writer.write_all(&chunk[..read]).map_err(|error| file_problem(WRITING, &part, &error))?;
            done += read as u64;
            reporter.progress(done, total, outside)?;
        }
        writer.sync_all().map_err(|error| file_problem(WRITING, &part, &error))?;
        std::fs::rename(&part, &to).map_err(failed)?;
        sync_folder(place).map_err(failed)?;
    }
    Ok(None)
}
