//! `alidade models`: the base models of the app. A folder is added in place and inspected in a child process first.

use crate::chosen::{chosen, confirmed};
use crate::output;
use crate::table::{Align, table};
use alidade_domain::{Problem, Words, wording};
use alidade_studio::views::ModelView;
use alidade_studio::{Configuration, Studio};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `models`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List the models.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Add a model folder; nothing is copied.
    Add {
        /// The folder, with config.json, tokenizer.json and safetensors.
        folder: PathBuf,
        /// Its name; that of the folder by default.
        #[arg(long)]
        name: Option<String>,
    },
    /// Give a model another name.
    Rename {
        /// Identifier or name.
        model: String,
        /// The new name.
        name: String,
    },
    /// Remove a model from the list; its files stay.
    Remove {
        /// Identifier or name.
        model: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let studio = Studio::open(Configuration::of_environment()?)?;
    let named = |wanted: &str| {
        let models = studio.list_models()?;
        chosen(models, wanted, Words::new("model", "模型"), |model| (&model.model.id, &model.model.name))
    };
    match &arguments.action {
        None => list(&studio, false),
        Some(Action::List { json }) => list(&studio, *json),
        Some(Action::Add { folder, name }) => {
            let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            let added = studio.add_model(&studio.hand_out(folder), name.as_deref())?;
            let (id, name, folder) = (&added.model.id, &added.model.name, &added.folder);
            output::say(wording!("Added “{name}” as {id}.", "已添加“{name}”，标识为 {id}。"));
            output::note(wording!(
                "Talk to it: alidade chat --model {folder}",
                "与它对话：alidade chat --model {folder}"
            ));
            Ok(())
        }
        Some(Action::Rename { model, name }) => {
            let renamed = studio.rename_model(&named(model)?.model.id, name)?;
            let (id, name) = (&renamed.model.id, &renamed.model.name);
            output::say(wording!("{id} is called “{name}” now.", "{id} 现在名为“{name}”。"));
            Ok(())
        }
        Some(Action::Remove { model, yes }) => {
            let model = named(model)?;
            if *yes || confirmed(&model.model.name, &model.used_by)? {
                studio.remove_model(&model.model.id)?;
                let (name, folder) = (&model.model.name, &model.folder);
                output::say(wording!(
                    "Removed “{name}”; its files stay in {folder}.",
                    "已移除“{name}”；文件仍在 {folder}。"
                ));
            }
            Ok(())
        }
    }
}

fn list(studio: &Studio, json: bool) -> Result<(), Problem> {
    let models = studio.list_models()?;
    if json {
        output::json(&json!(models));
        return Ok(());
    }
    let row = |model: &ModelView| {
        vec![
            model.model.id.clone(),
            model.model.name.clone(),
            model.family.clone(),
            format!("{:.1} M", model.parameters as f64 / 1e6),
            model.context_tokens.to_string(),
            model.licence.clone().unwrap_or_else(|| "–".to_owned()),
            model.used_by.len().to_string(),
        ]
    };
    let heads = [
        (Words::new("id", "标识"), Align::Left),
        (Words::new("name", "名称"), Align::Left),
        (Words::new("family", "架构"), Align::Left),
        (Words::new("parameters", "参数量"), Align::Right),
        (Words::new("context", "上下文"), Align::Right),
        (Words::new("licence", "许可"), Align::Left),
        (Words::new("experiments", "实验"), Align::Right),
    ];
    table(&heads, &models.iter().map(row).collect::<Vec<_>>()).into_iter().for_each(output::line);
    Ok(())
}
