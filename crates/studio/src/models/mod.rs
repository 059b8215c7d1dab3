//! Base models: the bundled ones and folders that the person added. A folder is inspected before it is added.

pub(crate) mod vetting;

use crate::datasets::named;
use crate::home::removal::removed;
use crate::models::vetting::{Depth, look_into};
use crate::studio::{Studio, now_ms};
use crate::views::ModelView;
use alidade_domain::{Problem, ProblemCode, Words, wording};
use alidade_store::ModelRecord;
use std::path::Path;

impl Studio {
    /// All models, bundled ones first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn list_models(&self) -> Result<Vec<ModelView>, Problem> {
        let uses = self.uses()?;
        let view = |model: ModelRecord| {
            let used_by = uses.of_model(&model.model.id);
            ModelView::of(model, used_by)
        };
        Ok(self.model_records()?.into_iter().map(view).collect())
    }

    /// The records of all models that can be used, bundled ones first.
    pub(crate) fn model_records(&self) -> Result<Vec<ModelRecord>, Problem> {
        let mut models = self.bundled.clone();
        models.extend(self.store.documents::<ModelRecord>()?.into_iter().filter(|model| !model.removed));
        Ok(models)
    }

    /// One model that can be used.
    ///
    /// # Errors
    /// When there is none of this id, or it was removed.
    pub(crate) fn model(&self, id: &str) -> Result<ModelRecord, Problem> {
        let view = self.model_record(id)?;
        if view.removed {
            return Err(removed(
                Words::new("model", "模型"),
                &view.model.name,
                Words::new(
                    "Add its folder again, or choose another model.",
                    "请重新添加它的文件夹，或选择另一个模型。",
                ),
            ));
        }
        Ok(view)
    }

    /// Adds a model folder in place, under a name or that of its folder; nothing is copied. It is loaded once, in a child
    /// process, so that a broken one is refused here.
    ///
    /// # Errors
    /// When it is not a usable model; says what was found.
    pub fn add_model(&self, handle: &str, name: Option<&str>) -> Result<ModelView, Problem> {
        let name = name.map(named).transpose()?;
        let folder = self.path_of(handle)?;
        let view = vetting::inspect(&self.configuration.program, &folder, Depth::Everything, &[])?;
        let mut view = view.ok_or_else(|| {
            Problem::internal(wording!("Inspecting the model returned no result.", "检查模型没有返回结果。"))
        })?;
        if let Some(known) = self.model_records()?.into_iter().find(|known| known.model.sha256 == view.model.sha256) {
            let used_by = self.uses()?.of_model(&known.model.id);
            return Ok(ModelView::of(known, used_by));
        }
        view.model.id = self.fresh_id("m");
        if let Some(name) = name {
            view.model.name = name;
        }
        self.store.put_document(&view, now_ms())?;
        Ok(ModelView::of(view, Vec::new()))
    }

    /// Changes the name of a model that was added. Results keep the name that they were made under.
    ///
    /// # Errors
    /// When there is none of this id, it is bundled, or the name is empty.
    pub fn rename_model(&self, id: &str, name: &str) -> Result<ModelView, Problem> {
        let mut record = self.model(id)?;
        if record.bundled {
            let message = Words::new(
                "This model is part of the program and keeps its name.",
                "这个模型是程序自带的，名称不能改。",
            );
            return Err(Problem::new(ProblemCode::Conflict, message).at("name"));
        }
        record.model.name = named(name)?;
        self.store.put_document(&record, now_ms())?;
        let used_by = self.uses()?.of_model(id);
        Ok(ModelView::of(record, used_by))
    }

    /// Removes a model from the list; its files stay. Experiments that used it keep its facts for reports and exports.
    ///
    /// # Errors
    /// When it is bundled.
    pub fn remove_model(&self, id: &str) -> Result<(), Problem> {
        if self.bundled.iter().any(|model| model.model.id == id) {
            return Err(Problem::new(
                ProblemCode::Conflict,
                wording!("This model is part of the program and cannot be removed.", "这个模型随程序提供，不能删除。"),
            ));
        }
        let mut view = self.model(id)?;
        view.removed = true;
        self.unload(id);
        self.store.put_document(&view, now_ms())?;
        self.forget_unused()
    }
}

/// The bundled models.
pub(crate) fn bundled(resources: &Path) -> Vec<ModelRecord> {
    let Ok(entries) = std::fs::read_dir(resources.join("starter")) else { return Vec::new() };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders.iter().filter_map(|folder| look_into(folder, true).ok()).collect()
}
