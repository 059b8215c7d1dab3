//! What the unit tests of this crate share: a data folder with a tiny model, rows, experiments that wait for their turn.

use crate::runs::inputs::ROWS;
use crate::{Configuration, Studio, create_folder};
use alidade_data::rows_to_jsonl;
use alidade_domain::{DatasetKind, Example, Experiment, ImportSummary, Message, Recipe, Stage, Wording};
use alidade_store::DatasetRecord;
use alidade_store::RunRecord;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A data folder with a tiny model, and a worker that ends at once.
pub(crate) struct House(tempfile::TempDir);

impl House {
    pub(crate) fn new() -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        let (from, to) = (golden(), house.0.path().join("resources/starter/toy"));
        create_folder(&to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().flatten() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        house
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.0.path().join("home")
    }

    pub(crate) fn open(&self) -> Arc<Studio> {
        let resources = self.0.path().join("resources");
        let program = PathBuf::from("true");
        Studio::open(Configuration { home: self.home(), resources, program, threads: 1 }).unwrap()
    }

    pub(crate) fn run_folder(&self, run: &str) -> PathBuf {
        self.home().join("runs").join(run)
    }
}

fn golden() -> PathBuf {
    alidade_testkit::golden("trl/model")
}

/// Forty rows as an import leaves them, with a word in each.
pub(crate) fn imported(studio: &Studio, word: &str) -> DatasetRecord {
    let row = |number| Example::Answer {
        prompt: vec![Message::user(format!("{word} {number}"))],
        completion: vec![Message::assistant(format!("It is {word} {number}."))],
    };
    let rows: Vec<Example> = (0..40).map(row).collect();
    let text = rows_to_jsonl(&rows).unwrap();
    let id = studio.fresh_id("d");
    let folder = studio.dataset_folder(&id);
    create_folder(&folder).unwrap();
    std::fs::write(folder.join(ROWS), &text).unwrap();
    let summary = ImportSummary { format: Wording::name("test"), read: 40, kept: 40, dropped: Vec::new() };
    let bundled: DatasetRecord = studio.store.documents().unwrap().remove(0);
    let sha256 = alidade_store::sha256(text.as_bytes());
    let kind = DatasetKind::Answers;
    let set =
        DatasetRecord { id, name: "own".to_owned(), kind, summary, sha256, bundled: false, imported_ms: 1, ..bundled };
    studio.store.put_document(&set, 1).unwrap();
    set
}

pub(crate) fn import(studio: &Studio) -> DatasetRecord {
    imported(studio, "Say")
}

pub(crate) fn recipe(dataset: &str) -> Recipe {
    let text =
        format!("method = \"sft\"\nmodel = \"model:toy\"\ndataset = \"dataset:{dataset}\"\n[settings]\nmax_steps = 3");
    Recipe::from_toml(&text).unwrap()
}

/// An experiment with one queued run, both of this name.
pub(crate) fn queued(studio: &Studio, name: &str, dataset: &str, created_ms: u64) -> RunRecord {
    let work = Stage::Train(recipe(dataset));
    let (id, title, question) = (name.to_owned(), name.to_owned(), String::new());
    let experiment = Experiment::new(id.clone(), title, question, vec![work.clone()], created_ms);
    studio.store.put_experiment(&experiment).unwrap();
    let run = RunRecord::new(id.clone(), id, 0, work, created_ms);
    studio.store.put_run(&run).unwrap();
    run
}
