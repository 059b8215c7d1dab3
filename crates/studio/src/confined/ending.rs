//! Describes how a child ended: time limit, memory limit, nesting depth, panic, or killed from outside.

use super::Limits;
use super::wire::Attempt;
use alidade_domain::{Problem, ProblemCode};
use std::process::ExitStatus;

/// Characters of a child's last output that are shown.
const LAST_WORDS: usize = 600;
const TRUST: &str = "The file may be damaged or malicious. Use another copy, from a source that you trust.";

pub(super) fn too_slow(attempt: &Attempt, limits: Limits) -> Problem {
    told(attempt, format!("did not finish within {} s and was ended", limits.seconds))
}

pub(super) fn stopped(attempt: &Attempt) -> Problem {
    Problem::new(ProblemCode::Conflict, format!("{} was stopped.", attempt.what)).at(attempt.field.clone())
}

pub(super) fn panicked(attempt: &Attempt, message: &str) -> Problem {
    let message = message.lines().next().unwrap_or_default().trim_end_matches('.');
    told(attempt, format!("failed: the library that reads it cannot handle this content ({})", short(message)))
}

/// The problem of a child that closed its connection without a final message.
pub(super) fn died(attempt: &Attempt, limits: Limits, status: Option<ExitStatus>, words: &str) -> Problem {
    if words.contains("overflowed its stack") {
        return told(attempt, "was ended: something in it is nested too deeply".to_owned());
    }
    if words.contains("memory allocation of") || words.contains("Cannot allocate memory") {
        let megabytes = limits.memory_bytes >> 20;
        return told(attempt, format!("needed more than {megabytes} MB of memory and was ended"));
    }
    if let Some((_, panic)) = words.split_once("panicked at ") {
        return panicked(attempt, panic.split_once('\n').map_or(panic, |(_, message)| message));
    }
    let how = match signal(status) {
        Some(9 | 15) => {
            let message = format!("{} was ended by the system or by another program.", attempt.what);
            let hint = "If memory is short, close other programs; then try again.";
            return Problem::new(ProblemCode::WorkerLost, message).hint(hint).at(attempt.field.clone());
        }
        Some(11) => "was ended: it accessed memory outside its own, as deep nesting can cause".to_owned(),
        Some(signal) => format!("was ended by signal {signal}"),
        None => "ended without an answer".to_owned(),
    };
    let more = short(words.trim());
    told(attempt, if more.is_empty() { how } else { format!("{how} ({more})") })
}

fn told(attempt: &Attempt, what: String) -> Problem {
    Problem::input(format!("{} {what}.", attempt.what)).hint(TRUST).at(attempt.field.clone())
}

fn short(words: &str) -> &str {
    let start = words.char_indices().rev().nth(LAST_WORDS).map_or(0, |(place, _)| place);
    &words[start..]
}

#[cfg(unix)]
fn signal(status: Option<ExitStatus>) -> Option<i32> {
    status.and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status))
}

#[cfg(not(unix))]
fn signal(_: Option<ExitStatus>) -> Option<i32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_death_has_its_words() {
        let attempt = Attempt { what: "Reading x".to_owned(), field: "model".to_owned() };
        let said = |words: &str| died(&attempt, Limits::SMALL, None, words);
        for (words, part) in [
            ("thread 'task' (7) has overflowed its stack\nfatal runtime error", "nested too deep"),
            ("memory allocation of 9999 bytes failed", "more than 512 MB"),
            ("thread 'a' (1) panicked at src/x.rs:1:2:\nindex 3 is out\nnote: run with", "(index 3 is out)"),
            ("", "without an answer"),
        ] {
            let problem = said(words);
            assert!(problem.message.starts_with("Reading x ") && problem.message.contains(part), "{problem:?}");
            assert_eq!((problem.code, problem.field.as_deref()), (ProblemCode::Input, Some("model")));
            assert_eq!(problem.hints.len(), 1);
        }
        assert!(too_slow(&attempt, Limits::SMALL).message.contains("within 30 s"));
        assert_eq!(stopped(&attempt).code, ProblemCode::Conflict);
    }

    #[cfg(unix)]
    #[test]
    fn a_kill_from_outside_blames_no_file() {
        let attempt = Attempt { what: "Reading x".to_owned(), field: "model".to_owned() };
        let status = std::os::unix::process::ExitStatusExt::from_raw(9);
        assert_eq!(died(&attempt, Limits::SMALL, Some(status), "").code, ProblemCode::WorkerLost);
    }
}
