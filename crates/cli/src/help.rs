//! The help of the program itself: commands in groups, those for people first.

use clap::{Command, CommandFactory};
use std::fmt::Write as _;

/// The commands by what they are for; every visible command stands in exactly one group.
const GROUPS: &[(&str, &[&str])] = &[
    ("Experiments", &["run", "train", "evaluate", "experiments", "runs", "report", "export"]),
    ("Models and data", &["models", "data", "import", "check"]),
    ("Talking", &["chat", "generate"]),
    ("The app", &["serve", "restore"]),
    ("Shell", &["completions", "man"]),
    ("Looking inside, measuring", &["inspect", "logits", "learning", "bench", "starter"]),
];

const TEMPLATE: &str = "{about}\n\n{usage-heading} {usage}\n\n{before-help}Options:\n{options}{after-help}";

/// The description of the command line, with grouped commands.
pub fn described() -> Command {
    let command = crate::Arguments::command();
    let width = command.get_subcommands().map(|one| one.get_name().len()).max().unwrap_or(0);
    let mut groups = String::new();
    for (title, names) in GROUPS {
        // Writing to a string cannot fail.
        let _ = writeln!(groups, "{title}:");
        for name in *names {
            let about = command.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            let _ = writeln!(groups, "  {name:<width$}  {}", about.unwrap_or_default());
        }
        groups.push('\n');
    }
    command.help_template(TEMPLATE).before_help(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visible_command_stands_in_one_group() {
        let command = crate::Arguments::command();
        let mut visible: Vec<&str> =
            command.get_subcommands().filter(|one| !one.is_hide_set()).map(Command::get_name).collect();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        visible.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(visible, grouped);
    }
}
