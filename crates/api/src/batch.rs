//! Batches messages by time: one message per frame keeps the window smooth, one per step would not.

use crate::table::Listener;
use std::time::{Duration, Instant};

/// Two frames of a screen.
const FRAME: Duration = Duration::from_millis(33);

/// Items after which a list is sent before its frame is over.
const MOST: usize = 1_000;

/// Collects items and sends them as one list per frame.
pub(crate) struct Batch<'a, Item> {
    listener: Listener<'a, Vec<Item>>,
    waiting: Vec<Item>,
    sent: Instant,
    listening: bool,
}

impl<'a, Item> Batch<'a, Item> {
    pub(crate) fn new(listener: Listener<'a, Vec<Item>>) -> Self {
        Self { listener, waiting: Vec::new(), sent: Instant::now(), listening: true }
    }

    /// Adds an item; false once nobody listens any more.
    pub(crate) fn push(&mut self, item: Item) -> bool {
        self.waiting.push(item);
        if self.sent.elapsed() >= FRAME || self.waiting.len() >= MOST {
            self.flush();
        }
        self.listening
    }

    /// Sends the pending items.
    pub(crate) fn flush(&mut self) {
        if !self.waiting.is_empty() && self.listening {
            self.listening = (self.listener)(std::mem::take(&mut self.waiting));
        }
        self.waiting.clear();
        self.sent = Instant::now();
    }
}
