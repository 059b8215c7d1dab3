//! What strangers wrote is read in a process of its own: an endless loop, a stack that overflows or memory that runs out ends
//! that process, and this program goes on with a problem in words.
//!
//! [`run`] starts the own executable as `worker --task NAME`, gives it one request and waits for one answer. [`Session`] is
//! the same for a process that lives longer. Not here: what the tasks do; `tasks` lists them.

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
pub(crate) use session::{Heard, Session};
pub(crate) use wire::request_of;
