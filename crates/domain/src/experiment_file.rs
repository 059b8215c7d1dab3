//! The file format of an experiment, for sharing: title, question, stages, and the hashes of their inputs, so that whoever
//! opens it learns if their model or data differ. Running it is not here.

use crate::{ModelSource, Problem, Stage, Wording, nearest_name, wording};
use std::collections::{BTreeMap, BTreeSet};

const TOP_KEYS: &[&str] = &["title", "question", "model", "seed", "stage", "sha256"];
/// Keys that may be set once at the top, as defaults for all stages.
const SHARED: &[&str] = &["model", "seed"];

/// The content of an experiment file.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentFile {
    /// Short name.
    pub title: String,
    /// The question; may be empty.
    pub question: String,
    /// The stages in order.
    pub stages: Vec<Stage>,
    /// SHA-256 of models, adapters and data sets, by the text that names them in a stage.
    pub sha256: BTreeMap<String, String>,
}

impl ExperimentFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is not TOML, lacks a key or has an unknown one; names the key, and the stage from 0.
    pub fn from_toml(text: &str) -> Result<Self, Problem> {
        let mut table: toml::Table = text.parse().map_err(|error| {
            Problem::input(wording!(
                "The experiment file is not valid TOML: {error}",
                "实验文件不是有效的 TOML：{error}"
            ))
        })?;
        if let Some(key) = table.keys().find(|key| !TOP_KEYS.contains(&key.as_str())) {
            return Err(unknown(
                wording!("The experiment file has an unknown key", "实验文件中有未知的键"),
                key,
                TOP_KEYS,
            )
            .at(key.clone()));
        }
        let shared: Vec<(&str, toml::Value)> =
            SHARED.iter().filter_map(|key| Some((*key, table.get(*key)?.clone()))).collect();
        let stages = match table.remove("stage") {
            Some(toml::Value::Array(stages)) if !stages.is_empty() => stages,
            _ => {
                return Err(Problem::input(wording!("The experiment file has no stage.", "实验文件中没有阶段。"))
                    .hint(wording!("Begin each stage with a line [[stage]].", "每个阶段以一行 [[stage]] 开头。"))
                    .at("stage"));
            }
        };
        let read = |(index, value)| stage(value, &shared).map_err(|problem| problem.at_stage(index));
        let title = words(&table, "title")?.unwrap_or_default();
        if title.trim().is_empty() {
            return Err(
                Problem::input(wording!("The experiment file has no “title”.", "实验文件缺少“title”。")).at("title")
            );
        }
        Ok(Self {
            title,
            question: words(&table, "question")?.unwrap_or_default(),
            stages: stages.into_iter().enumerate().map(read).collect::<Result<_, _>>()?,
            sha256: hashes(&table)?,
        })
    }

    /// The file as text; reading it gives the same experiment.
    ///
    /// # Errors
    /// When a value has no TOML form.
    pub fn to_toml(&self) -> Result<String, Problem> {
        let failed = |error: toml::ser::Error| {
            Problem::internal(wording!("The experiment cannot be written: {error}", "无法写出实验：{error}"))
        };
        let mut table = toml::Table::new();
        table.insert("title".to_owned(), self.title.clone().into());
        if !self.question.is_empty() {
            table.insert("question".to_owned(), self.question.clone().into());
        }
        let mut stages = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let mut written = toml::Table::new();
            written.insert("kind".to_owned(), stage.kind().into());
            let keys = match stage {
                Stage::Train(recipe) => recipe.to_toml(),
                Stage::Build(recipe) => toml::to_string(recipe).map_err(failed),
                Stage::Evaluate(recipe) => toml::to_string(recipe).map_err(failed),
                Stage::Fetch(recipe) => toml::to_string(recipe).map_err(failed),
                Stage::Export(recipe) => toml::to_string(recipe).map_err(failed),
            }?;
            let keys: toml::Table = keys.parse().map_err(|error| {
                Problem::internal(wording!("The stage cannot be read back: {error}", "无法读回阶段：{error}"))
            })?;
            written.extend(keys);
            stages.push(written);
        }
        self.lift_shared(&mut table, &mut stages);
        table.insert("stage".to_owned(), stages.into_iter().map(toml::Value::Table).collect::<Vec<_>>().into());
        if !self.sha256.is_empty() {
            table.insert("sha256".to_owned(), toml::Value::try_from(&self.sha256).map_err(failed)?);
        }
        toml::to_string(&table).map_err(failed)
    }

    /// Moves values that all stages share to the top.
    fn lift_shared(&self, table: &mut toml::Table, stages: &mut [toml::Table]) {
        for key in SHARED {
            let Some(first) = takers(stages, key).next().and_then(|stage| stage.get(*key)).cloned() else { continue };
            if takers(stages, key).all(|stage| stage.get(*key) == Some(&first)) {
                stages.iter_mut().for_each(|stage| drop(stage.remove(*key)));
                table.insert((*key).to_owned(), first);
            }
        }
    }
}

