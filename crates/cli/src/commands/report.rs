//! `alidade report EXPERIMENT`: the report of an experiment of the app.

use crate::{language, output};
use alidade_domain::{Problem, ProblemCode, Wording, wording};
use alidade_studio::{Configuration, Studio, write_durably};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `report`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Identifier or title of the experiment.
    experiment: String,
    /// Output file; its extension, .html or .md, decides the format. Without it Markdown is printed.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Print both forms as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let html = match arguments.output.as_ref().map(|path| path.extension().and_then(|ending| ending.to_str())) {
        None | Some(Some("md" | "markdown")) => false,
        Some(Some("html" | "htm")) => true,
        Some(_) => {
            let message = wording!("A report can be written as .html or .md.", "报告可以写成 .html 或 .md。");
            let hint = wording!(
                "For a PDF, write it as .html, open that in a browser and print it into a file.",
                "要得到 PDF，请写成 .html，在浏览器中打开后打印到文件。"
            );
            return Err(Problem::input(message).hint(hint).at("output"));
        }
    };
    let studio = Studio::open(Configuration::of_environment()?)?;
    let wanted = &arguments.experiment;
    let all = studio.list_experiments()?;
    let found = all.iter().map(|summary| &summary.experiment).find(|e| e.id == *wanted || e.title == *wanted);
    let experiment = found.ok_or_else(|| {
        let titles: Vec<&str> = all.iter().map(|summary| summary.experiment.title.as_str()).collect();
        let hint = match titles.as_slice() {
            [] => wording!(
                "There is no experiment yet: create one in the window, or with alidade serve.",
                "还没有实验：请在窗口中或用 alidade serve 创建一个。"
            ),
            titles => wording!("Known: {titles}.", "可用：{titles}。"; titles = Wording::names(titles)),
        };
        let message = wording!("There is no experiment “{wanted}”.", "没有名为“{wanted}”的实验。");
        Problem::new(ProblemCode::NotFound, message).hint(hint)
    })?;
    let report = studio.get_report(&experiment.id, language::current().tag())?;
    match &arguments.output {
        _ if arguments.json => output::json(&json!(report)),
        None => output::line(report.markdown),
        Some(path) => {
            let text = if html { report.html } else { report.markdown };
            write_durably(path, text.as_bytes()).map_err(|problem| problem.at("output"))?;
            output::note(wording!("Report written to {path}.", "报告已写入 {path}。", path = path.display()));
        }
    }
    Ok(())
}
