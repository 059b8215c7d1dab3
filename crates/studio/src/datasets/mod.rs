//! Data sets: imported once into the program's own format, with a list of the rows that were left out and why.

pub(crate) mod data_file;
pub(crate) mod importing;
pub(crate) mod profile;
pub(crate) mod row_index;
pub(crate) mod tokens;

use crate::home::removal::removed;
use crate::home::restrict;
use crate::home::verify::damaged_rows;
use crate::studio::Studio;
use crate::views::{DatasetPage, DatasetView};
use alidade_data::{rows_from_jsonl, rows_to_jsonl};
use alidade_domain::{
    Dataset, DatasetKind, Example, ImportSummary, Problem, ProblemCode, RowIssue, Wording, Words, wording,
};
use alidade_jobs::files::durable::{READING, create_folder, file_problem, remove_folder, write_private};
use alidade_store::DatasetRecord;
use alidade_store::sha256;
use alidade_world::{World, comparisons, pairs, questions, ratings, supervised};
use std::path::PathBuf;

/// Rows of the bundled sets.
const ANSWERS: usize = 550;
const PAIRS: usize = 1_100;
const RATINGS: usize = 1_600;
const PROMPTS: usize = 2_000;
const SEED: u64 = 1;
/// The file of rows in the folder of a data set.
pub(crate) const ROWS: &str = "rows.jsonl";
/// Maximum characters of a name.
const LONGEST_NAME: usize = 200;
/// Maximum size of an imported file.
const LARGEST_BYTES: u64 = 2 << 30;

