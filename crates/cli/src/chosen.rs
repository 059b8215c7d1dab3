//! Things that a person names in the terminal, by identifier or by name, and the question before one of them is removed.

use crate::output;
use alidade_domain::{Problem, ProblemCode, nearest_name};
use alidade_studio::views::Use;
use std::io::{BufRead, IsTerminal};

/// The only thing with this identifier or name.
///
/// # Errors
/// When there is none, or when several have the name.
pub fn chosen<T>(all: Vec<T>, wanted: &str, what: &str, names: fn(&T) -> (&String, &String)) -> Result<T, Problem> {
    let known: Vec<String> = all.iter().map(|one| names(one).1.clone()).collect();
    let fits = |one: &T| names(one).0 == wanted || names(one).1 == wanted;
    let (mut found, _): (Vec<T>, Vec<T>) = all.into_iter().partition(fits);
    if found.len() > 1 {
        let ids: Vec<&str> = found.iter().map(|one| names(one).0.as_str()).collect();
        let message = format!("{} of this kind are called “{wanted}”.", found.len());
        return Err(Problem::input(message).hint(format!("Name one by its identifier: {}.", ids.join(", "))));
    }
    found.pop().ok_or_else(|| {
        let problem = Problem::new(ProblemCode::NotFound, format!("There is no {what} “{wanted}”."));
        match nearest_name(wanted, known.iter().map(String::as_str)) {
            Some(near) => problem.hint(format!("Did you mean “{near}”?")),
            None if known.is_empty() => problem,
            None => problem.hint(format!("Known: {}.", known.join(", "))),
        }
    })
}

/// Asks whether something may be removed, and says what uses it.
///
/// # Errors
/// When nobody can be asked: there is no terminal.
pub fn confirmed(name: &str, used_by: &[Use]) -> Result<bool, Problem> {
    if !std::io::stdin().is_terminal() {
        return Err(Problem::input(format!("“{name}” was not removed: there is no terminal to ask in."))
            .hint("Add --yes to remove it without a question."));
    }
    for used in used_by {
        output::note(&format!("used by “{}”", used.title));
    }
    if !used_by.is_empty() {
        output::note("Finished experiments keep their reports and exports; drafts will need another choice.");
    }
    output::ask(&format!("Remove “{name}”? [y/N] "));
    let mut line = String::new();
    // An unreadable answer is no.
    let _ = std::io::stdin().lock().read_line(&mut line);
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes" | "是"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_two_have_and_one_that_nobody_has_are_told() {
        let all = || [("1", "a"), ("2", "b"), ("3", "a")].map(|(id, name)| (id.to_owned(), name.to_owned())).to_vec();
        let of = |wanted: &str| chosen(all(), wanted, "model", |(id, name)| (id, name));
        assert_eq!(of("b").unwrap().0, "2");
        assert_eq!(of("3").unwrap().0, "3");
        assert!(of("a").unwrap_err().hints[0].to_string().contains("1, 3"));
        assert_eq!(of("model-x").unwrap_err().code, ProblemCode::NotFound);
    }
}
