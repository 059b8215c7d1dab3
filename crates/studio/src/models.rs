//! Base models: the bundled ones and folders that the person added. A folder is looked into before it is taken.

use crate::removal::removed;
use crate::studio::{Studio, now_ms};
use crate::views::ModelView;
use alidade_domain::{ModelRef, Problem, ProblemCode};
use alidade_model::{ModelFolder, SMALL_TEXT, model_sha256, read_text};
use alidade_store::Shelf;
use std::path::Path;

impl Studio {
    /// All models, bundled ones first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn list_models(&self) -> Result<Vec<ModelView>, Problem> {
        let mut models = self.bundled.clone();
        models.extend(self.store.all::<ModelView>(Shelf::Models)?.into_iter().filter(|model| !model.removed));
        Ok(models)
    }

    /// One model that can be used.
    ///
    /// # Errors
    /// When there is none of this id, or it was forgotten.
    pub fn model(&self, id: &str) -> Result<ModelView, Problem> {
        let view = self.model_record(id)?;
        if view.removed {
            return Err(removed("model", &view.model.name, "Add its folder again, or choose another model."));
        }
        Ok(view)
    }

    /// Adds a model folder where it lies; nothing is copied. It is loaded once, so that a broken one is refused here.
    ///
    /// # Errors
    /// When it is no model that can be used; says what was found.
    pub fn add_model(&self, handle: &str) -> Result<ModelView, Problem> {
        let folder = self.path_of(handle)?;
        let mut view = look_into(&folder, false).map_err(|problem| problem.at("model"))?;
        let opened = ModelFolder::open(&folder)?;
        opened.decoder()?;
        opened.tokenizer()?;
        if let Some(known) = self.list_models()?.into_iter().find(|known| known.model.sha256 == view.model.sha256) {
            return Ok(known);
        }
        view.model.id = self.fresh_id("m");
        self.store.put(Shelf::Models, &view.model.id, &view, now_ms())?;
        Ok(view)
    }

    /// Forgets a model; its files stay where they are. Experiments that used it keep its facts for reports and exports.
    ///
    /// # Errors
    /// When it is bundled.
    pub fn remove_model(&self, id: &str) -> Result<(), Problem> {
        if self.bundled.iter().any(|model| model.model.id == id) {
            return Err(Problem::new(
                ProblemCode::Conflict,
                "This model belongs to the program and cannot be removed.",
            ));
        }
        let mut view = self.model(id)?;
        view.removed = true;
        self.store.put(Shelf::Models, id, &view, now_ms())?;
        self.forget_unused()
    }
}

/// The models that the program carries.
pub(crate) fn bundled(resources: &Path) -> Vec<ModelView> {
    let Ok(entries) = std::fs::read_dir(resources.join("starter")) else { return Vec::new() };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders.iter().filter_map(|folder| look_into(folder, true).ok()).collect()
}

fn look_into(folder: &Path, bundled: bool) -> Result<ModelView, Problem> {
    let model = ModelFolder::open(folder)?;
    let name = folder.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
    let card = read_text(&folder.join("README.md"), SMALL_TEXT).ok();
    let (licence, card) = split_card(card);
    let bytes = std::fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.metadata().ok());
    let template = ["chat_template.jinja", "tokenizer_config.json"].iter().any(|name| {
        read_text(&folder.join(name), SMALL_TEXT)
            .is_ok_and(|text| *name == "chat_template.jinja" || text.contains("\"chat_template\""))
    });
    Ok(ModelView {
        model: ModelRef { id: name.clone(), name, sha256: model_sha256(folder)? },
        family: model.spec.family.to_owned(),
        parameters: model.spec.parameters(),
        vocabulary: model.spec.vocabulary,
        context_tokens: model.spec.context,
        bytes: bytes.map(|data| data.len()).sum(),
        bundled,
        licence,
        chat_template: template,
        folder: folder.display().to_string(),
        card,
        removed: false,
    })
}

/// Licence and text of a model card: the front matter is for programs, the rest for people.
fn split_card(card: Option<String>) -> (Option<String>, Option<String>) {
    let Some(card) = card else { return (None, None) };
    let Some((front, text)) = card.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")) else {
        return (None, Some(card));
    };
    let licence = front.lines().find_map(|line| line.strip_prefix("license:")).map(|name| name.trim().to_owned());
    (licence, Some(text.to_owned()))
}
