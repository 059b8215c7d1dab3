//! SQLite and run folders: what must survive.
