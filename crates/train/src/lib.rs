//! Methods, the one optimizer loop, checkpoints.
