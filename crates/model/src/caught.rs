//! Converts panics of libraries that parse untrusted files into errors. They are expected reactions to input, so the panic
//! hook does not report them on standard error; panics elsewhere are reported as before.

use alidade_domain::{Wording, wording};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; a panic inside becomes its message. What `work` changes must not be used after a panic.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Wording> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let earlier = take_hook();
        set_hook(Box::new(move |panic| {
            if !EXPECTED.get() {
                earlier(panic);
            }
        }));
    });
    let outer = EXPECTED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(outer);
    result.map_err(|payload| message(payload.as_ref()))
}

fn message(payload: &(dyn Any + Send)) -> Wording {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
    match text {
        Some(text) => Wording::name(text.trim_end_matches('.')),
        None => wording!("it ended without a word", "异常退出，没有说明"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_the_next_call_works() {
        assert_eq!(
            caught(|| {
                if true {
                    panic!("row {}", 3)
                }
            }),
            Err(Wording::name("row 3"))
        );
        assert_eq!(caught(|| 7), Ok(7));
        assert!(!EXPECTED.get());
    }
}
