//! A thread pool for a run of very short jobs: generating a token takes a hundred matrix products of some microseconds each,
//! and a thread that sleeps between them wakes too late to help. The workers spin until the caller is done. They are scoped
//! threads of their own: workers spinning in the shared rayon pool would block it for other work.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// Spins, some tenths of a millisecond, after which a worker sleeps between polls and so leaves its core to others.
const SPINS: u32 = 5_000;
/// How long it sleeps between polls.
const SLEEP: Duration = Duration::from_micros(50);

type Job = *const (dyn Fn(usize) + Sync);

/// State shared by the caller and the workers.
struct Shared {
    /// The current job. It is written only while `open` is false and nobody is `inside`.
    job: UnsafeCell<Option<Job>>,
    parts: AtomicUsize,
    /// The next part that nobody has taken.
    next: AtomicUsize,
    open: AtomicBool,
    /// Workers that may be reading the job.
    inside: AtomicUsize,
    stopped: AtomicBool,
}

// SAFETY: `job` is the only field that is not `Sync` by itself. A worker reads it after it entered (`inside` + 1) and then
// saw `open`; the caller writes it after it set `open` to false and then saw nobody inside. All of these are sequentially
// consistent, so either the worker sees `open` as false or the caller sees the worker. What it points to is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer is followed only while `share` keeps its job alive.
unsafe impl Send for Shared {}

/// The caller's side. It is not `Sync`, so no part of a job can hold it and share another job meanwhile.
pub struct ThreadPool<'a> {
    shared: Option<&'a Shared>,
    threads: usize,
    caller_only: PhantomData<Cell<()>>,
}

/// Stops the workers, also when the caller panics.
struct Stop<'a>(&'a Shared);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stopped.store(true, SeqCst);
    }
}

/// Ends a job: afterwards nobody reads it any more, also when a part of it panicked.
struct Close<'a>(&'a Shared);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.open.store(false, SeqCst);
        let mut waited = 0;
        while self.0.inside.load(SeqCst) > 0 {
            waited += 1;
            // A worker that stays this long has been descheduled.
            if waited < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

/// Marks a worker as inside the job until it is dropped.
struct Inside<'a>(&'a Shared);

impl Drop for Inside<'_> {
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

    fn run_worker(&self) {
        let mut waited = 0;
        while !self.stopped.load(SeqCst) {
            if self.open.load(SeqCst) && self.next.load(SeqCst) < self.parts.load(SeqCst) {
                self.inside.fetch_add(1, SeqCst);
                let _inside = Inside(self);
                if self.open.load(SeqCst) {
                    // SAFETY: see `Shared`; the caller keeps the job alive until nobody is inside.
                    if let Some(job) = unsafe { *self.job.get() } {
                        // SAFETY: as above.
                        self.work(unsafe { &*job });
                    }
                }
                waited = 0;
            } else if waited < SPINS {
                waited += 1;
                std::hint::spin_loop();
            } else {
                std::thread::sleep(SLEEP);
            }
        }
    }
}

impl ThreadPool<'_> {
    /// A pool without workers: the caller alone.
    pub const CALLER_ONLY: ThreadPool<'static> = ThreadPool { shared: None, threads: 1, caller_only: PhantomData };

    /// Calls `body` with a pool of as many threads as the current rayon pool has, the caller included.
    pub fn scope<R>(body: impl FnOnce(&ThreadPool) -> R) -> R {
        let workers = rayon::current_num_threads() - 1;
        if workers == 0 {
            return body(&ThreadPool::CALLER_ONLY);
        }
        let shared = Shared {
            job: UnsafeCell::new(None),
            parts: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            open: AtomicBool::new(false),
            inside: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            let _stop = Stop(&shared);
            (0..workers).for_each(|_| {
                scope.spawn(|| shared.run_worker());
            });
            body(&ThreadPool { shared: Some(&shared), threads: workers + 1, caller_only: PhantomData })
        })
    }

    /// This pool, or the caller alone where a job of this many multiplications is not worth sharing.
    #[must_use]
    pub fn worth(&self, multiplications: usize) -> &ThreadPool<'_> {
        const WORTH_SHARING: usize = 20_000;
        if multiplications < WORTH_SHARING { &ThreadPool::CALLER_ONLY } else { self }
    }

    /// How many of `count` panels of `bytes` each make a task: up to 256 KiB, since long sequential reads are faster; fewer
    /// where that would leave the threads unevenly loaded.
    pub(crate) fn panels_per_task(&self, count: usize, bytes: usize) -> usize {
        const TASK_BYTES: usize = 256 << 10;
        (TASK_BYTES / bytes.max(1)).min(count.div_ceil(2 * self.threads)).max(1)
    }

    /// Calls `work` once for each index below `parts`, on all threads of the pool, and returns when all are done.
    ///
    /// # Panics
    /// When a part panics: at once for the caller's parts, at the end of [`ThreadPool::scope`] for a worker's.
    pub fn share(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        let Some(shared) = self.shared.filter(|_| parts > 1) else { return (0..parts).for_each(work) };
        // SAFETY: only the lifetime is dropped; `Close` below ends every use of the job before this function is left.
        let job: Job = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work) };
        // SAFETY: `open` is false and nobody is inside since the last job ended; see `Shared`.
        unsafe { *shared.job.get() = Some(job) };
        shared.parts.store(parts, SeqCst);
        shared.next.store(0, SeqCst);
        let _close = Close(shared);
        shared.open.store(true, SeqCst);
        shared.work(work);
    }

    /// The same for owned items, each taken by one thread.
    pub fn share_each<T: Send>(&self, items: Vec<T>, work: impl Fn(T) + Sync) {
        if self.shared.is_none() {
            return items.into_iter().for_each(work);
        }
        let items: Vec<Mutex<Option<T>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
        self.share(items.len(), &|part| {
            let item = items[part].lock().ok().and_then(|mut item| item.take());
            item.into_iter().for_each(&work);
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
                ThreadPool::scope(|workers| {
                    for round in 0..3_000usize {
                        let parts = round % 40;
                        let counts: Vec<AtomicU64> = (0..parts).map(|_| AtomicU64::new(0)).collect();
                        workers.share(parts, &|part| {
                            counts[part].fetch_add(1, SeqCst);
                        });
                        assert!(counts.iter().all(|count| count.load(SeqCst) == 1), "{threads} {round}");
                    }
                    let mut elements = vec![0u32; 100];
                    let items = elements.iter_mut().enumerate().collect();
                    workers.share_each(items, |(index, number): (usize, &mut u32)| *number = index as u32);
                    assert!(elements.iter().enumerate().all(|(index, number)| index as u32 == *number));
                });
            });
        }
    }

    #[test]
    fn a_panic_in_a_part_ends_the_pool_instead_of_hanging() {
        for bad in [0, 7] {
            let found = std::panic::catch_unwind(|| {
                in_pool(3, || ThreadPool::scope(|pool| pool.share(8, &|part| assert!(part != bad, "part {part}"))));
            });
            assert!(found.is_err());
        }
    }
}
