//! What a report says about a stage. Facts come from the records of models and data sets, which outlive their removal; if even
//! a record is gone, from the plan that the run was started with. A finished run has its report in any case.

use crate::runs::inputs::{HELD_OUT, ROWS};
use crate::studio::Studio;
use alidade_data::builder;
use alidade_domain::{
    Curve, LoraSpec, MethodCard, Phase, PrefixSpec, Problem, Recipe, ReportChart, ReportStage, SettingField,
    SettingValue, Settings, Stage, StagePlan, Tone, Tuning, UsedData, UsedModel, UsedSetting, Wording,
};
use alidade_store::RunRecord;
use alidade_train::method;
use serde::Deserialize;

/// A gap between two events that is longer counts as no work: the machine slept or the run waited.
const LONGEST_GAP_MS: u64 = 120_000;

impl Studio {
    pub(super) fn report_stage(&self, run: &RunRecord) -> Result<ReportStage, Problem> {
        let card = run.work.method().and_then(|name| method(name).ok()).map(|method| method.card());
        let plan = self.store.plan(&run.id)?.and_then(|text| serde_json::from_str::<StagePlan>(&text).ok());
        let [working, comparing] = self.durations(run)?;
        Ok(ReportStage {
            number: run.stage + 1,
            kind: run.work.kind().to_owned(),
            method: run.work.method().map(|name| match &card {
                Some(card) => card.label.into(),
                None => Wording::name(name.as_str()),
            }),
            method_title: card.as_ref().map(|card| card.title.into()),
            state: run.state,
            model: self.used_model(run, plan.as_ref()),
            data: self.used_data(run, plan.as_ref()),
            seed: seed(&run.work),
            steps: run.step,
            working_seconds: working as f64 / 1_000.0,
            comparing_seconds: comparing as f64 / 1_000.0,
            made: run.artifacts.clone(),
            settings: settings(&run.work, card.as_ref()),
            charts: self.charts(run, card.as_ref())?,
            evaluations: self.evaluations_of(run),
        })
    }

    /// The base model of a stage, from its record or its plan.
    fn used_model(&self, run: &RunRecord, plan: Option<&StagePlan>) -> Option<UsedModel> {
        let recorded = run.work.model().and_then(|source| self.model_record(source.stored()?).ok());
        if let Some(record) = recorded {
            let (name, sha256) = (record.model.name, record.model.sha256);
            return Some(UsedModel { name, parameters: Some(record.parameters), sha256 });
        }
        let (model, _) = plan?.model()?;
        let parameters = run.estimate.as_ref().map(|estimate| estimate.model_parameters);
        Some(UsedModel { name: model.name.clone(), parameters, sha256: model.sha256.clone() })
    }

    /// The rows of a stage, from the record of their set and from the run's own copies.
    fn used_data(&self, run: &RunRecord, plan: Option<&StagePlan>) -> Option<UsedData> {
        let source = run.work.dataset()?;
        let record = self.dataset_of_run(source, run).ok();
        let planned = plan.and_then(StagePlan::rows_sha256).map(str::to_owned);
        let estimate = run.estimate.as_ref();
        let rows = estimate.map(|estimate| estimate.rows).or_else(|| self.rows_in(run, ROWS));
        let held_out = estimate.map(|estimate| estimate.held_out_rows).or_else(|| self.rows_in(run, HELD_OUT));
        let (name, sha256, summary) = match record {
            Some(set) => (set.name, Some(set.sha256), Some(set.summary)),
            None => (String::new(), planned, None),
        };
        Some(UsedData { name, sha256: sha256.unwrap_or_default(), rows, held_out: held_out.unwrap_or(0), summary })
    }

    /// Rows in a file of a run; absent if it cannot be read.
    fn rows_in(&self, run: &RunRecord, name: &str) -> Option<usize> {
        let text = std::fs::read(self.run_folder(&run.id).join(name)).ok()?;
        Some(text.iter().filter(|byte| **byte == b'\n').count())
    }

    /// The curves of a run, as its method declares them; unknown methods have none.
    fn charts(&self, run: &RunRecord, card: Option<&MethodCard>) -> Result<Vec<ReportChart>, Problem> {
        let mut charts = Vec::new();
        for chart in card.into_iter().flat_map(|card| &card.watch.charts) {
            let mut curves = Vec::new();
            for line in &chart.lines {
                let points = self.store.metric(&run.id, line.metric.key)?;
                if points.len() > 1 {
                    let dashed = line.tone == Tone::Dashed;
                    curves.push(Curve { label: line.metric.label.into(), dashed, points });
                }
            }
            if !curves.is_empty() {
                charts.push(ReportChart { title: chart.title.into(), curves, usual: chart.usual });
            }
        }
        Ok(charts)
    }

