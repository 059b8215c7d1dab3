//! Wakes the thread of the queue: on new work, and when the studio is dropped. While it sleeps the thread holds no reference
//! to the studio.

use crate::studio::lock;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A condition variable with a flag.
#[derive(Clone, Default)]
pub(crate) struct Wake(Arc<(Mutex<bool>, Condvar)>);

impl Wake {
    /// Ends the current sleep, or the next one.
    pub(crate) fn call(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    /// Sleeps until the timeout or a call.
    pub(crate) fn sleep(&self, most: Duration) {
        let waited = self.0.1.wait_timeout_while(lock(&self.0.0), most, |called| !*called);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// The studio's handle; dropping it is a call too.
#[derive(Default)]
pub(crate) struct Bell(pub(crate) Wake);

impl Bell {
    pub(crate) fn call(&self) {
        self.0.call();
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.call();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_call_ends_the_sleep_even_when_it_came_before() {
        let (bell, long) = (Bell::default(), Duration::from_secs(60));
        let (wake, began) = (bell.0.clone(), Instant::now());
        bell.call();
        wake.sleep(long);
        std::thread::scope(|scope| {
            scope.spawn(|| wake.sleep(long));
            drop(bell);
        });
        assert!(began.elapsed() < long);
        wake.sleep(Duration::from_millis(1));
    }
}
