//! Turns panics into a message and an exit code, as for any other failure.

use crate::output;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::ExitCode;

/// Calls `run`; a panic in it is reported and becomes exit code 1. A panic in another thread is reported as well.
pub fn guarded(run: impl FnOnce() -> ExitCode) -> ExitCode {
    set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        words(panic.payload(), &place).iter().for_each(|line| output::note(line));
    }));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(ExitCode::FAILURE)
}

fn words(payload: &dyn Any, place: &str) -> [String; 2] {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let found = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no reason was given");
    [
        format!("error: Alidade failed with an internal error: {found} ({place}). What was saved before is intact."),
        "hint: Please report this line and what you did before it.".to_owned(),
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
        assert!(told[0].contains("an internal error: index out of bounds (a.rs:1:2)"));
        assert!(words(&String::from("x"), "")[0].contains("internal error: x"));
        assert!(words(&7, "")[0].contains("no reason"));
        let _ = std::panic::take_hook();
    }
}
