//! What a recipe would do and cost, before it is carried out.

use crate::terminal::resolve::ResolvedRecipe;
use alidade_domain::{CheckedPipeline, LoraSpec, Problem, Recipe, Trainable};
use alidade_jobs::files::durable::write_private;
use alidade_jobs::machine;
use alidade_jobs::train::estimate::{ModelFacts, StageAsk, estimate};
use alidade_jobs::train::memory;
use alidade_jobs::train::pace::Gauge;
use alidade_jobs::train::warnings::warnings;
use alidade_model::{ModelFolder, load_adapter};
use alidade_train::method;

/// Counts the rows of a recipe, measures a step and says what deserves attention. Writes nothing but a temporary file.
///
/// # Errors
/// When rows, model and settings do not fit together, at the field.
pub fn dry_run(recipe: &Recipe, resolved: &ResolvedRecipe) -> Result<CheckedPipeline, Problem> {
    let plan = &resolved.plan;
    let folder = ModelFolder::open(&plan.model_dir).map_err(|error| Problem::from(error).at("model"))?;
    let temporary = std::env::temp_dir().join(format!("alidade-plan-{}.jsonl", std::process::id()));
    write_private(&temporary, resolved.rows.as_bytes())?;
    let recipe = match &plan.trains {
        // The estimate counts the resulting adapter: that of the one that is continued, as if on every linear layer.
        Trainable::Continued { folder: adapter } => {
            let known = load_adapter(adapter, &folder.spec).map_err(|error| Problem::from(error).at("adapter"))?.config;
            let (r, lora_alpha, lora_dropout) = (known.r.max(1), known.lora_alpha, known.lora_dropout);
            Recipe { lora: Some(LoraSpec { r, lora_alpha, lora_dropout, ..LoraSpec::default() }), ..recipe.clone() }
        }
        _ => recipe.clone(),
    };
    let ask = StageAsk {
        stage: 0,
        recipe: Recipe { compare: Some(0), ..recipe },
        settings: plan.settings.clone(),
        model: ModelFacts {
            model: plan.model.clone(),
            folder: plan.model_dir.clone(),
            parameters: folder.spec.parameters(),
            context_tokens: folder.spec.context,
            bundled: false,
        },
        rows: temporary.clone(),
        rows_sha256: plan.rows_sha256.clone(),
        split: plan.seed,
        holds_out: false,
        others: Vec::new(),
        oracle: false,
    };
    let found = estimate(&ask, &mut Gauge::default(), &mut |_| true);
    // A leftover in the folder for temporary files is harmless.
    let _ = std::fs::remove_file(&temporary);
    let (stages, problems) = match found {
        Ok(stage) => (vec![stage], Vec::new()),
        Err(problem) => (Vec::new(), vec![problem]),
    };
    let training = method(&plan.method)?.configure(&plan.settings)?;
    let mut checked = CheckedPipeline {
        ready: false,
        problems,
        warnings: stages.iter().flat_map(|stage| warnings(training.as_ref(), stage)).collect(),
        free_memory_bytes: machine::free_memory_bytes(),
        free_disk_bytes: machine::free_disk_bytes(resolved.output.parent().unwrap_or(&resolved.output)),
        stages,
        compare: None,
    };
    let needed = checked.stages.iter().map(|stage| stage.memory_bytes).max().unwrap_or(0);
    checked.problems.extend(memory::refuse(needed, checked.free_memory_bytes));
    checked.ready = checked.problems.is_empty();
    Ok(checked)
}
