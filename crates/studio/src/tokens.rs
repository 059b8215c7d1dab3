//! What the model sees: the rows of a run's first step as tokens, with marks on those that are learned or scored.

use crate::execute::read_rows;
use crate::studio::Studio;
use crate::views::{TokenPiece, TokenRowView};
use crate::worker::PLAN;
use alidade_domain::{Plan, Problem, ProblemCode};
use alidade_model::{ModelFolder, TextTokenizer, TokenRow};
use alidade_train::{Encoder, batch_of, method};

/// Rows that are shown.
const ROWS: usize = 4;

impl Studio {
    /// The first rows of a run's first step.
    ///
    /// # Errors
    /// When the run has not begun, or its model can no longer be read.
    pub fn run_tokens(&self, run: &str) -> Result<Vec<TokenRowView>, Problem> {
        let text = std::fs::read(self.run_folder(&self.store.run(run)?.id).join(PLAN)).map_err(|_| {
            Problem::new(ProblemCode::NotFound, "This run has not begun, so its rows are not made yet.")
                .hint("Wait until it starts.")
        })?;
        let plan: Plan = serde_json::from_slice(&text)
            .map_err(|error| Problem::internal(format!("The plan is damaged: {error}.")))?;
        let folder = ModelFolder::open(&plan.model_dir).map_err(|error| Problem::from(error).at("model"))?;
        let tokenizer = folder.tokenizer()?;
        let template = folder.chat_template(&tokenizer)?;
        let encoder = Encoder { tokenizer: &tokenizer, template: template.as_ref() };
        let method = method(plan.method);
        let prepared = method.prepare(&read_rows(&plan.rows)?, &encoder, &plan.settings)?;
        let steps = method.steps(&plan.settings, prepared.items.len());
        let first = batch_of(&steps, plan.seed, 0).into_iter().flatten().take(ROWS);
        let shown = first.flat_map(|index| {
            let item = &prepared.items[index];
            item.sequences
                .iter()
                .enumerate()
                .map(|(part, row)| view(item.row, part, row, &tokenizer))
                .collect::<Vec<_>>()
        });
        Ok(shown.collect())
    }
}

fn view(row: usize, part: usize, tokens: &TokenRow, tokenizer: &TextTokenizer) -> TokenRowView {
    let piece = |(id, learned): (&u32, &bool)| TokenPiece { text: tokenizer.piece(*id), learned: *learned };
    TokenRowView { row, part, pieces: tokens.ids.iter().zip(&tokens.scored).map(piece).collect() }
}
