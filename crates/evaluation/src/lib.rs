//! Measuring a stack: suites and statistics.