/// The stages that may have a key.
fn takers<'s>(stages: &'s [toml::Table], key: &'s str) -> impl Iterator<Item = &'s toml::Table> {
    let kind = |stage: &toml::Table| stage.get("kind").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    stages.iter().filter(move |stage| Stage::takes(&kind(stage), key))
}

fn stage(value: toml::Value, shared: &[(&str, toml::Value)]) -> Result<Stage, Problem> {
    let toml::Value::Table(mut table) = value else {
        return Err(Problem::input(wording!("A stage is a table.", "阶段必须是一个表。"))
            .hint(wording!("Begin each stage with a line [[stage]].", "每个阶段以一行 [[stage]] 开头。")));
    };
    let kind = match table.remove("kind") {
        Some(toml::Value::String(kind)) if Stage::KINDS.contains(&kind.as_str()) => kind,
        Some(toml::Value::String(kind)) => {
            return Err(
                unknown(wording!("There is no kind of stage", "未知的阶段类型"), &kind, Stage::KINDS).at("kind")
            );
        }
        _ => {
            let known = Wording::names(Stage::KINDS);
            return Err(Problem::input(wording!(
                "The stage does not say its “kind”. Known: {known}.",
                "阶段没有写明类型“kind”。可用：{known}。";
                known
            ))
            .at("kind"));
        }
    };
    if table.contains_key("output_dir") {
        return Err(Problem::input(wording!(
            "A stage keeps its results in the experiment; “output_dir” means nothing to it.",
            "阶段的结果保存在实验中，“output_dir”对它不起作用。"
        ))
        .hint(wording!("Remove the line.", "删除这一行。"))
        .at("output_dir"));
    }
    for (key, value) in shared.iter().filter(|(key, _)| Stage::takes(&kind, key)) {
        table.entry((*key).to_owned()).or_insert_with(|| value.clone());
    }
    Stage::from_table(&kind, table)
}

fn words(table: &toml::Table, key: &str) -> Result<Option<String>, Problem> {
    match table.get(key) {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Problem::input(wording!("“{key}” must be a text.", "“{key}”必须是文本。")).at(key)),
    }
}

