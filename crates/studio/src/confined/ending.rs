//! Describes how a child ended: time limit, memory limit, nesting depth, panic, or killed from outside.

use super::Limits;
use super::wire::Attempt;
use alidade_domain::{Problem, ProblemCode, Wording, Words, wording};
use std::process::ExitStatus;

/// Characters of a child's last output that are shown.
const LAST_WORDS: usize = 600;
const TRUST: Words = Words::new(
    "The file may be damaged or malicious. Use another copy, from a source that you trust.",
    "文件可能已损坏或带有恶意。请换用来源可信的副本。",
);

pub(super) fn too_slow(attempt: &Attempt, limits: Limits) -> Problem {
    told(
        attempt,
        wording!(
            "did not finish within {seconds} s and was ended",
            "在 {seconds} 秒内没有完成，已被终止",
            seconds = limits.seconds
        ),
    )
}

pub(super) fn stopped(attempt: &Attempt) -> Problem {
    Problem::new(
        ProblemCode::Conflict,
        wording!("{attempt} was stopped.", "{attempt}：已停止。"; attempt = attempt.what),
    )
    .at(attempt.field.clone())
}

pub(super) fn panicked(attempt: &Attempt, message: &str) -> Problem {
    let message = message.lines().next().unwrap_or_default().trim_end_matches('.');
    told(
        attempt,
        wording!(
            "failed: the library that reads it cannot handle this content ({message})",
            "失败：读取它的库无法处理这样的内容（{message}）",
            message = short(message)
        ),
    )
}

/// The problem of a child that closed its connection without a final message.
pub(super) fn died(attempt: &Attempt, limits: Limits, status: Option<ExitStatus>, words: &str) -> Problem {
    if words.contains("overflowed its stack") {
        return told(attempt, wording!("was ended: something in it is nested too deeply", "被终止：其中嵌套过深"));
    }
    if words.contains("memory allocation of") || words.contains("Cannot allocate memory") {
        let megabytes = limits.memory_bytes >> 20;
        return told(
            attempt,
            wording!(
                "needed more than {megabytes} MB of memory and was ended",
                "需要超过 {megabytes} MB 的内存，已被终止"
            ),
        );
    }
    if let Some((_, panic)) = words.split_once("panicked at ") {
        return panicked(attempt, panic.split_once('\n').map_or(panic, |(_, message)| message));
    }
    let how = match signal(status) {
        Some(9 | 15) => {
            let message = wording!(
                "{attempt} was ended by the system or by another program.",
                "{attempt}：被系统或另一个程序终止。";
                attempt = attempt.what
            );
            let hint = Words::new(
                "If memory is short, close other programs; then try again.",
                "如果内存不足，请关闭其他程序，然后再试。",
            );
            return Problem::new(ProblemCode::WorkerLost, message).hint(hint).at(attempt.field.clone());
        }
        Some(11) => wording!(
            "was ended: it accessed memory outside its own, as deep nesting can cause",
            "被终止：访问了自身以外的内存，嵌套过深可能导致这种情况"
        ),
        Some(signal) => wording!("was ended by signal {signal}", "被信号 {signal} 终止"),
        None => wording!("ended without an answer", "没有给出结果就结束了"),
    };
    let more = short(words.trim());
    told(attempt, if more.is_empty() { how } else { wording!("{how} ({more})", "{how}（{more}）"; how) })
}

fn told(attempt: &Attempt, what: Wording) -> Problem {
    Problem::input(wording!("{attempt} {what}.", "{attempt}：{what}。"; attempt = attempt.what, what))
        .hint(TRUST)
        .at(attempt.field.clone())
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
        let attempt = Attempt { what: Wording::name("Reading x"), field: "model".to_owned() };
        let said = |words: &str| died(&attempt, Limits::SMALL, None, words);
        for (words, part) in [
            ("thread 'task' (7) has overflowed its stack\nfatal runtime error", "nested too deep"),
            ("memory allocation of 9999 bytes failed", "more than 512 MB"),
            ("thread 'a' (1) panicked at src/x.rs:1:2:\nindex 3 is out\nnote: run with", "(index 3 is out)"),
            ("", "without an answer"),
        ] {
            let problem = said(words);
            assert!(problem.message.en.starts_with("Reading x ") && problem.message.en.contains(part), "{problem:?}");
            assert_eq!((problem.code, problem.field.as_deref()), (ProblemCode::Input, Some("model")));
            assert_eq!(problem.hints.len(), 1);
        }
        assert!(too_slow(&attempt, Limits::SMALL).message.en.contains("within 30 s"));
        assert_eq!(stopped(&attempt).code, ProblemCode::Conflict);
    }

    #[cfg(unix)]
    #[test]
    fn a_kill_from_outside_blames_no_file() {
        let attempt = Attempt { what: Wording::name("Reading x"), field: "model".to_owned() };
        let status = std::os::unix::process::ExitStatusExt::from_raw(9);
        assert_eq!(died(&attempt, Limits::SMALL, Some(status), "").code, ProblemCode::WorkerLost);
    }
}
