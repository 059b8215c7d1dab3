//! Turns panics into a message and an exit code, as for any other failure.

use crate::output;
use alidade_domain::{Wording, wording};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::ExitCode;

/// Calls `run`; a panic in it is reported and becomes exit code 1. A panic in another thread is reported as well.
pub fn guarded(run: impl FnOnce() -> ExitCode) -> ExitCode {
    set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        words(panic.payload(), &place).iter().for_each(output::note);
    }));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(ExitCode::FAILURE)
}

fn words(payload: &dyn Any, place: &str) -> [Wording; 2] {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    let found = text.map_or_else(|| wording!("no reason was given", "没有给出原因"), Wording::name);
    [
        wording!(
            "error: Alidade failed with an internal error: {found} ({place}). What was saved before is intact.",
            "错误：Alidade 因内部错误而失败：{found}（{place}）。之前保存的内容完好。";
            found
        ),
        wording!(
            "hint: Please report this line and what you did before it.",
            "建议：请反馈这一行，以及此前所做的操作。"
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_words_and_a_code() {
        let code = guarded(|| [ExitCode::SUCCESS][std::env::args().count() + 1]);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
        let told = words(&"index out of bounds", "a.rs:1:2");
        assert!(told[0].en.contains("an internal error: index out of bounds (a.rs:1:2)"));
        assert!(words(&String::from("x"), "")[0].en.contains("internal error: x"));
        assert!(words(&7, "")[0].en.contains("no reason"));
        let _ = std::panic::take_hook();
    }
}
