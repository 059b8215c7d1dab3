//! Developer tools: benchmarks and the models that they run on, inspection of a model's logits and chat template, and
//! pre-training of the starter models. Nobody needs it to align a model; only the terminal calls it.

mod bench;
mod bench_load;
mod bench_models;
mod inspect;
mod inspect_template;
mod starter;

pub use bench::{GenerateBench, TrainBench, bench_generate, bench_limits, bench_train};
pub use bench_load::{LoadBench, bench_load};
pub use bench_models::make_bench_model;
pub use inspect::{continue_ids, write_logits};
pub use inspect_template::inspect_template;
pub use starter::{StarterOptions, StarterSize, make_starter};
