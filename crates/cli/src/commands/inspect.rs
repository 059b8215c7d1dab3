//! `alidade inspect template`: renders conversations with a model's chat template, for people and for other programs.

use crate::output;
use alidade_domain::Problem;
use alidade_lab::inspect_template;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `inspect`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Render conversations with the model's chat template.
    Template(Template),
}

/// Arguments of `inspect template`.
#[derive(clap::Args)]
struct Template {
    /// The model folder.
    #[arg(long)]
    model: PathBuf,
    /// A JSON file with one conversation (a list of messages), or a list of them.
    #[arg(long)]
    messages: PathBuf,
    /// Open the assistant's next turn.
    #[arg(long)]
    for_answer: bool,
    /// Print JSON with token ids and the mask of assistant tokens.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let What::Template(asked) = &arguments.what;
    let shown = inspect_template(&asked.model, &asked.messages, asked.for_answer)?;
    if asked.json {
        output::json(&json!({ "conversations": shown }));
        return Ok(());
    }
    for conversation in shown {
        match (conversation["text"].as_str(), conversation["refused"].as_str()) {
            (Some(text), _) => output::line(text),
            (None, words) => output::plain(words.unwrap_or_default()),
        }
    }
    Ok(())
}
