//! The report as Markdown: plain tables that read well as text.

use crate::words::{change, figure, name, sample_texts};
use alidade_domain::{Evaluation, Fact, Report, ReportStage};
use std::fmt::Write as _;

/// Writes the report.
pub fn to_markdown(report: &Report) -> String {
    let mut text = format!("# {}\n\n", cell(&report.title));
    if !report.question.is_empty() {
        let _ = writeln!(text, "{}\n", cell(&report.question));
    }
    let _ = writeln!(text, "**{}**\n", cell(&report.verdict));
    if let Some(overall) = &report.overall {
        text.push_str("## Before and after\n\n");
        evaluation(&mut text, overall);
    }
    for stage in &report.stages {
        write_stage(&mut text, stage, report.stages.len() > 1);
    }
    text.push_str("## Limits\n\n");
    report.limits.iter().for_each(|limit| text.push_str(&format!("- {}\n", cell(limit))));
    for (title, facts) in [("Licences", &report.licences), ("Made with", &report.made_with)] {
        let _ = writeln!(text, "\n## {title}\n");
        table(&mut text, facts);
    }
    text
}

fn write_stage(text: &mut String, stage: &ReportStage, own_figures: bool) {
    let _ = writeln!(text, "## {}\n", cell(&stage.title));
    table(text, &stage.setup);
    if let Some(data) = &stage.data {
        let _ = writeln!(text, "\nData: {} of {} rows kept ({}).", data.kept, data.read, cell(&data.format));
        for reason in &data.dropped {
            let _ = writeln!(text, "- {} rows dropped: {}", reason.rows, cell(&reason.reason));
        }
    }
    text.push_str("\n| curve | first | last |\n|---|---|---|\n");
    for curve in &stage.curves {
        let value =
            |point: Option<&(f64, f64)>| point.map_or_else(|| "–".to_owned(), |(_, value)| format!("{value:.4}"));
        let _ = writeln!(text, "| {} | {} | {} |", curve.name, value(curve.points.first()), value(curve.points.last()));
    }
    if let Some(found) = stage.evaluation.as_ref().filter(|_| own_figures) {
        text.push_str("\n### Before and after this stage\n\n");
        figures(text, found);
    }
    let _ = writeln!(text, "\n```toml\n{}```\n", stage.recipe.replace("```", ""));
}

fn evaluation(text: &mut String, found: &Evaluation) {
    figures(text, found);
    text.push_str("\n### Samples\n\n| prompt | before | after |\n|---|---|---|\n");
    for sample in &found.samples {
        let [prompt, before, after] = sample_texts(sample);
        let _ = writeln!(text, "| {} | {} | {} |", cell(&prompt), cell(&before), cell(&after));
    }
    text.push('\n');
}

fn figures(text: &mut String, found: &Evaluation) {
    let _ = writeln!(
        text,
        "{} → {}; {}, temperature {}, seed {}\n",
        cell(&found.before_stack),
        cell(&found.after_stack),
        cell(&found.suite),
        found.temperature,
        found.seed
    );
    text.push_str("| measure | before | after | change |\n|---|---|---|---|\n");
    for measure in &found.measures {
        let side = |estimate| figure(&measure.unit, estimate);
        let (before, after) = (side(measure.before.as_ref()), side(measure.after.as_ref()));
        let _ = writeln!(text, "| {} | {before} | {after} | {} |", name(&measure.key), change(measure));
    }
}

fn table(text: &mut String, facts: &[Fact]) {
    text.push_str("| | |\n|---|---|\n");
    for fact in facts {
        let _ = writeln!(text, "| {} | {} |", cell(&fact.label), cell(&fact.value));
    }
}

/// Text that cannot break out of its line or cell, nor become markup.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => safe.push(' '),
            '|' | '<' | '>' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' => {
                safe.push('\\');
                safe.push(character);
            }
            _ => safe.push(character),
        }
    }
    safe
}
