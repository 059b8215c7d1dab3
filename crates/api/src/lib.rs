//! The wire: one command table, knows no host.
