//! Things that a person names in the terminal, by identifier or by name, and the question before one of them is removed.

use crate::output;
use alidade_domain::{Problem, ProblemCode, Wording, Words, nearest_name, wording};
use alidade_studio::views::Use;
use std::io::{BufRead, IsTerminal};

/// The only thing with this identifier or name; `what` says what it is.
///
/// # Errors
/// When there is none, or when several have the name.
pub fn chosen<T>(all: Vec<T>, wanted: &str, what: Words, names: fn(&T) -> (&String, &String)) -> Result<T, Problem> {
    let known: Vec<String> = all.iter().map(|one| names(one).1.clone()).collect();
    let fits = |one: &T| names(one).0 == wanted || names(one).1 == wanted;
    let (mut found, _): (Vec<T>, Vec<T>) = all.into_iter().partition(fits);
    if found.len() > 1 {
        let ids = Wording::names(found.iter().map(|one| names(one).0));
        let count = found.len();
        let message = wording!("{count} of this kind are called “{wanted}”.", "有 {count} 个同类项目名为“{wanted}”。");
        let hint = wording!("Name one by its identifier: {ids}.", "请用标识指定其中一个：{ids}。"; ids = ids);
        return Err(Problem::input(message).hint(hint));
    }
    found.pop().ok_or_else(|| {
        let message = wording!("There is no {what} “{wanted}”.", "没有名为“{wanted}”的{what}。"; what = what);
        let problem = Problem::new(ProblemCode::NotFound, message);
        match nearest_name(wanted, known.iter().map(String::as_str)) {
            Some(near) => problem.hint(wording!("Did you mean “{near}”?", "是指“{near}”吗？")),
            None if known.is_empty() => problem,
            None => problem.hint(wording!("Known: {names}.", "已有：{names}。"; names = Wording::names(&known))),
        }
    })
}

/// Asks whether something may be removed, and says what uses it.
///
/// # Errors
/// When nobody can be asked: there is no terminal.
pub fn confirmed(name: &str, used_by: &[Use]) -> Result<bool, Problem> {
    if !std::io::stdin().is_terminal() {
        let message = wording!(
            "“{name}” was not removed: there is no terminal to ask in.",
            "没有移除“{name}”：没有可以询问的终端。"
        );
        let hint = wording!("Add --yes to remove it without a question.", "加上 --yes 可直接移除。");
        return Err(Problem::input(message).hint(hint));
    }
    for used in used_by {
        output::note(wording!("used by “{title}”", "“{title}”在使用", title = used.title));
    }
    if !used_by.is_empty() {
        output::note(wording!(
            "Finished experiments keep their reports and exports; drafts will need another choice.",
            "已完成的实验保留报告和导出；草稿需要另选。"
        ));
    }
    output::ask(wording!("Remove “{name}”? [y/N] ", "移除“{name}”？[y/N] "));
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
        let of = |wanted: &str| chosen(all(), wanted, Words::new("model", "模型"), |(id, name)| (id, name));
        assert_eq!(of("b").unwrap().0, "2");
        assert_eq!(of("3").unwrap().0, "3");
        assert!(of("a").unwrap_err().hints[0].en.contains("1, 3"));
        assert_eq!(of("model-x").unwrap_err().code, ProblemCode::NotFound);
    }
}
