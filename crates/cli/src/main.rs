//! The program `alidade`: every use case from a terminal.
//!
//! Standard output of a `--json` command is one JSON document (`train`: one event a line); everything else goes to
//! standard error. Exit 2 for the person's input, 1 for a failure, 130 when the person stopped it.

mod commands;
mod faults;
mod interruption;
mod language;
mod output;
mod progress;
mod serve;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Shown below the list of commands and options.
const EXIT_CODES: &str = "Exit codes:\n  \
    0    done\n  \
    1    a failure of the program or of this machine (a full disk, too little memory)\n  \
    2    something in the input must change; the message says what\n  \
    130  stopped with Ctrl-C; the same command resumes\n  \
    141  the reader of the output closed it";

#[derive(Parser)]
#[command(name = "alidade", version, about = "Align language models on your own machine.", after_help = EXIT_CODES)]
struct Arguments {
    /// Language of messages; by default that of ALIDADE_LANGUAGE or the locale.
    #[arg(long, global = true, value_enum)]
    language: Option<language::Named>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train as described by a recipe.
    Train(commands::train::Arguments),
    /// Run every stage of an experiment file.
    Run(commands::run::Arguments),
    /// Continue a prompt.
    Generate(commands::generate::Arguments),
    /// Talk to a model.
    Chat(commands::chat::Arguments),
    /// Write logits and gradients of given token ids.
    Logits(commands::logits::Arguments),
    /// Show what a model's files do with given input.
    Inspect(commands::inspect::Arguments),
    /// Read a data file and say what is in it.
    Import(commands::import::Arguments),
    /// Export an adapter, merged into its base model or as a copy.
    Export(commands::export::Arguments),
    /// Compare a model with and without an adapter on held-out prompts.
    Evaluate(commands::evaluate::Arguments),
    /// List the runs of the app.
    Runs(commands::runs::Arguments),
    /// Write the report of an experiment.
    Report(commands::report::Arguments),
    /// Replace a damaged database with a backup.
    Restore(commands::restore::Arguments),
    /// Serve the app to a browser on this machine.
    Serve(commands::serve::Arguments),
    /// Carry out a run (started by the app).
    #[command(hide = true)]
    Worker(commands::worker::Arguments),
    /// Run the preset experiments with several seeds and print their results.
    Learning(commands::learning::Arguments),
    /// Measure how fast this machine trains and generates.
    Bench(commands::bench::Arguments),
    /// Pre-train the starter model from random weights.
    Starter(commands::starter::Arguments),
}

fn main() -> ExitCode {
    match Arguments::try_parse() {
        // Its output is read by the program that started it.
        Ok(Arguments { command: Command::Worker(arguments), .. }) if arguments.is_task() => {
            run(Command::Worker(arguments))
        }
        Ok(arguments) => {
            language::choose(arguments.language);
            faults::guarded(|| run(arguments.command))
        }
        Err(refusal) if refusal.use_stderr() => {
            // Without styles: the arguments may contain control characters.
            output::plain(refusal.render().to_string().trim_end());
            ExitCode::from(2)
        }
        // Help and version.
        Err(asked) => asked.print().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
    }
}

fn run(command: Command) -> ExitCode {
    if let Err(problem) = alidade_studio::instructions() {
        return output::report(&problem);
    }
    let result = match command {
        Command::Train(arguments) => return commands::train::run(&arguments).unwrap_or_else(|p| output::report(&p)),
        Command::Run(arguments) => return commands::run::run(&arguments).unwrap_or_else(|p| output::report(&p)),
        Command::Generate(arguments) => commands::generate::run(&arguments),
        Command::Chat(arguments) => commands::chat::run(&arguments),
        Command::Logits(arguments) => commands::logits::run(&arguments),
        Command::Inspect(arguments) => commands::inspect::run(&arguments),
        Command::Import(arguments) => commands::import::run(&arguments),
        Command::Export(arguments) => commands::export::run(&arguments),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments),
        Command::Runs(arguments) => commands::runs::run(&arguments),
        Command::Report(arguments) => commands::report::run(&arguments),
        Command::Restore(arguments) => commands::restore::run(&arguments),
        Command::Serve(arguments) => commands::serve::run(&arguments),
        Command::Worker(arguments) => commands::worker::run(&arguments),
        Command::Learning(arguments) => commands::learning::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Starter(arguments) => commands::starter::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => output::report(&problem),
    }
}