fn hashes(table: &toml::Table) -> Result<BTreeMap<String, String>, Problem> {
    let wrong = || {
        Problem::input(wording!(
            "[sha256] must list a hash of 64 hexadecimal digits for each name.",
            "[sha256] 必须为每个名称列出 64 位十六进制的哈希值。"
        ))
        .at("sha256")
    };
    let Some(value) = table.get("sha256") else { return Ok(BTreeMap::new()) };
    let toml::Value::Table(entries) = value else { return Err(wrong()) };
    let mut found = BTreeMap::new();
    for (name, hash) in entries {
        let hash = hash.as_str().filter(|hash| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        found.insert(name.clone(), hash.ok_or_else(wrong)?.to_lowercase());
    }
    Ok(found)
}

/// All inputs from outside of the experiment, by the text that names them, with the first field that does so.
pub fn given(stages: &[Stage]) -> Vec<(String, String)> {
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for (index, stage) in stages.iter().enumerate() {
        let mut look = |field: &str, text: &str| {
            // Results of earlier stages have the same form for every noun.
            if ModelSource::from(text).stage().is_none() && seen.insert(text.to_owned()) {
                found.push((format!("stage.{index}.{field}"), text.to_owned()));
            }
            Ok(text.to_owned())
        };
        // A visitor that never fails.
        let _ = stage.clone().map_sources(&mut look);
    }
    found
}

fn unknown(what: Wording, name: &str, known: &[&str]) -> Problem {
    let problem = Problem::input(wording!(
        "{what} “{name}”. Known: {known}.",
        "{what}“{name}”。可用：{known}。";
        what, known = Wording::names(known)
    ));
    match nearest_name(name, known.iter().copied()) {
        Some(near) => problem.hint(wording!("Did you mean {near}?", "是否想写 {near}？")),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelSource;

    const FILE: &str = "title = \"Kind\"\nquestion = \"Does it help?\"\nmodel = \"model:starter\"\nseed = 7\n\
        [[stage]]\nkind = \"train\"\nmethod = \"sft\"\ndataset = \"dataset:a\"\n[stage.lora]\nr = 4\n\
        [[stage]]\nkind = \"train\"\nmethod = \"dpo\"\ndataset = \"pairs.jsonl\"\nadapter = \"stage:1\"\nseed = 8\n\
        [stage.settings]\nbeta = 0.2\n";

    #[test]
    fn a_file_survives_writing_and_reading() {
        let mut file = ExperimentFile::from_toml(FILE).unwrap();
        assert_eq!((file.title.as_str(), file.stages.len()), ("Kind", 2));
        let recipes: Vec<_> = file.stages.iter().filter_map(Stage::recipe).collect();
        assert_eq!((recipes[0].seed, recipes[1].seed), (7, 8));
        assert!(recipes.iter().all(|recipe| recipe.model == ModelSource::from("model:starter")));
        file.sha256.insert("dataset:a".to_owned(), "ab".repeat(32));
        let text = file.to_toml().unwrap();
        assert_eq!(text.matches("model:starter").count(), 1, "{text}");
        assert_eq!(ExperimentFile::from_toml(&text).unwrap(), file);
        let names: Vec<_> = given(&file.stages).into_iter().map(|(_, text)| text).collect();
        assert_eq!(names, ["model:starter", "dataset:a", "pairs.jsonl"]);
    }

    #[test]
    fn faults_name_their_field() {
        let field = |text: &str| ExperimentFile::from_toml(text).unwrap_err().field.unwrap_or_default();
        for (from, to, expected) in [
            ("title = \"Kind\"\n", "", "title"),
            ("question", "qestion", "qestion"),
            ("kind = \"train\"\nmethod = \"dpo\"", "kind = \"dance\"\nmethod = \"dpo\"", "stage.1.kind"),
            ("kind = \"train\"\nmethod = \"sft\"", "method = \"sft\"", "stage.0.kind"),
            ("dataset = \"pairs.jsonl\"\n", "", "stage.1.dataset"),
            ("[stage.lora]\nr = 4", "[stage.lora]\nrank = 4", "stage.0.lora.rank"),
            ("adapter = \"stage:1\"\n", "output_dir = \"out\"\n", "stage.1.output_dir"),
            ("seed = 7\n", "seed = 7\nsha256 = { \"dataset:a\" = \"ab\" }\n", "sha256"),
        ] {
            assert!(FILE.contains(from), "{from}");
            assert_eq!(field(&FILE.replace(from, to)), expected);
        }
        assert_eq!(field("title = \"t\""), "stage");
    }
}
