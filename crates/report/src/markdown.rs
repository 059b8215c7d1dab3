//! The report as Markdown: plain tables that read well as text.

use crate::words::{answer_titles, columns, sample_texts, stacks};
use alidade_domain::{Evaluation, Fact, Report, ReportStage};
use std::fmt::Write as _;

/// Writes the report.
pub fn to_markdown(report: &Report) -> String {
    let mut text = format!("# {}\n\n", cell(&report.title));
    if !report.question.is_empty() {
        let _ = writeln!(text, "{}\n", cell(&report.question));
    }
    let _ = writeln!(text, "**{}**\n", cell(&report.verdict));
    if !report.overall.is_empty() {
        text.push_str("## Before and after\n\n");
    }
    report.overall.iter().for_each(|found| evaluation(&mut text, found));
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
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            cell(&curve.name),
            value(curve.points.first()),
            value(curve.points.last())
        );
    }
    if own_figures && !stage.evaluations.is_empty() {
        text.push_str("\n### Before and after this stage\n");
    }
    for found in stage.evaluations.iter().filter(|_| own_figures) {
        text.push('\n');
        figures(text, found);
    }
    let _ = writeln!(text, "\n```toml\n{}```\n", stage.recipe.replace("```", ""));
}

fn evaluation(text: &mut String, found: &Evaluation) {
    figures(text, found);
    if !found.samples.is_empty() {
        text.push_str("\n### Samples\n\n");
        row(text, "prompt", &answer_titles(found));
        rule(text, found.stacks.len());
        for sample in &found.samples {
            let (prompt, answers) = sample_texts(sample);
            row(text, &prompt, &answers);
        }
    }
    text.push('\n');
}

fn figures(text: &mut String, found: &Evaluation) {
    let _ = writeln!(
        text,
        "{}; {}, temperature {}, seed {}\n",
        stacks(found).into_iter().map(cell).collect::<Vec<_>>().join(" → "),
        cell(&found.title.en),
        found.temperature,
        found.seed
    );
    let columns = columns(found);
    row(text, "measure", &columns.iter().map(|column| column.title.clone()).collect::<Vec<_>>());
    rule(text, columns.len());
    for measure in &found.measures {
        row(text, &measure.words.title.en, &columns.iter().map(|column| column.cell(measure)).collect::<Vec<_>>());
    }
}

/// A row of a table: its head and its cells.
fn row(text: &mut String, head: &str, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    let _ = writeln!(text, "| {} | {} |", cell(head), cells.join(" | "));
}

/// What parts the head of a table with so many cells from its rows.
fn rule(text: &mut String, cells: usize) {
    let _ = writeln!(text, "|---{}|", "|---".repeat(cells));
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
