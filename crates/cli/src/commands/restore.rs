//! `alidade restore`: replaces a damaged or lost database by a backup; the old file is kept beside it.

use crate::output;
use alidade_domain::Problem;
use alidade_studio::{Configuration, list_backups, restore_backup};
use serde_json::json;

/// Arguments of `restore`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The backup; the newest intact one when absent.
    name: Option<String>,
    /// Only list the backups.
    #[arg(long)]
    list: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let home = Configuration::of_environment()?.home;
    if !arguments.list {
        let restored = restore_backup(&home, arguments.name.as_deref())?;
        if arguments.json {
            output::json(&json!(restored));
            return Ok(());
        }
        output::line(format!("The database was replaced by the backup {}.", restored.backup));
        if let Some(kept) = restored.kept {
            output::line(format!("The old database was kept as {}.", kept.display()));
        }
        return Ok(());
    }
    let backups = list_backups(&home);
    if arguments.json {
        output::json(&json!(backups));
        return Ok(());
    }
    if backups.is_empty() {
        output::line(format!("There are no backups in {}.", home.join("backups").display()));
    }
    for backup in backups {
        let state = if backup.sound { "intact" } else { "damaged" };
        output::line(format!("{}  {} bytes  {state}", backup.name, backup.bytes));
    }
    Ok(())
}
