//! Use cases: plan, queue, worker processes, recorder, chat.
