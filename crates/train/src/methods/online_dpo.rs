//! Online DPO (Guo et al., arXiv 2402.04792): the policy answers each prompt twice, the better-rated answer is preferred,
//! and a DPO step is taken on the pair. Pairs that score alike say nothing and are left out.

use super::dpo::{Losses, pair_settings, step as dpo_step};
use crate::encode::{Encoder, Item, Prepared};
use crate::error::{Result, TrainError};
use crate::method::{Method, Needs};
use crate::rollout::{Drawing, asked, figures, measure, prompts, write};
use crate::session::{End, Session};
use crate::settings::{Defaults, common, number, steps, whole};
use crate::step::{StepContext, StepOutcome};
use alidade_domain::{
    Example, MethodCard, MethodName, Problem,
    SettingLevel::{Advanced, Simple},
    Settings,
};

/// The method.
pub(crate) struct OnlineDpo;

const DEFAULTS: Defaults = Defaults { learning_rate: 5e-6, epochs: 1.0, warmup_ratio: 0.1 };

impl Method for OnlineDpo {
    fn name(&self) -> MethodName {
        MethodName::OnlineDpo
    }

    fn card(&self) -> MethodCard {
        let mut settings = common(&DEFAULTS);
        settings.extend(pair_settings());
        settings.push(whole("max_new_tokens", 1, 4096, 64, Simple, "Most tokens of an answer."));
        settings.push(number("temperature", (0.05, 5.0), 0.9, Advanced, "Temperature of the draws."));
        MethodCard {
            name: MethodName::OnlineDpo,
            title: "Online DPO",
            summary: "Lets the model answer twice, has both answers rated, and learns from its own better one.",
            paper: "Guo et al., Direct Language Model Alignment from Online AI Feedback, 2024",
            needs: asked(),
            needs_reward: true,
            settings,
        }
    }

    fn needs(&self) -> Needs {
        Needs { reward: true, reference: true, ..Needs::default() }
    }

    fn rules(&self, settings: &Settings) -> std::result::Result<(), Problem> {
        Losses::of(settings).map(drop)
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder, settings: &Settings) -> Result<Prepared> {
        prompts(rows, encoder, settings, settings.whole("max_new_tokens").max(1) as usize)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared, settings: &Settings) -> Result<End> {
        let losses = Losses::of(settings).map_err(TrainError::Observer)?;
        let drawing = Drawing {
            temperature: settings.number("temperature"),
            max_new_tokens: settings.whole("max_new_tokens").max(1) as usize,
            each: 2,
            rows: 2 * settings.whole("per_device_train_batch_size").max(1) as usize,
        };
        let steps = steps(settings, prepared.items.len());
        session.iterate(&prepared.items, steps, settings, &mut |context| step(context, drawing, &losses))
    }
}

fn step(context: &mut StepContext, drawing: Drawing, losses: &Losses) -> Result<StepOutcome> {
    let mut rollouts = write(context, drawing)?;
    measure(context, &mut rollouts, drawing.temperature, drawing.rows)?;
    let pairs: Vec<Item> = rollouts
        .chunks(2)
        .filter(|pair| pair.len() == 2 && pair[0].prompt == pair[1].prompt && pair[0].score != pair[1].score)
        .enumerate()
        .map(|(index, pair)| {
            let (better, worse) = if pair[0].score > pair[1].score { (0, 1) } else { (1, 0) };
            Item::new(index + 1, vec![pair[better].row.clone(), pair[worse].row.clone()])
        })
        .collect();
    let mut outcome = StepOutcome::default();
    if !pairs.is_empty() {
        let micro_batches = pairs.chunks(drawing.rows / 2).map(|chunk| chunk.iter().collect()).collect();
        outcome = dpo_step(context.policy, &context.batch.with_rows(micro_batches), losses)?;
        context.check_finite("loss", outcome.loss)?;
        context.update()?;
    }
    outcome.metrics.extend(figures(&rollouts));
    let tied = 1.0 - pairs.len() as f64 / (rollouts.len() as f64 / 2.0).max(1.0);
    outcome.metrics.insert("ties".to_owned(), tied);
    outcome.tokens = rollouts.iter().map(|rollout| rollout.row.ids.len() as u64).sum();
    Ok(outcome)
}
