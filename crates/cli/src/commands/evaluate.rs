//! `alidade evaluate`: a base model against the same model with an adapter, on the same prompts and rows.

use crate::output;
use alidade_domain::{Estimate, Measure, Problem};
use alidade_studio::{Comparison, Depth, evaluate, vet_stack};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `evaluate`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The model folder.
    #[arg(long)]
    model: PathBuf,
    /// The PEFT adapter folder that is compared with the bare model.
    #[arg(long)]
    adapter: PathBuf,
    /// Held-out rows in any shape that `import` reads.
    #[arg(long, conflicts_with = "world", required_unless_present = "world")]
    data: Option<PathBuf>,
    /// Ask about Alder Bay, judged by its oracle (for the starter models).
    #[arg(long)]
    world: bool,
    /// Prompts or rows to use, at most.
    #[arg(long, default_value_t = 200)]
    limit: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    vet_stack(&arguments.model, Some(&arguments.adapter), Depth::Text, &[])?;
    let comparison = Comparison {
        model: arguments.model.clone(),
        adapter: arguments.adapter.clone(),
        data: arguments.data.clone(),
        limit: arguments.limit,
    };
    output::notes(&arguments.model, Some(&arguments.adapter));
    let evaluation = evaluate(&comparison)?;
    if arguments.json {
        output::json(&json!(evaluation));
        return Ok(());
    }
    output::line(format!("{} → {} ({})", evaluation.before_stack, evaluation.after_stack, evaluation.suite));
    evaluation.measures.iter().for_each(print);
    Ok(())
}

fn print(measure: &Measure) {
    let rate = measure.unit == "rate";
    let show = |estimate: &Option<Estimate>| match estimate {
        None => "–".to_owned(),
        Some(e) if rate => {
            format!("{:.1} % ({:.1}–{:.1}, n = {})", 100.0 * e.value, 100.0 * e.low, 100.0 * e.high, e.n)
        }
        Some(e) => format!("{:.3} ({:.3}–{:.3}, n = {})", e.value, e.low, e.high, e.n),
    };
    output::line(format!("{:<20} {:<34} → {}", measure.key, show(&measure.before), show(&measure.after)));
}
