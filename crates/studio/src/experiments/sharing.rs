//! Experiments as files. A saved file has the hashes of models, adapters and data sets; when it is opened, they are
//! compared, and an input with another identifier here is found by its hash. The file format is in `domain`.

use crate::experiments::budget;
use crate::studio::Studio;
use crate::views::ExperimentSummary;
use alidade_domain::{
    AdapterSource, DatasetSource, ExperimentFile, ModelSource, Problem, ProblemCode, RunState, ScorerSource, Stage,
    Words, given, wording,
};
use alidade_jobs::files::durable::write_durably;
use alidade_train::method;
use std::collections::BTreeMap;
use std::path::Path;

/// Resolves the inputs of an experiment file.
struct Given<'a> {
    /// The folder of the file; absent if its paths are not trusted.
    base: Option<&'a Path>,
    sha256: &'a BTreeMap<String, String>,
    /// Paths that were resolved already.
    known: BTreeMap<String, String>,
}

impl Studio {
    /// An experiment as a file that can be opened elsewhere.
    ///
    /// # Errors
    /// When there is none of this id, or nothing is known of what a stage names.
    pub fn experiment_file(&self, id: &str) -> Result<String, Problem> {
        let experiment = self.store.experiment(id)?;
        let mut sha256 = BTreeMap::new();
        for (field, text) in given(&experiment.stages) {
            let hash = self.hash_of(&field, &text).map_err(|problem| problem.at(field.clone()))?;
            sha256.extend(hash.map(|hash| (text, hash)));
        }
        let (title, question, stages) = (experiment.title, experiment.question, experiment.stages);
        ExperimentFile { title, question, stages, sha256 }.to_toml()
    }

    /// Writes an experiment as a file where the person chose.
    ///
    /// # Errors
    /// As [`Studio::experiment_file`], and when the place cannot be written.
    pub fn save_experiment_file(&self, id: &str, handle: &str) -> Result<(), Problem> {
        let text = self.experiment_file(id)?;
        write_durably(&self.path_of(handle)?, text.as_bytes()).map_err(|problem| problem.at("handle"))
    }

    /// Opens an untrusted experiment file as a draft. It may only name things that the program stores: its paths are not
    /// followed.
    ///
    /// # Errors
    /// When something in it cannot be used here, at its field.
    pub fn open_experiment_file(&self, handle: &str) -> Result<ExperimentSummary, Problem> {
        let text =
            crate::terminal::resolve::read_file(Words::new("the experiment file", "实验文件"), &self.path_of(handle)?);
        self.take_back(handle);
        let file = self.follow_file(ExperimentFile::from_toml(&text?)?, None)?;
        self.create_experiment(&file.title, &file.question, file.stages, None)
    }

    /// Reads the person's own experiment file; models and data sets that it names by path, relative to it, are added.
    ///
    /// # Errors
    /// When something in it cannot be used here, at its field.
    pub fn read_experiment_file(&self, path: &Path) -> Result<ExperimentFile, Problem> {
        let text = crate::terminal::resolve::read_file(Words::new("the experiment file", "实验文件"), path)?;
        self.follow_file(ExperimentFile::from_toml(&text)?, Some(path.parent().unwrap_or(Path::new("."))))
    }

