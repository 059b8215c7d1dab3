//! The program `alidade`: every use case from a terminal.
//!
//! Standard output of a `--json` command is one JSON document (`train`: one event a line); everything else goes to
//! standard error. Exit 2 for the person's input, 1 for a failure, 130 when the person stopped it.

mod chosen;
mod commands;
mod faults;
mod help;
mod interruption;
mod language;
mod output;
mod progress;
mod serve;
mod table;

use clap::{FromArgMatches, Parser, Subcommand};
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
    /// Print results and errors only, no notes.
    #[arg(long, short, global = true)]
    quiet: bool,
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
    /// List, add, rename or remove the base models of the app.
    Models(commands::models::Arguments),
    /// List, add, rename or remove the data sets of the app.
    Data(commands::data::Arguments),
    /// Add a data file to the app and say what is in it.
    Import(commands::import::Arguments),
    /// Read a data file and say what is in it, without storing anything.
    Check(commands::import::CheckArguments),
    /// Export an adapter, merged into its base model or as a copy.
    Export(commands::export::Arguments),
    /// Compare a model with and without an adapter on held-out prompts.
    Evaluate(commands::evaluate::Arguments),
    /// List the experiments of the app, or write the file of one.
    Experiments(commands::experiments::Arguments),
    /// List the runs of the app.
    Runs(commands::runs::Arguments),
    /// Write the report of an experiment.
    Report(commands::report::Arguments),
    /// Replace a damaged database with a backup.
    Restore(commands::restore::Arguments),
    /// Serve the app to a browser on this machine.
    Serve(commands::serve::Arguments),
    /// Print completions for a shell.
    Completions(commands::completions::Arguments),
    /// Print or write the manual pages.
    Man(commands::completions::ManArguments),
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
    match help::described().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches)) {
        // Its output is read by the program that started it.
        Ok(Arguments { command: Command::Worker(arguments), .. }) if arguments.is_task() => {
            run(Command::Worker(arguments))
        }
        Ok(arguments) => {
            output::be_quiet(arguments.quiet);
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
        Command::Models(arguments) => commands::models::run(&arguments),
        Command::Data(arguments) => commands::data::run(&arguments),
        Command::Import(arguments) => commands::import::run(&arguments),
        Command::Check(arguments) => commands::import::check(&arguments),
        Command::Experiments(arguments) => commands::experiments::run(&arguments),
        Command::Completions(arguments) => commands::completions::run(&arguments),
        Command::Man(arguments) => commands::completions::man(&arguments),
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
