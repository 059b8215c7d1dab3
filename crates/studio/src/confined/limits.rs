//! Limits of a child. The parent enforces the time limit; memory and core dumps are limited by the child itself before it
//! touches untrusted files.

use alidade_domain::{Problem, wording};
use serde::{Deserialize, Serialize};

/// Allocator arenas of a child; each reserves 64 MB of address space.
pub(super) const ARENAS: u64 = 2;
#[cfg(unix)]
const ARENA_BYTES: u64 = 64 << 20;
/// Stacks of the threads that a task may start, per processor.
#[cfg(unix)]
const STACKS_BYTES: u64 = 8 << 20;

/// Limits of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory beyond the program's own, in bytes.
    pub memory_bytes: u64,
    /// Seconds until it is killed.
    pub seconds: u64,
}

impl Limits {
    /// Limits for a small file.
    pub const SMALL: Self = Self { memory_bytes: 512 << 20, seconds: 30 };

    /// These limits plus an allowance for a file or folder: a multiple of its size, and a second for each 10 MB.
    #[must_use]
    pub fn plus(self, bytes: u64, times: u64) -> Self {
        Self {
            memory_bytes: self.memory_bytes.saturating_add(bytes.saturating_mul(times)),
            seconds: self.seconds + bytes / 10_000_000,
        }
    }

    /// Applies the memory limit to this process, irrevocably.
    ///
    /// # Errors
    /// When the system refuses.
    #[cfg(unix)]
    pub(super) fn bind(self) -> Result<(), Problem> {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let refused =
            |error| Problem::internal(wording!("Limiting a worker failed: {error}.", "限制工作进程失败：{error}。"));
        let at_most = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
        setrlimit(Resource::Core, at_most(0)).map_err(refused)?;
        // Other systems do not report the address space of the program itself.
        let Some(own) = own_addresses() else { return Ok(()) };
        first_to_go();
        let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let overhead = ARENAS * ARENA_BYTES + threads * STACKS_BYTES;
        setrlimit(Resource::As, at_most(own.saturating_add(self.memory_bytes).saturating_add(overhead)))
            .map_err(refused)
    }

    #[cfg(not(unix))]
    pub(super) fn bind(self) -> Result<(), Problem> {
        Ok(())
    }
}

/// Address space of this process, in bytes.
#[cfg(unix)]
fn own_addresses() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

/// If memory runs out in spite of all limits, the system shall kill this process before the visible program.
#[cfg(unix)]
fn first_to_go() {
    // Refused in some containers; the system then chooses by size, which usually has the same effect.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
}