    /// The experiment for a file: an unfinished one with the same stages, or a new one.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn take_up(&self, file: ExperimentFile) -> Result<ExperimentSummary, Problem> {
        for known in self.store.experiments()? {
            let runs = self.store.runs_of(&known.id)?;
            let open = runs.iter().any(|run| !matches!(run.state, RunState::Finished | RunState::Discarded));
            if open && known.title == file.title && budget::same_work(&known.stages, &file.stages) {
                return self.get_experiment(&known.id);
            }
        }
        self.create_experiment(&file.title, &file.question, file.stages, None)
    }

    /// The file with every name resolved to one that is valid here.
    fn follow_file(&self, mut file: ExperimentFile, base: Option<&Path>) -> Result<ExperimentFile, Problem> {
        let mut given = Given { base, sha256: &file.sha256, known: BTreeMap::new() };
        for (index, stage) in file.stages.iter_mut().enumerate() {
            if let Stage::Train(recipe) = &stage {
                method(&recipe.method).map_err(|problem| problem.at(format!("stage.{index}.method")))?;
            }
            stage.map_sources(&mut |field, text| self.followed(&mut given, &format!("stage.{index}.{field}"), text))?;
        }
        Ok(file)
    }

    fn followed(&self, given: &mut Given, field: &str, text: &str) -> Result<String, Problem> {
        if let Some(known) = given.known.get(text) {
            return Ok(known.clone());
        }
        let wanted = given.sha256.get(text).map(String::as_str);
        let noun = field.rsplit('.').next().unwrap_or_default();
        let found = match noun {
            "model" => self.followed_model(given.base, text, wanted),
            "dataset" => self.followed_dataset(given.base, text, wanted),
            "source" => beside(given.base, text, Words::new("model", "模型")).map(|path| path.display().to_string()),
            _ => self.followed_adapter(text, wanted),
        };
        let found = found.map_err(|problem| problem.at(field))?;
        given.known.insert(text.to_owned(), found.clone());
        Ok(found)
    }

    fn followed_model(&self, base: Option<&Path>, text: &str, wanted: Option<&str>) -> Result<String, Problem> {
        let found = match ModelSource::from(text) {
            ModelSource::Stage(_) => return Ok(text.to_owned()),
            ModelSource::Stored(id) => self.model(&id).map(|model| model.model),
            ModelSource::Path(path) => self
                .add_model(&self.hand_out(beside(base, &path, Words::new("model", "模型"))?), None)
                .map(|model| model.model),
        };
        let others = || Ok(self.list_models()?.into_iter().map(|model| (model.model.id, model.model.sha256)).collect());
        let found = found.map(|model| (model.id, model.sha256));
        chosen(Words::new("model", "模型"), text, found, wanted, others).map(|id| ModelSource::Stored(id).to_string())
    }

    fn followed_dataset(&self, base: Option<&Path>, text: &str, wanted: Option<&str>) -> Result<String, Problem> {
        let found = match DatasetSource::from(text) {
            DatasetSource::Stage(_) => return Ok(text.to_owned()),
            DatasetSource::Stored(id) => self.dataset(&id).map(|set| (set.id, set.sha256)),
            DatasetSource::Path(path) => self.imported_once(&beside(base, &path, Words::new("data set", "数据集"))?),
        };
        let others = || Ok(self.list_datasets()?.into_iter().map(|set| (set.id, set.sha256)).collect());
        chosen(Words::new("data set", "数据集"), text, found, wanted, others)
            .map(|id| DatasetSource::Stored(id).to_string())
    }

    /// Resolves adapters and scorers; an experiment cannot use folders of either.
    fn followed_adapter(&self, text: &str, wanted: Option<&str>) -> Result<String, Problem> {
        let ScorerSource::Model(AdapterSource::Stored(id)) = ScorerSource::from(text) else {
            return Ok(text.to_owned());
        };
        let found = self.store.adapter(&id).map(|record| (id, record.adapter.sha256)).map_err(Problem::from);
        let adapter = |record: alidade_store::AdapterRecord| (record.adapter.id, record.adapter.sha256);
        let others = || Ok(self.store.adapters()?.into_iter().map(adapter).collect());
        chosen(Words::new("adapter", "适配器"), text, found, wanted, others)
            .map(|id| AdapterSource::Stored(id).to_string())
    }

    /// Imports a data file; the same rows are stored once.
    fn imported_once(&self, path: &Path) -> Result<(String, String), Problem> {
        let set = self.import_dataset(&self.hand_out(path.to_owned()), None)?;
        let same = |known: &crate::views::DatasetView| known.sha256 == set.sha256 && known.id != set.id;
        match self.list_datasets()?.into_iter().find(same) {
            Some(known) => {
                self.remove_dataset(&set.id)?;
                Ok((known.id, known.sha256))
            }
            None => Ok((set.id, set.sha256)),
        }
    }

    /// The hash of an input; none if it has no content of its own (the oracle, a judge).
    fn hash_of(&self, field: &str, text: &str) -> Result<Option<String>, Problem> {
        Ok(match field.rsplit('.').next().unwrap_or_default() {
            "model" => match ModelSource::from(text) {
                ModelSource::Stored(id) => Some(self.model_record(&id)?.model.sha256),
                _ => None,
            },
            "dataset" => match DatasetSource::from(text) {
                DatasetSource::Stored(id) => Some(self.dataset_record(&id)?.sha256),
                _ => None,
            },
            "source" => None,
            _ => match ScorerSource::from(text) {
                ScorerSource::Model(AdapterSource::Stored(id)) => Some(self.store.adapter(&id)?.adapter.sha256),
                _ => None,
            },
        })
    }
}

