//! `alidade learning`: runs all presets of the starter world with several seeds, as the app would, and prints the results of
//! each stage.

use crate::output;
use alidade_domain::{Estimate, Evaluation, MethodName, Problem, RunState, Stage, Wording, wording};
use alidade_studio::views::{ExperimentSummary, MeasuredPreset, Preset, RunView};
use alidade_studio::{Configuration, Studio, run_queue_in_background, write_durably};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Keys of the printed measures.
const FIGURES: &[&str] = &["good", "harm_complied", "over_refusal", "truthful", "kind"];

/// Arguments of `learning`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Random seeds; each runs whole experiments.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3")]
    seeds: Vec<u64>,
    /// Only the presets of these names.
    #[arg(long, value_delimiter = ',')]
    preset: Vec<String>,
    /// Print one JSON document per line for each stage, as experiments finish.
    #[arg(long)]
    json: bool,
    /// Also write the results of the last seed to this file, as the app shows them beside the presets.
    #[arg(long)]
    keep: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let studio = Studio::open(Configuration::of_environment()?)?;
    run_queue_in_background(&studio);
    let wanted = |preset: &Preset| arguments.preset.is_empty() || arguments.preset.contains(&preset.id);
    let presets: Vec<Preset> = studio.list_presets().into_iter().filter(wanted).collect();
    if presets.is_empty() {
        return Err(Problem::input(wording!("There is no preset of this name.", "没有这个名称的预设。")).at("preset"));
    }
    let mut kept: BTreeMap<&str, MeasuredPreset> = BTreeMap::new();
    for preset in &presets {
        for seed in &arguments.seeds {
            let finished = experiment(&studio, preset, *seed)?;
            kept.insert(&preset.id, MeasuredPreset::of(&finished, studio.app_info().machine));
            for run in &finished.runs {
                let row = figures(&preset.id, *seed, run);
                if arguments.json { output::json(&row) } else { print(&row) }
            }
        }
    }
    let Some(path) = &arguments.keep else { return Ok(()) };
    let text =
        serde_json::to_string_pretty(&kept).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
    write_durably(path, text.as_bytes())
}

fn experiment(studio: &Studio, preset: &Preset, seed: u64) -> Result<ExperimentSummary, Problem> {
    let mut stages = preset.stages.clone();
    stages.iter_mut().filter_map(Stage::recipe_mut).for_each(|recipe| recipe.seed = seed);
    let made = studio.create_experiment(&format!("{} · seed {seed}", preset.id), "", stages, None)?;
    studio.start_experiment(&made.experiment.id)?;
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = studio.get_experiment(&made.experiment.id)?;
        if let Some(run) = now.runs.iter().find(|run| run.state == RunState::Failed) {
            return Err(run
                .problem
                .clone()
                .unwrap_or_else(|| Problem::internal(wording!("A stage failed.", "一个阶段失败。"))));
        }
        if now.runs.iter().all(|run| run.state.is_settled()) {
            return Ok(now);
        }
    }
}

/// One line: the figures of a stage, before and after.
fn figures(preset: &str, seed: u64, run: &RunView) -> Value {
    let measure = |evaluation: &Evaluation, key: &str, after: bool| {
        let stack = if after { evaluation.last() } else { evaluation.baseline };
        evaluation.measure(key)?.value(stack).copied()
    };
    let side = |after: bool| -> Value {
        let figures = FIGURES.iter().filter_map(|key| {
            let estimate: Estimate = run.evaluations.iter().find_map(|found| measure(found, key, after))?;
            Some(((*key).to_owned(), json!(estimate)))
        });
        Value::Object(figures.collect())
    };
    json!({
        "experiment": preset, "seed": seed, "stage": run.stage + 1, "method": run.method.as_ref().map(MethodName::as_str),
        "steps": run.step, "seconds": run.seconds, "before": side(false), "after": side(true), "metrics": run.metrics,
    })
}

fn print(row: &Value) {
    let show = |side: &str, key: &str| match &row[side][key] {
        Value::Null => "–".to_owned(),
        estimate => {
            let percent = |name: &str| 100.0 * estimate[name].as_f64().unwrap_or(f64::NAN);
            format!("{:.1} ({:.1}–{:.1}, n {})", percent("value"), percent("low"), percent("high"), estimate["n"])
        }
    };
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    output::line(format!("{} · seed {} · {} {}", text("experiment"), row["seed"], row["stage"], text("method")));
    for key in FIGURES {
        output::line(format!("  {key:<14} {} → {}", show("before", key), show("after", key)));
    }
}
