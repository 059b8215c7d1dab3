//! Verifies files against their recorded hashes: base models, adapters and rows, before they are used; a difference is a
//! problem at its field. A verified file is not read again as long as its size and times do not change.

use crate::studio::{Studio, lock};
use alidade_domain::{ModelRef, Problem, ProblemCode, wording};
use alidade_model::{adapter_sha256, file_sha256, model_sha256};
use alidade_store::DatasetRecord;
use std::path::Path;
use std::time::SystemTime;

/// Rows up to this size are verified whenever they are listed; larger ones when they are used.
const SMALL: u64 = 32 << 20;

/// What changes when a file is written: name, size, modification and change time.
pub(crate) type Stamp = Vec<(String, u64, Option<SystemTime>, (i64, i64))>;

impl Studio {
    /// Refuses a base model whose files have changed since it was added.
    ///
    /// # Errors
    /// At `model`.
    pub(crate) fn verify_model(&self, model: &ModelRef, folder: &Path) -> Result<(), Problem> {
        self.verify(folder, &model.sha256, || Ok(model_sha256(folder)?)).map_err(|problem| match problem {
            None => {
                let message = wording!(
                    "The files of the model “{name}” in {folder} have changed since it was added.",
                    "{folder} 中模型“{name}”的文件在添加后有改动。",
                    name = model.name,
                    folder = folder.display()
                );
                Problem::new(ProblemCode::Conflict, message)
                    .hint(wording!(
                        "Restore the files, or add the folder again as another model.",
                        "请恢复这些文件，或把该文件夹作为另一个模型重新添加。"
                    ))
                    .at("model")
            }
            Some(problem) => problem.at("model"),
        })
    }

    /// Refuses an adapter whose weights have changed since a run made them.
    ///
    /// # Errors
    /// At `field`.
    pub(crate) fn verify_adapter(&self, folder: &Path, sha256: &str, field: &str) -> Result<(), Problem> {
        self.verify(folder, sha256, || Ok(adapter_sha256(folder)?)).map_err(|problem| match problem {
            None => {
                let message = wording!(
                    "The adapter in {folder} has changed since its run made it.",
                    "{folder} 中的适配器在运行产生之后有改动。",
                    folder = folder.display()
                );
                Problem::new(ProblemCode::Conflict, message)
                    .hint(wording!(
                        "Restore its files, or start the experiment again.",
                        "请恢复其文件，或重新开始该实验。"
                    ))
                    .at(field)
            }
            Some(problem) => problem.at(field),
        })
    }

    /// The problem with the rows of a data set, if any.
    pub(crate) fn rows_problem(&self, set: &DatasetRecord, path: &Path) -> Option<Problem> {
        let bytes = path.metadata().map_or(0, |data| data.len());
        let right = match bytes {
            0 => false,
            bytes if bytes > SMALL => true,
            _ => self.verify(path, &set.sha256, || Ok(file_sha256(path)?)).is_ok(),
        };
        (!right).then(|| damaged_rows(set))
    }

    /// Refuses rows that have changed since they were imported.
    ///
    /// # Errors
    /// At `dataset`.
    pub(crate) fn verify_rows(&self, set: &DatasetRecord, path: &Path) -> Result<(), Problem> {
        if !path.exists() {
            return Err(damaged_rows(set));
        }
        let checked = self.verify(path, &set.sha256, || Ok(file_sha256(path)?));
        checked.map_err(|problem| problem.unwrap_or_else(|| damaged_rows(set)))
    }

    /// `None` if the content differs.
    fn verify(
        &self,
        place: &Path,
        sha256: &str,
        hash: impl FnOnce() -> Result<String, Problem>,
    ) -> Result<(), Option<Problem>> {
        let stamp = stamp(place);
        let key = (place.to_owned(), sha256.to_owned());
        if lock(&self.verified).get(&key) == Some(&stamp) {
            return Ok(());
        }
        if hash().map_err(Some)? != sha256 {
            return Err(None);
        }
        lock(&self.verified).insert(key, stamp);
        Ok(())
    }
}

/// The problem of a data set whose rows are missing or changed.
pub(crate) fn damaged_rows(set: &DatasetRecord) -> Problem {
    let message = wording!(
        "The rows of “{name}” on the disk have changed since they were imported.",
        "磁盘上“{name}”的数据在导入后有改动。",
        name = set.name
    );
    let hint = if set.bundled {
        wording!("Restart the program: it restores its own data sets.", "请重新启动程序：它会恢复自带的数据集。")
    } else {
        wording!(
            "Import the file again and remove this data set. Runs that have begun keep rows of their own.",
            "请重新导入该文件并删除这个数据集。已开始的运行保留各自的数据。"
        )
    };
    Problem::new(ProblemCode::Conflict, message).hint(hint).at("dataset")
}

/// The stamps of a file, or of every file in a folder.
fn stamp(place: &Path) -> Stamp {
    let one = |path: &Path| {
        let data = path.metadata().ok()?;
        let name = path.file_name()?.to_string_lossy().into_owned();
        #[cfg(unix)]
        let entry = (std::os::unix::fs::MetadataExt::ctime(&data), std::os::unix::fs::MetadataExt::ctime_nsec(&data));
        #[cfg(not(unix))]
        let entry = (0, 0);
        Some((name, data.len(), data.modified().ok(), entry))
    };
    let mut found: Stamp = match std::fs::read_dir(place) {
        Ok(entries) => entries.flatten().filter_map(|entry| one(&entry.path())).collect(),
        Err(_) => one(place).into_iter().collect(),
    };
    found.sort();
    found
}