/// A path of the file, if paths are followed.
fn beside(base: Option<&Path>, path: &str, noun: Words) -> Result<std::path::PathBuf, Problem> {
    match base {
        Some(base) if !path.is_empty() => Ok(base.join(path)),
        Some(_) => Err(Problem::input(wording!("The stage names no {noun}.", "阶段没有指定{noun}。"; noun))),
        None => Err(Problem::input(wording!(
            "The file names its {noun} by a path (“{path}”), and paths are not followed here.",
            "文件以路径（“{path}”）指定{noun}，而这里不使用路径。";
            noun
        ))
        .hint(wording!(
            "Use alidade run in a terminal, which adds the {noun}; or save the experiment again from the program.",
            "请在终端使用 alidade run，它会加入该{noun}；或在程序中重新保存实验。";
            noun
        ))),
    }
}

/// The identifier of an input: the one with the same name if its hash matches, else whatever has the expected hash.
fn chosen(
    noun: Words,
    text: &str,
    found: Result<(String, String), Problem>,
    wanted: Option<&str>,
    others: impl FnOnce() -> Result<Vec<(String, String)>, Problem>,
) -> Result<String, Problem> {
    let Some(wanted) = wanted else { return found.map(|(id, _)| id) };
    if let Ok((id, sha256)) = &found
        && sha256 == wanted
    {
        return Ok(id.clone());
    }
    if let Some((id, _)) = others()?.into_iter().find(|(_, sha256)| sha256 == wanted) {
        return Ok(id);
    }
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    Err(match found {
        Ok((_, sha256)) => Problem::new(
            ProblemCode::Conflict,
            wording!(
                "The {noun} “{text}” differs from the one that the file was made with: its SHA-256 here is {here}…, in the file {there}….",
                "{noun}“{text}”与生成该文件时所用的不同：这里的 SHA-256 是 {here}…，文件中是 {there}…。";
                noun; here = short(&sha256), there = short(wanted)
            ),
        )
        .hint(wording!(
            "Add the same {noun} here, or remove its line under [sha256] to use this one.",
            "请在这里加入相同的{noun}，或删除 [sha256] 下的那一行以使用现有的。";
            noun
        )),
        Err(problem) if problem.code == ProblemCode::NotFound => {
            Problem::new(ProblemCode::NotFound, wording!(
                "The {noun} “{text}” of the file was not found here (SHA-256 {there}…).",
                "这里没有文件所指的{noun}“{text}”（SHA-256 {there}…）。";
                noun; there = short(wanted)
            ))
                .hint(wording!(
                    "Add the {noun} first; it is then found by its hash.",
                    "请先加入该{noun}，之后会按哈希值找到它。";
                    noun
                ))
        }
        Err(problem) => problem,
    })
}