    /// Milliseconds that a run worked, and that it compared before and after.
    fn durations(&self, run: &RunRecord) -> Result<[u64; 2], Problem> {
        let mut clock = PhaseClock::default();
        self.store.each_event(&run.id, &mut |_, text| clock.pass(text))?;
        // An evaluation is the stage's own work, not a comparison beside it.
        Ok(match &run.work {
            Stage::Train(_) => [clock.working, clock.comparing],
            _ => [clock.working + clock.comparing, 0],
        })
    }
}

/// Adds up the time between events by the phase that they are in.
#[derive(Default)]
pub(super) struct PhaseClock {
    last: u64,
    runs: bool,
    compares: bool,
    pub(super) working: u64,
    pub(super) comparing: u64,
}

/// What the clock needs of an event.
#[derive(Deserialize)]
struct Moment {
    at_ms: u64,
    kind: String,
    #[serde(default)]
    phase: Option<Phase>,
}

impl PhaseClock {
    pub(super) fn pass(&mut self, text: &str) {
        let Ok(moment) = serde_json::from_str::<Moment>(text) else { return };
        let passed = moment.at_ms.saturating_sub(self.last);
        if self.runs && passed < LONGEST_GAP_MS {
            *(if self.compares { &mut self.comparing } else { &mut self.working }) += passed;
        }
        self.last = moment.at_ms;
        match moment.kind.as_str() {
            "started" => (self.runs, self.compares) = (true, false),
            "stage" => self.compares = moment.phase == Some(Phase::Evaluating),
            "queued" | "paused" | "interrupted" | "failed" | "finished" | "stopped" | "discarded" => self.runs = false,
            _ => {}
        }
    }
}

fn seed(work: &Stage) -> Option<u64> {
    match work {
        Stage::Train(recipe) => Some(recipe.seed),
        Stage::Build(recipe) => Some(recipe.seed),
        Stage::Evaluate(_) | Stage::Fetch(_) | Stage::Export(_) => None,
    }
}

/// What a training stage starts from, what scores it, and the shape of what it trains; the report names these keys.
fn shape(recipe: &Recipe) -> Vec<UsedSetting> {
    let used = |key: &str, value: SettingValue, default: Option<SettingValue>| UsedSetting {
        key: key.to_owned(),
        label: Wording::name(key),
        value,
        default,
    };
    let named = |key: &str, source: Option<String>| Some(used(key, SettingValue::Text(source?), None));
    let mut found: Vec<UsedSetting> = [
        named("adapter", recipe.adapter.as_ref().map(ToString::to_string)),
        named("reward", recipe.reward.as_ref().map(ToString::to_string)),
        named("cost", recipe.cost.as_ref().map(ToString::to_string)),
    ]
    .into_iter()
    .flatten()
    .collect();
    match (&recipe.prefix, recipe.tuning) {
        (_, Some(Tuning::Full)) => found.extend(named("tuning", Some("full".to_owned()))),
        (Some(prefix), _) => {
            let usual = SettingValue::Whole(PrefixSpec::default().num_virtual_tokens as i64);
            found.push(used("num_virtual_tokens", SettingValue::Whole(prefix.num_virtual_tokens as i64), Some(usual)));
        }
        // An adapter that goes on has the shape of its first stage.
        (None, _) if recipe.adapter.is_some() => {}
        (None, _) => {
            let values = |lora: LoraSpec| {
                let rank = SettingValue::Whole(lora.r as i64);
                [rank, SettingValue::Number(lora.lora_alpha), SettingValue::Number(lora.lora_dropout)]
            };
            let chosen = values(recipe.lora.clone().unwrap_or_default()).into_iter().zip(values(LoraSpec::default()));
            let keys = ["r", "lora_alpha", "lora_dropout"].into_iter().zip(chosen);
            found.extend(keys.map(|(key, (value, usual))| used(key, value, Some(usual))));
        }
    }
    found
}

/// Every setting of a stage with its default, in the order of its form; unknown ones at the end.
fn settings(work: &Stage, card: Option<&MethodCard>) -> Vec<UsedSetting> {
    let (chosen, fields): (&Settings, Vec<SettingField>) = match (work, card) {
        (Stage::Train(recipe), Some(card)) => (&recipe.settings, card.settings.clone()),
        (Stage::Train(recipe), None) => (&recipe.settings, Vec::new()),
        (Stage::Build(recipe), _) => {
            (&recipe.settings, builder(&recipe.builder).map(|builder| builder.fields()).unwrap_or_default())
        }
        _ => return Vec::new(),
    };
    let known = fields.iter().map(|field| UsedSetting {
        key: field.key.to_owned(),
        label: field.label.into(),
        value: chosen.0.get(field.key).unwrap_or(&field.default).clone(),
        default: Some(field.default.clone()),
    });
    let unknown = chosen.0.iter().filter(|(key, _)| !fields.iter().any(|field| field.key == key.as_str()));
    let unknown = unknown.map(|(key, value)| UsedSetting {
        key: key.clone(),
        label: Wording::name(key),
        value: value.clone(),
        default: None,
    });
    let shape = work.recipe().map(shape).unwrap_or_default();
    shape.into_iter().chain(known).chain(unknown).collect()
}
