//! Files of a running run: durable writes, the event log, the item log, requests of the person, the lock.

pub mod control;
pub mod durable;
pub mod event_log;
pub mod item_log;
pub mod run_lock;
