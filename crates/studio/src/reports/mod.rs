//! Reports and exports.

pub(crate) mod export;

use crate::experiments::latest;
use crate::experiments::stages::origin;
use crate::reports::export::export_apart;
use crate::studio::Studio;
use crate::views::ReportView;
use alidade_domain::{
    Artifact, Curve, Experiment, ExportForm, Fact, ImportSummary, Problem, Recipe, Report, ReportStage, SettingValue,
    Stage, wording,
};
use alidade_jobs::files::durable::write_durably;
use alidade_report::{to_html, to_markdown, verdict};
use alidade_store::RunRecord;
use std::path::Path;

/// Curves of a report in this order, if a run has them.
const CURVES: &[&str] = &[
    "objective/scores",
    "reward",
    "objective/kl",
    "completions/mean_length",
    "objective/entropy",
    "policy/clipfrac_avg",
    "loss",
    "accuracy",
    "margin",
    "rewards/margins",
    "rewards/accuracies",
    "rewards/chosen",
    "rewards/rejected",
    "log_odds_chosen",
    "kl",
    "mean_token_accuracy",
];

impl Studio {
    /// The report of an experiment in both forms.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn get_report(&self, experiment: &str) -> Result<ReportView, Problem> {
        let report = self.report(experiment)?;
        Ok(ReportView { html: to_html(&report)?, markdown: to_markdown(&report)? })
    }

    /// Writes a report to a file that the person picked.
    ///
    /// # Errors
    /// When the form is unknown or the file cannot be written.
    pub fn save_report(&self, experiment: &str, format: &str, handle: &str) -> Result<(), Problem> {
        let view = self.get_report(experiment)?;
        let text = match format {
            "html" => view.html,
            "markdown" => view.markdown,
            _ => {
                return Err(Problem::input(wording!(
                    "A report is html or markdown, not {format}.",
                    "报告的格式是 html 或 markdown，不支持 {format}。"
                ))
                .at("format"));
            }
        };
        write_durably(&self.path_of(handle)?, text.as_bytes()).map_err(|problem| problem.at("handle"))
    }

    /// Writes an adapter, or its base with it merged in, into a folder that the person picked, and verifies it.
    ///
    /// # Errors
    /// When the folder is not empty, cannot be written, or the logits of the copy differ from the original's.
    pub fn export_adapter(&self, adapter: &str, form: &str, handle: &str) -> Result<(), Problem> {
        let record = self.store.adapter(adapter)?;
        let model = self.model_record(&record.model.id)?;
        let form = match form {
            "peft" => ExportForm::Peft,
            "merged" => ExportForm::Merged,
            _ => {
                return Err(Problem::input(wording!(
                    "An export is peft or merged, not {form}.",
                    "导出的形式是 peft 或 merged，不支持 {form}。"
                ))
                .at("form"));
            }
        };
        let name: String = record.adapter.name.chars().filter(|c| c.is_alphanumeric()).collect();
        let short: String = record.adapter.sha256.chars().take(8).collect();
        let folder = self.path_of(handle)?.join(format!("{}-{name}-{short}", model.model.name));
        if folder.exists() {
            return Err(Problem::input(wording!("{path} already exists.", "{path} 已存在。", path = folder.display()))
                .hint(wording!("Choose another folder.", "请选择另一个文件夹。"))
                .at("handle"));
        }
        self.verify_model(&record.model, Path::new(&model.folder))?;
        self.verify_adapter(Path::new(&record.folder), &record.adapter.sha256, "adapter")?;
        let sources = [Path::new(&model.folder), Path::new(&record.folder)];
        export_apart(&self.configuration.program, sources, form, &folder).map(drop)
    }

    fn report(&self, id: &str) -> Result<Report, Problem> {
        let experiment = self.store.experiment(id)?;
        let runs = self.store.runs_of(id)?;
        let runs = latest(&runs);
        let overall = self.overall(&experiment, &runs);
        let stages = runs.iter().map(|run| self.report_stage(run)).collect::<Result<Vec<_>, _>>()?;
        let info = self.app_info();
        Ok(Report {
            title: experiment.title.clone(),
            question: experiment.question.clone(),
            verdict: verdict(&overall),
            overall,
            stages,
            limits: limits(),
            licences: self.licences(&experiment),
            made_with: vec![fact("Alidade", info.version), fact("Machine", info.machine)],
        })
    }

    fn report_stage(&self, run: &RunRecord) -> Result<ReportStage, Problem> {
        let (setup, data, name) = match &run.work {
            Stage::Train(recipe) => self.setup_of_training(run, recipe)?,
            other => (self.setup_of(run)?, None, other.kind().to_owned()),
        };
        let mut curves = Vec::new();
        for name in CURVES {
            let points = self.store.metric(&run.id, name)?;
            if points.len() > 1 {
                curves.push(Curve { name: (*name).to_owned(), points });
            }
        }
        Ok(ReportStage {
            title: format!("{} · {}", run.stage + 1, name.to_uppercase()),
            setup,
            data,
            curves,
            evaluations: self.evaluations_of(run),
            recipe: run.work.to_toml()?,
        })
    }

    fn setup_of_training(&self, run: &RunRecord, recipe: &Recipe) -> Result<Setup, Problem> {
        let model = self.model_facts(recipe)?;
        let dataset = self.dataset_of_run(&recipe.dataset, run)?;
        let mut setup = vec![
            fact("Method", recipe.method.as_str().to_owned()),
            fact("Model", format!("{} ({} parameters)", model.model.name, model.parameters)),
            fact("Model SHA-256", model.model.sha256),
            fact("Data", format!("{} ({} rows)", dataset.name, dataset.summary.kept)),
            fact("Data SHA-256", dataset.sha256),
            fact("Seed", recipe.seed.to_string()),
            fact("Steps", run.step.to_string()),
            fact("Time", format!("{:.0} s", run.worked_ms as f64 / 1000.0)),
        ];
        setup.extend(run.adapter_sha256.iter().map(|sha256| fact("Adapter SHA-256", sha256.clone())));
        setup.extend(recipe.settings.0.iter().map(|(key, value)| fact(key, show(value))));
        Ok((setup, Some(dataset.summary), recipe.method.as_str().to_owned()))
    }

    /// Inputs and results of a stage that does not train.
    fn setup_of(&self, run: &RunRecord) -> Result<Vec<Fact>, Problem> {
        let mut setup = Vec::new();
        if let Some(model) = run.work.model().and_then(|source| source.stored()) {
            let model = self.model_record(model)?;
            setup.push(fact("Model", format!("{} ({} parameters)", model.model.name, model.parameters)));
            setup.push(fact("Model SHA-256", model.model.sha256));
        }
        setup.push(fact("Time", format!("{:.0} s", run.worked_ms as f64 / 1000.0)));
        for artifact in &run.artifacts {
            setup.extend(match artifact {
                Artifact::Dataset { sha256, rows, left_out, .. } => vec![
                    fact("Rows made", rows.to_string()),
                    fact("Rows of which nothing could be made", left_out.to_string()),
                    fact("Data SHA-256", sha256.clone()),
                ],
                Artifact::Model { sha256, .. } => vec![fact("Model written, SHA-256", sha256.clone())],
                Artifact::File { what, bytes, .. } => vec![fact("Written", format!("{what}, {bytes} bytes"))],
                Artifact::Adapter { .. } | Artifact::Evaluation { .. } | Artifact::Report { .. } => Vec::new(),
            });
        }
        Ok(setup)
    }

    fn licences(&self, experiment: &Experiment) -> Vec<Fact> {
        let mut found: Vec<Fact> = Vec::new();
        let mut add = |label: String, licence: Option<String>| {
            if !found.iter().any(|fact| fact.label == label) {
                found.push(Fact { label, value: licence.unwrap_or_else(|| "not stated".to_owned()) });
            }
        };
        for stage in &experiment.stages {
            let model = stage.model().and_then(|source| self.model_record(source.stored()?).ok());
            model.into_iter().for_each(|model| add(model.model.name, model.licence));
            let dataset = stage.dataset().and_then(|source| origin(source, &experiment.stages));
            let dataset = dataset.and_then(|id| self.dataset_record(id).ok());
            dataset.into_iter().for_each(|dataset| add(dataset.name, dataset.licence));
        }
        found
    }
}

/// Setup, rows and name of a stage.
type Setup = (Vec<Fact>, Option<ImportSummary>, String);

fn fact(label: &str, value: String) -> Fact {
    Fact { label: label.to_owned(), value }
}

fn limits() -> Vec<String> {
    [
        "The prompts are few and of one kind; the interval tells how few, not how typical they are.",
        "Answers are drawn at one temperature with one seed for each prompt.",
        "A change outside of what was measured is not excluded.",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn show(value: &SettingValue) -> String {
    match value {
        SettingValue::Flag(value) => value.to_string(),
        SettingValue::Whole(value) => value.to_string(),
        SettingValue::Number(value) => value.to_string(),
        SettingValue::Text(value) => value.clone(),
        SettingValue::Numbers(values) => values.iter().map(f64::to_string).collect::<Vec<_>>().join(", "),
        SettingValue::Names(names) => names.join(", "),
        SettingValue::Automatic => "automatic".to_owned(),
    }
}