impl Studio {
    /// All data sets, newest first, the bundled ones last.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn list_datasets(&self) -> Result<Vec<DatasetView>, Problem> {
        let sets: Vec<DatasetRecord> = self.store.documents()?;
        let uses = self.uses()?;
        let view = |set: DatasetRecord| {
            let problem = self.rows_problem(&set, &self.dataset_folder(&set.id).join(ROWS));
            let used_by = uses.of_dataset(&set.id);
            DatasetView::of(set, problem, used_by)
        };
        Ok(sets.into_iter().filter(|set| !set.removed).map(view).collect())
    }

    /// One data set with its rows.
    ///
    /// # Errors
    /// When there is none of this id, or it was removed.
    pub(crate) fn dataset(&self, id: &str) -> Result<DatasetRecord, Problem> {
        let set = self.dataset_record(id)?;
        if set.removed {
            return Err(removed(
                Words::new("data set", "数据集"),
                &set.name,
                Words::new(
                    "Choose another data set, or import the file again.",
                    "请选择另一个数据集，或重新导入该文件。",
                ),
            ));
        }
        Ok(set)
    }

    /// Imports a file that the person picked or dropped.
    ///
    /// # Errors
    /// When it cannot be read or holds no usable row.
    pub fn import_dataset(&self, handle: &str, name: Option<String>) -> Result<DatasetView, Problem> {
        let path = self.path_of(handle)?;
        let bytes = std::fs::metadata(&path).map_or(0, |data| data.len());
        if bytes > LARGEST_BYTES {
            let message = wording!(
                "The file has {size:.1} GB; files up to 2 GB are read.",
                "文件有 {size:.1} GB，最大可读取 2 GB。",
                size = bytes as f64 / 1e9
            );
            return Err(Problem::input(message)
                .hint(wording!("Split it, or keep only the rows that you need.", "请拆分它，或只保留需要的数据。"))
                .at("dataset"));
        }
        let stem = path.file_stem().map_or_else(|| "data".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or(stem);
        let kept = self.import_as(self.fresh_id("d"), name, &path, handle)?;
        self.take_back(handle);
        if let Some(known) = self.twin_of(&kept)? {
            self.store.delete_document::<DatasetRecord>(&kept.id)?;
            // The folder of the second copy is never read; a leftover only costs disk space.
            let _ = remove_folder(&self.dataset_folder(&kept.id));
            let used_by = self.uses()?.of_dataset(&known.id);
            return Ok(DatasetView::of(known, None, used_by));
        }
        self.want_backup();
        Ok(DatasetView::of(kept, None, Vec::new()))
    }

    /// Changes the name of an imported data set.
    ///
    /// # Errors
    /// When there is none of this id, it is bundled, or the name is empty.
    pub fn rename_dataset(&self, id: &str, name: &str) -> Result<DatasetView, Problem> {
        let mut set = self.dataset(id)?;
        if set.bundled {
            let message = Words::new(
                "This data set is part of the program and keeps its name.",
                "这个数据集是程序自带的，名称不能改。",
            );
            return Err(Problem::new(ProblemCode::Conflict, message).at("name"));
        }
        // A built set had a name in each language; a person gives one for both.
        (set.name, set.title) = (named(name)?, None);
        self.store.put_document(&set, set.imported_ms)?;
        let problem = self.rows_problem(&set, &self.rows_path(id));
        let used_by = self.uses()?.of_dataset(id);
        Ok(DatasetView::of(set, problem, used_by))
    }

    /// An earlier import of the same rows under the same name.
    fn twin_of(&self, set: &DatasetRecord) -> Result<Option<DatasetRecord>, Problem> {
        let twin = |known: &DatasetRecord| {
            !known.removed && known.id != set.id && known.sha256 == set.sha256 && known.name == set.name
        };
        let sets: Vec<DatasetRecord> = self.store.documents()?;
        // One whose rows are damaged is better replaced.
        let whole = |known: &DatasetRecord| self.rows_problem(known, &self.rows_path(&known.id)).is_none();
        Ok(sets.into_iter().filter(twin).find(whole))
    }

    /// A page of rows, and of the rows that were left out.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn dataset_rows(&self, id: &str, offset: usize, limit: usize) -> Result<DatasetPage, Problem> {
        let limit = limit.min(500);
        let (total_rows, rows) = self.some_rows(&self.dataset(id)?, offset, limit)?;
        // Number and reasons of left-out rows are in the summary too; without the list, no row is hidden.
        let text = std::fs::read(self.dataset_folder(id).join("issues.json")).unwrap_or_default();
        let issues: Vec<RowIssue> = serde_json::from_slice(&text).unwrap_or_default();
        let total_issues = issues.len();
        Ok(DatasetPage {
            total_rows,
            rows,
            total_issues,
            issues: issues.into_iter().skip(offset).take(limit).collect(),
        })
    }

    /// Removes an imported data set. Experiments that used it keep its facts (name, size, hash, licence) for their reports.
    ///
    /// # Errors
    /// When it is bundled.
    pub fn remove_dataset(&self, id: &str) -> Result<(), Problem> {
        let mut set = self.dataset(id)?;
        if set.bundled {
            return Err(Problem::new(
                ProblemCode::Conflict,
                wording!(
                    "This data set is part of the program and cannot be removed.",
                    "这个数据集随程序提供，不能删除。"
                ),
            ));
        }
        set.removed = true;
        self.store.put_document(&set, set.imported_ms)?;
        self.forget_unused()?;
        // The folder of a removed data set is never read again; a leftover only costs disk space.
        let _ = remove_folder(&self.dataset_folder(id));
        Ok(())
    }

    /// All rows of a set, as they were imported.
    ///
    /// # Errors
    /// When its file has changed.
    pub(crate) fn rows_of(&self, id: &str) -> Result<Vec<Example>, Problem> {
        let set = self.dataset_record(id)?;
        let path = self.rows_path(id);
        match std::fs::read(&path) {
            Ok(bytes) if sha256(&bytes) == set.sha256 => Ok(rows_from_jsonl(&String::from_utf8_lossy(&bytes))?),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_problem(READING, &path, &error)),
            _ => Err(damaged_rows(&set)),
        }
    }

    /// The path of the rows of a data set.
    pub(crate) fn rows_path(&self, id: &str) -> PathBuf {
        self.dataset_folder(id).join(ROWS)
    }

    pub(crate) fn dataset_folder(&self, id: &str) -> PathBuf {
        self.configuration.home.join("datasets").join(id)
    }

    fn keep_bundled(&self, id: String, name: String, dataset: Dataset) -> Result<DatasetRecord, Problem> {
        let folder = self.dataset_folder(&id);
        create_folder(&folder)?;
        restrict(&folder, false);
        let rows = rows_to_jsonl(&dataset.rows)?;
        write_private(&folder.join(ROWS), rows.as_bytes())?;
        let issues = serde_json::to_string(&dataset.issues)
            .map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
        write_private(&folder.join("issues.json"), issues.as_bytes())?;
        let view = DatasetRecord {
            id,
            name,
            title: None,
            kind: dataset.kind,
            summary: dataset.summary,
            remarks: dataset.remarks,
            sha256: sha256(rows.as_bytes()),
            bundled: true,
            flagged: true,
            licence: Some("Apache-2.0".to_owned()),
            imported_ms: 0,
            removed: false,
        };
        self.store.put_document(&view, view.imported_ms)?;
        Ok(view)
    }
}

