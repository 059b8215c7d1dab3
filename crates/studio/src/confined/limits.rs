//! What a child may take. Time is the parent's business; memory and core dumps are limited by the child itself before it
//! touches anything of a stranger.

use alidade_domain::Problem;
use serde::{Deserialize, Serialize};

/// Allocator arenas that a child may have; each takes 64 MB of addresses, used or not.
pub(super) const ARENAS: u64 = 2;
#[cfg(unix)]
const ARENA_BYTES: u64 = 64 << 20;
/// Stacks of threads that a task may start, per processor.
#[cfg(unix)]
const STACKS_BYTES: u64 = 8 << 20;

/// Bounds of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory beyond the program's own, in bytes.
    pub memory_bytes: u64,
    /// Seconds until it is ended.
    pub seconds: u64,
}

impl Limits {
    /// What a small file may cost.
    pub const SMALL: Self = Self { memory_bytes: 512 << 20, seconds: 30 };

    /// These limits and room for a file or folder: so many bytes for each of its bytes, and a second for each 10 MB.
    #[must_use]
    pub fn plus(self, bytes: u64, times: u64) -> Self {
        Self {
            memory_bytes: self.memory_bytes.saturating_add(bytes.saturating_mul(times)),
            seconds: self.seconds + bytes / 10_000_000,
        }
    }

    /// Binds this process; nothing loosens it again.
    ///
    /// # Errors
    /// When the system refuses.
    #[cfg(unix)]
    pub(super) fn bind(self) -> Result<(), Problem> {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let refused = |error| Problem::internal(format!("Limiting a worker failed: {error}."));
        let at_most = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
        setrlimit(Resource::Core, at_most(0)).map_err(refused)?;
        // Elsewhere the system does not tell what the program itself takes.
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

/// Addresses that this process has taken, in bytes.
#[cfg(unix)]
fn own_addresses() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

/// Where memory runs out in spite of all limits, this process goes before the one that a person looks at.
#[cfg(unix)]
fn first_to_go() {
    // Refused in some containers; then the system chooses by size, which mostly means the same.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
}
