//! Repository chores: set-up, build, run, test, tidy, bundles, screenshots. One file per chore; no dependencies, so that it
//! builds in a second on a new machine.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod bench;
mod bundle;
mod commands;
mod doctor;
mod functions;
mod names;
mod plan;
mod steps;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "cargo xtask <chore>

  app [--release]   install what is missing, build the UI, open the window
  test              install what the tests need and run all of them
  doctor [--fix]    say what is missing; with --fix install it
  ui                build the UI into ui/dist
  tidy              check the imports between crates and the sizes of files
  starter           pre-train the starter models again (about half an hour on two cores)
  screenshots       take a screenshot of every screen of the real program
  bundle            make .deb and .rpm
  bench             compare our speed with another stack's: --models DIR [--peer SCRIPT --python PROGRAM] [--rounds N]
  plan              compare predicted with actual time and memory of runs: [--sample N --seed S] [--only METHOD]
  minutes           time the three-minute job
  learning          results of all presets with three seeds
  windows           check every crate but the window for Windows (needs its target and MinGW)
  nightly           an exported adapter in the real PEFT library (needs Python), a thousand power cuts (200 of a mounted disk,
                    which need root, and 800 recorded ones, which need strace; about a quarter of an hour), and five
                    configurations of the plan
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let result = match arguments.first().map(String::as_str) {
        Some("app") => steps::app(has("--release"), has("--fix")),
        Some("test") => steps::test(),
        Some("doctor") => doctor::check(doctor::Needs::Tests, has("--fix")),
        Some("ui") => steps::build_ui(),
        Some("tidy") => tidy::check(),
        Some("starter") => steps::starter(),
        Some("screenshots") => steps::screenshots(),
        Some("bundle") => bundle::make(),
        Some("bench") => bench::compare(&arguments),
        Some("plan") => plan::check(&arguments),
        Some("minutes") => steps::minutes(),
        Some("learning") => steps::learning(),
        Some("windows") => steps::windows(),
        Some("nightly") => steps::nightly(),
        _ => {
            print!("{HELP}");
            return ExitCode::from(u8::from(!arguments.is_empty() && !has("--help")) * 2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
