//! `alidade restore`: replaces a damaged or lost database by a backup; the old file is kept beside it.

use crate::output;
use alidade_domain::{Problem, Words, wording};
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
        output::say(wording!(
            "The database was replaced by the backup {name}.",
            "数据库已替换为备份 {name}。",
            name = restored.backup
        ));
        if let Some(kept) = restored.kept {
            output::say(wording!(
                "The old database was kept as {path}.",
                "原来的数据库保留为 {path}。",
                path = kept.display()
            ));
        }
        return Ok(());
    }
    let backups = list_backups(&home);
    if arguments.json {
        output::json(&json!(backups));
        return Ok(());
    }
    if backups.is_empty() {
        output::say(wording!(
            "There are no backups in {path}.",
            "{path} 中没有备份。",
            path = home.join("backups").display()
        ));
    }
    for backup in backups {
        let state = if backup.sound { Words::new("intact", "完好") } else { Words::new("damaged", "损坏") };
        output::say(wording!(
            "{name}  {bytes} bytes  {state}",
            "{name}  {bytes} 字节  {state}";
            state; name = backup.name, bytes = backup.bytes
        ));
    }
    Ok(())
}
