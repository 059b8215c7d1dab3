//! `alidade completions SHELL` and `alidade man`: made from the same description of the commands as the help.

use crate::output;
use alidade_domain::{Problem, Words, wording};
use alidade_studio::file_problem;
use clap::CommandFactory;
use std::path::PathBuf;

/// Arguments of `completions`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(clap::Args)]
pub struct ManArguments {
    /// Folder for one page a command; the main page is printed without it.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Prints the completions of a shell.
pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Arguments::command(), "alidade", &mut text);
    output::text(&String::from_utf8_lossy(&text));
    Ok(())
}

/// Prints or writes the manual pages.
pub fn man(arguments: &ManArguments) -> Result<(), Problem> {
    let command = crate::Arguments::command();
    let Some(folder) = &arguments.output else {
        let mut text = Vec::new();
        let rendered = clap_mangen::Man::new(command).render(&mut text);
        rendered.map_err(|error| {
            Problem::internal(wording!("The manual page could not be made: {error}.", "无法生成手册页：{error}。"))
        })?;
        output::text(&String::from_utf8_lossy(&text));
        return Ok(());
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| file_problem(Words::new("Creating", "创建"), folder, &error).at("output"))?;
    let written = clap_mangen::generate_to(command, folder);
    written.map_err(|error| file_problem(Words::new("Writing in", "写入"), folder, &error).at("output"))?;
    output::note(wording!("Written to {path}.", "已写入 {path}。", path = folder.display()));
    Ok(())
}
