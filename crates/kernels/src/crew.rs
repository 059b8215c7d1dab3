//! Helpers for a run of short shared jobs: a generated token takes a hundred products of some microseconds each, and a
//! thread that sleeps between them wakes too late to help. The helpers stay awake, asking for work, until the caller is
//! done. They are threads of their own: a helper that waits in the shared pool would keep it from other work.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// Rounds of waiting, some tenths of a millisecond, after which a helper dozes between its questions and so leaves its core
/// to others.
const PATIENCE: u32 = 5_000;
/// How long it dozes.
const DOZE: Duration = Duration::from_micros(50);

type Job = *const (dyn Fn(usize) + Sync);

/// What the caller and its helpers see.
struct Shared {
    /// The job at hand. It is written only while `open` is false and nobody is `inside`.
    job: UnsafeCell<Option<Job>>,
    parts: AtomicUsize,
    /// The next part that nobody has taken.
    next: AtomicUsize,
    open: AtomicBool,
    /// Helpers that may be reading the job.
    inside: AtomicUsize,
    over: AtomicBool,
}

// SAFETY: `job` is the only part that is not `Sync` by itself. A helper reads it after it entered (`inside` + 1) and then
// saw `open`; the caller writes it after it set `open` to false and then saw nobody inside. All of these are sequentially
// consistent, so either the helper sees the closed door or the caller sees the helper. What it points to is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer is followed only while `share` keeps its job alive.
unsafe impl Send for Shared {}

/// The caller's side. It is not `Sync`, so no part of a job can hold it and share another job meanwhile.
pub struct Crew<'a> {
    shared: Option<&'a Shared>,
    threads: usize,
    caller_only: PhantomData<Cell<()>>,
}

/// Sends the helpers away, also when the caller panics.
struct Dismiss<'a>(&'a Shared);

impl Drop for Dismiss<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, SeqCst);
    }
}

/// Ends a job: after it nobody reads the job any more, also when a part of it panicked.
struct Close<'a>(&'a Shared);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.open.store(false, SeqCst);
        let mut waited = 0;
        while self.0.inside.load(SeqCst) > 0 {
            waited += 1;
            // A helper that stays so long has lost its core to someone.
            if waited < PATIENCE { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

/// A helper's stay with the job.
struct Stay<'a>(&'a Shared);

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, SeqCst);
    }
}

impl Shared {
    fn work(&self, work: &(dyn Fn(usize) + Sync)) {
        loop {
            let part = self.next.fetch_add(1, SeqCst);
            if part >= self.parts.load(SeqCst) {
                return;
            }
            work(part);
        }
    }

    fn help(&self) {
        let mut waited = 0;
        while !self.over.load(SeqCst) {
            if self.open.load(SeqCst) && self.next.load(SeqCst) < self.parts.load(SeqCst) {
                self.inside.fetch_add(1, SeqCst);
                let _stay = Stay(self);
                if self.open.load(SeqCst) {
                    // SAFETY: see `Shared`; the caller keeps the job alive until nobody is inside.
                    if let Some(job) = unsafe { *self.job.get() } {
                        // SAFETY: as above.
                        self.work(unsafe { &*job });
                    }
                }
                waited = 0;
            } else if waited < PATIENCE {
                waited += 1;
                std::hint::spin_loop();
            } else {
                std::thread::sleep(DOZE);
            }
        }
    }
}

impl Crew<'_> {
    /// A crew of the caller alone.
    pub const ALONE: Crew<'static> = Crew { shared: None, threads: 1, caller_only: PhantomData };

    /// Calls `lead` with a crew of as many threads as the current rayon pool has.
    pub fn gather<R>(lead: impl FnOnce(&Crew) -> R) -> R {
        let helpers = rayon::current_num_threads() - 1;
        if helpers == 0 {
            return lead(&Crew::ALONE);
        }
        let shared = Shared {
            job: UnsafeCell::new(None),
            parts: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            open: AtomicBool::new(false),
            inside: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            let _dismiss = Dismiss(&shared);
            (0..helpers).for_each(|_| {
                scope.spawn(|| shared.help());
            });
            lead(&Crew { shared: Some(&shared), threads: helpers + 1, caller_only: PhantomData })
        })
    }

    /// This crew, or the caller alone where so many multiplications are not worth telling the others.
    #[must_use]
    pub fn worth(&self, multiplications: usize) -> &Crew<'_> {
        const WORTH_SHARING: usize = 20_000;
        if multiplications < WORTH_SHARING { &Crew::ALONE } else { self }
    }

    /// How many of `count` panels, which take so many bytes each, make a task: up to a quarter of a megabyte, since memory that
    /// is read without a break is read faster; less where all shall end at about the same time.
    pub(crate) fn panels_of_a_task(&self, count: usize, bytes: usize) -> usize {
        const STRETCH: usize = 256 << 10;
        (STRETCH / bytes.max(1)).min(count.div_ceil(2 * self.threads)).max(1)
    }

    /// Calls `work` once for each number below `parts`, on all threads of the crew, and returns when all are done.
    ///
    /// # Panics
    /// When a part panics: at once for the caller's parts, at the end of [`Crew::gather`] for a helper's.
    pub fn share(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        let Some(shared) = self.shared.filter(|_| parts > 1) else { return (0..parts).for_each(work) };
        // SAFETY: only the lifetime is dropped; `Close` below ends every use of the job before this function is left.
        let job: Job = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work) };
        // SAFETY: the door is closed and nobody is inside since the last job ended; see `Shared`.
        unsafe { *shared.job.get() = Some(job) };
        shared.parts.store(parts, SeqCst);
        shared.next.store(0, SeqCst);
        let _close = Close(shared);
        shared.open.store(true, SeqCst);
        shared.work(work);
    }

    /// The same for things to be worked on, each by one thread.
    pub fn share_each<T: Send>(&self, things: Vec<T>, work: impl Fn(T) + Sync) {
        if self.shared.is_none() {
            return things.into_iter().for_each(work);
        }
        let things: Vec<Mutex<Option<T>>> = things.into_iter().map(|thing| Mutex::new(Some(thing))).collect();
        self.share(things.len(), &|part| {
            let thing = things[part].lock().ok().and_then(|mut thing| thing.take());
            thing.into_iter().for_each(&work);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn in_pool<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool").install(work)
    }

    #[test]
    fn every_part_of_every_job_is_done_once() {
        for threads in [1, 2, 3] {
            in_pool(threads, || {
                Crew::gather(|crew| {
                    for round in 0..3_000usize {
                        let parts = round % 40;
                        let counts: Vec<AtomicU64> = (0..parts).map(|_| AtomicU64::new(0)).collect();
                        crew.share(parts, &|part| {
                            counts[part].fetch_add(1, SeqCst);
                        });
                        assert!(counts.iter().all(|count| count.load(SeqCst) == 1), "{threads} {round}");
                    }
                    let mut numbers = vec![0u32; 100];
                    let things = numbers.iter_mut().enumerate().collect();
                    crew.share_each(things, |(index, number): (usize, &mut u32)| *number = index as u32);
                    assert!(numbers.iter().enumerate().all(|(index, number)| index as u32 == *number));
                });
            });
        }
    }

    #[test]
    fn a_panic_in_a_part_ends_the_crew_instead_of_hanging() {
        for bad in [0, 7] {
            let found = std::panic::catch_unwind(|| {
                in_pool(3, || Crew::gather(|crew| crew.share(8, &|part| assert!(part != bad, "part {part}"))));
            });
            assert!(found.is_err());
        }
    }
}
