//! Reports and exports. What a report says of a stage is in `stages.rs`; the words are in the report crate.

pub(crate) mod export;
mod stages;
#[cfg(test)]
mod tests;

use crate::experiments::latest;
use crate::experiments::stages::origin;
use crate::reports::export::export_apart;
use crate::studio::Studio;
use crate::views::ReportView;
use alidade_domain::{Experiment, ExportForm, Language, Licence, LocalTime, MadeWith, Problem, Report, wording};
use alidade_jobs::files::durable::write_durably;
use alidade_report::{to_html, to_markdown};
use jiff::{Timestamp, tz::TimeZone};
use std::path::Path;

impl Studio {
    /// The report of an experiment in both forms.
    ///
    /// # Errors
    /// When there is none of this id, or no such language.
    pub fn get_report(&self, experiment: &str, language: &str) -> Result<ReportView, Problem> {
        let language = Language::of(language)?;
        let report = self.report(experiment)?;
        Ok(ReportView { html: to_html(&report, language)?, markdown: to_markdown(&report, language)? })
    }

    /// Writes a report to a file that the person picked.
    ///
    /// # Errors
    /// When form or language is unknown, or the file cannot be written.
    pub fn save_report(&self, experiment: &str, format: &str, language: &str, handle: &str) -> Result<(), Problem> {
        let view = self.get_report(experiment, language)?;
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
        let stages = runs.iter().map(|run| self.report_stage(run)).collect::<Result<Vec<_>, _>>()?;
        let ended = runs.iter().map(|run| run.last_ms).max().unwrap_or(experiment.created_ms);
        Ok(Report {
            title: experiment.title.clone(),
            question: experiment.question.clone(),
            date: local(ended),
            overall: self.overall(&experiment, &runs),
            stages,
            licences: self.licences(&experiment),
            made_with: MadeWith {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                machine: format!("{}, {}", std::env::consts::OS, std::env::consts::ARCH),
                threads: self.configuration.threads,
            },
            // Without the file the report is still worth reading.
            file: self.experiment_file(id).ok(),
        })
    }

    fn licences(&self, experiment: &Experiment) -> Vec<Licence> {
        let mut found: Vec<Licence> = Vec::new();
        let mut add = |name: String, licence: Option<String>| {
            if !found.iter().any(|known| known.name == name) {
                found.push(Licence { name, licence });
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

/// A moment in the time zone of this machine.
fn local(ms: u64) -> LocalTime {
    let moment = Timestamp::from_millisecond(i64::try_from(ms).unwrap_or_default()).unwrap_or_default();
    let time = TimeZone::system().to_datetime(moment);
    LocalTime {
        year: time.year(),
        month: time.month(),
        day: time.day(),
        hour: time.hour(),
        minute: time.minute(),
        second: time.second(),
    }
}
