//! Untrusted files are read in a child process: an endless loop, a stack overflow or exhausted memory ends that process, and
//! this program continues with a problem that says so.
//!
//! [`run`] starts the program's own executable as `worker --task NAME`, sends one request and waits for one answer.
//! [`Session`] is the same for a process that lives longer. Not here: what the tasks do; `tasks` lists them.

mod attend;
mod ending;
mod limits;
mod run;
mod session;
mod tasks;
mod wire;

pub use attend::{Link, attend};
pub use limits::Limits;
pub use run::{Job, run};
pub(crate) use session::{Received, Session};
pub(crate) use wire::request_of;
