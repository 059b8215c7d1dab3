//! The rows of a run's first step as tokens, as the model sees them, with marks on learned or scored tokens.

use crate::confined::{self, Job, Link, request_of};
use crate::models::vetting::limits_for;
use crate::studio::Studio;
use crate::views::{TokenPiece, TokenRowView};
use alidade_domain::{Plan, Problem, ProblemCode, Wording, wording};
use alidade_jobs::train::execute::read_rows;
use alidade_jobs::worker::PLAN;
use alidade_model::{ModelFolder, TextTokenizer, TokenRow};
use alidade_train::{Encoder, batch_of, method};
use serde_json::Value;
use std::sync::atomic::AtomicBool;

/// Name of the task.
pub(crate) const TASK: &str = "run_tokens";
/// Memory per byte of rows, which exist as text, as examples and as tokens.
const PER_ROW_BYTE: u64 = 16;
/// Number of rows that are shown.
const ROWS: usize = 4;

impl Studio {
    /// The first rows of a run's first step.
    ///
    /// # Errors
    /// When the run has not begun, or its model is no longer readable.
    pub fn run_tokens(&self, run: &str) -> Result<Vec<TokenRowView>, Problem> {
        let text = std::fs::read(self.run_folder(&self.store.run(run)?.id).join(PLAN)).map_err(|_| {
            Problem::new(
                ProblemCode::NotFound,
                wording!(
                    "This run has not begun, so its rows are not prepared yet.",
                    "这次运行尚未开始，数据还没有准备好。"
                ),
            )
            .hint(wording!("Wait until it starts.", "请等它开始。"))
        })?;
        let plan: Plan = serde_json::from_slice(&text)
            .map_err(|error| Problem::internal(wording!("The plan is damaged: {error}.", "计划已损坏：{error}。")))?;
        let rows = std::fs::metadata(&plan.rows).map_or(0, |data| data.len());
        let limits = limits_for(&plan.model_dir, false).plus(rows, PER_ROW_BYTE);
        let (what, program) = (
            wording!("Reading rows as the model “{name}” does", "按模型“{name}”的方式读取数据", name = plan.model.name),
            &self.configuration.program,
        );
        let stop = AtomicBool::new(false);
        let job = Job { program, task: TASK, what, field: "model", limits, stop: &stop };
        confined::run(&job, &plan, &mut |_| ())
    }
}

/// The task in the child.
pub(crate) fn task(request: Value, _: &mut Link) -> Result<Value, Problem> {
    let rows = first_rows(&request_of(request)?)?;
    serde_json::to_value(rows).map_err(|error| Problem::internal(Wording::name(error.to_string())))
}

fn first_rows(plan: &Plan) -> Result<Vec<TokenRowView>, Problem> {
    let folder = ModelFolder::open(&plan.model_dir).map_err(|error| Problem::from(error).at("model"))?;
    let tokenizer = folder.tokenizer()?;
    let template = folder.chat_template(&tokenizer, plan.now.unwrap_or_else(crate::local_time))?;
    let encoder = Encoder { tokenizer: &tokenizer, template: template.as_ref() };
    let training = method(&plan.method)?.configure(&plan.settings)?;
    let prepared = training.prepare(&read_rows(&plan.rows)?, &encoder)?;
    let steps = training.steps(prepared.items.len());
    let first = batch_of(&steps, plan.seed, 0).into_iter().flatten().take(ROWS);
    let shown = first.flat_map(|index| {
        let item = &prepared.items[index];
        item.sequences.iter().enumerate().map(|(part, row)| view(item.row, part, row, &tokenizer)).collect::<Vec<_>>()
    });
    Ok(shown.collect())
}

fn view(row: usize, part: usize, tokens: &TokenRow, tokenizer: &TextTokenizer) -> TokenRowView {
    let piece = |(id, learned): (&u32, &bool)| TokenPiece { text: tokenizer.piece(*id), learned: *learned };
    TokenRowView { row, part, pieces: tokens.ids.iter().zip(&tokens.scored).map(piece).collect() }
}
