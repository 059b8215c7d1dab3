//! The program `alidade`: every use case from a terminal.
//!
//! Standard output of a `--json` command is one JSON document (`train`: one event a line); everything else goes to
//! standard error. Exit 2 for the person's input, 1 for a failure.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a terminal program speaks to a terminal")]

mod commands;
mod output;
mod serve;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Align language models on your own machine.
#[derive(Parser)]
#[command(name = "alidade", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train as a recipe says.
    Train(commands::train::Arguments),
    /// Continue a prompt.
    Generate(commands::generate::Arguments),
    /// Talk to a model.
    Chat(commands::chat::Arguments),
    /// Write logits and gradients of given token ids.
    Logits(commands::logits::Arguments),
    /// Read a data file and say what is in it.
    Import(commands::import::Arguments),
    /// Write an adapter merged into its base, or a copy of it.
    Export(commands::export::Arguments),
    /// Compare a model with and without an adapter on held-out prompts.
    Evaluate(commands::evaluate::Arguments),
    /// List what the app has run and is running.
    Runs(commands::runs::Arguments),
    /// Write the report of an experiment of the app.
    Report(commands::report::Arguments),
    /// Put a backup in the place of a damaged database.
    Restore(commands::restore::Arguments),
    /// Show the app in a browser on this machine.
    Serve(commands::serve::Arguments),
    /// Carry out a run folder (started by the app).
    #[command(hide = true)]
    Worker(commands::worker::Arguments),
    /// Carry out the ready-made experiments over several seeds and print what they reached.
    Learning(commands::learning::Arguments),
    /// Measure how fast this machine trains and writes.
    Bench(commands::bench::Arguments),
    /// Pre-train the starter model from random weights.
    Starter(commands::starter::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Train(arguments) => commands::train::run(&arguments),
        Command::Generate(arguments) => commands::generate::run(&arguments),
        Command::Chat(arguments) => commands::chat::run(&arguments),
        Command::Logits(arguments) => commands::logits::run(&arguments),
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
