//! What a run keeps on the disk while it works: files that survive a power cut, events, items, the wish of the person, the lock.

pub mod control;
pub mod durable;
pub mod event_log;
pub mod item_log;
pub mod run_lock;
