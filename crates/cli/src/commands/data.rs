//! `alidade data`: the data sets of the app. Adding a file imports it; `alidade check` only reads it.

use crate::chosen::{chosen, confirmed};
use crate::language::said;
use crate::output;
use crate::table::{Align, table};
use alidade_domain::{Problem, Words, wording};
use alidade_studio::views::DatasetView;
use alidade_studio::{Configuration, Studio};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `data`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List the data sets.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Import a file, as alidade import does.
    Add {
        /// The data file.
        file: PathBuf,
        /// Its name; that of the file by default.
        #[arg(long)]
        name: Option<String>,
    },
    /// Give a data set another name.
    Rename {
        /// Identifier or name.
        set: String,
        /// The new name.
        name: String,
    },
    /// Remove an imported data set; the original file stays.
    Remove {
        /// Identifier or name.
        set: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let studio = Studio::open(Configuration::of_environment()?)?;
    let named = |wanted: &str| {
        chosen(studio.list_datasets()?, wanted, Words::new("data set", "数据集"), |set| (&set.id, &set.name))
    };
    match &arguments.action {
        None => list(&studio, false),
        Some(Action::List { json }) => list(&studio, *json),
        Some(Action::Add { file, name }) => super::import::add(&studio, file, name.clone(), false),
        Some(Action::Rename { set, name }) => {
            let renamed = studio.rename_dataset(&named(set)?.id, name)?;
            let (id, name) = (&renamed.id, &renamed.name);
            output::say(wording!("{id} is called “{name}” now.", "{id} 现在名为“{name}”。"));
            Ok(())
        }
        Some(Action::Remove { set, yes }) => {
            let set = named(set)?;
            if *yes || confirmed(&set.name, &set.used_by)? {
                studio.remove_dataset(&set.id)?;
                output::say(wording!("Removed “{name}”.", "已移除“{name}”。", name = set.name));
            }
            Ok(())
        }
    }
}

fn list(studio: &Studio, json: bool) -> Result<(), Problem> {
    let sets = studio.list_datasets()?;
    if json {
        output::json(&json!(sets));
        return Ok(());
    }
    let row = |set: &DatasetView| {
        let rows = set.summary.kept.to_string();
        vec![set.id.clone(), said(&set.title), said(set.kind.words()), rows, set.used_by.len().to_string()]
    };
    let heads = [
        (Words::new("id", "标识"), Align::Left),
        (Words::new("name", "名称"), Align::Left),
        (Words::new("kind", "类型"), Align::Left),
        (Words::new("rows", "条数"), Align::Right),
        (Words::new("experiments", "实验"), Align::Right),
    ];
    table(&heads, &sets.iter().map(row).collect::<Vec<_>>()).into_iter().for_each(output::line);
    Ok(())
}