/// A name for a model or a data set, without surrounding space and of a bounded length.
///
/// # Errors
/// When it is empty.
pub(crate) fn named(name: &str) -> Result<String, Problem> {
    let name: String = name.trim().chars().take(LONGEST_NAME).collect();
    if name.is_empty() {
        Err(Problem::input(Words::new("The name is empty.", "名称是空的。"))
            .hint(Words::new("Type a name.", "请输入名称。"))
            .at("name"))
    } else {
        Ok(name)
    }
}

/// The name of a data set about Alder Bay.
fn bundled_title(id: &str) -> Words {
    match id {
        ANSWERS_ID => Words::new("Alder Bay: kind answers", "Alder Bay：友善回答"),
        PAIRS_ID => Words::new("Alder Bay: preference pairs", "Alder Bay：偏好对"),
        COMPARISONS_ID => Words::new("Alder Bay: comparisons for a reward model", "Alder Bay：奖励模型的比较数据"),
        RATINGS_ID => Words::new("Alder Bay: thumbs up and down", "Alder Bay：点赞与点踩"),
        PROMPTS_ID => Words::new("Alder Bay: questions", "Alder Bay：提问"),
        _ => Words::name("Alder Bay"),
    }
}

/// The name of a data set in both languages.
pub(crate) fn title_of(record: &DatasetRecord) -> Wording {
    let bundled = record.bundled.then(|| bundled_title(&record.id).into());
    bundled.or_else(|| record.title.clone()).unwrap_or_else(|| Wording::name(&record.name))
}

/// Writes the data sets about Alder Bay if they are missing or incomplete.
pub(crate) fn install_bundled(studio: &Studio) -> Result<(), Problem> {
    let world = World::alder_bay();
    let sets = [
        (ANSWERS_ID, DatasetKind::Answers, supervised(&world, SEED, ANSWERS)),
        (PAIRS_ID, DatasetKind::Pairs, pairs(&world, SEED, PAIRS)),
        (COMPARISONS_ID, DatasetKind::Pairs, comparisons(&world, SEED, PAIRS)),
        (RATINGS_ID, DatasetKind::Ratings, ratings(&world, SEED, RATINGS)),
        (PROMPTS_ID, DatasetKind::Prompts, questions(&world, SEED, PROMPTS)),
    ];
    for (id, kind, rows) in sets {
        let path = studio.dataset_folder(id).join(ROWS);
        if studio.dataset(id).is_ok_and(|set| studio.rows_problem(&set, &path).is_none()) {
            continue;
        }
        let summary =
            ImportSummary { format: Wording::name("Alidade"), read: rows.len(), kept: rows.len(), dropped: Vec::new() };
        let dataset = Dataset { kind, summary, rows, issues: Vec::new(), remarks: Vec::new() };
        studio.keep_bundled(id.to_owned(), bundled_title(id).en.to_owned(), dataset)?;
    }
    Ok(())
}

/// Bundled answers.
pub(crate) const ANSWERS_ID: &str = "alder-bay-answers";
/// Bundled pairs.
pub(crate) const PAIRS_ID: &str = "alder-bay-pairs";
/// Bundled pairs for a reward model.
pub(crate) const COMPARISONS_ID: &str = "alder-bay-comparisons";
/// Bundled answers with a thumb.
pub(crate) const RATINGS_ID: &str = "alder-bay-thumbs";
/// Bundled questions.
pub(crate) const PROMPTS_ID: &str = "alder-bay-questions";
