//! Data of the templates: the report with formatted values and drawn curves, the same for both formats.

use crate::chart::svg;
use crate::words::{answer_titles, columns, sample_texts, stacks};
use alidade_domain::{Curve, Evaluation, Fact, ImportSummary, Problem, Report, ReportStage};
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Page<'a> {
    title: &'a str,
    question: &'a str,
    verdict: &'a str,
    overall: Vec<Comparison<'a>>,
    stages: Vec<Stage<'a>>,
    limits: &'a [String],
    licences: &'a [Fact],
    made_with: &'a [Fact],
}

/// One evaluation: a table of its measures and one of its samples.
#[derive(Serialize)]
struct Comparison<'a> {
    stacks: Vec<Cell>,
    suite: &'a str,
    temperature: f64,
    seed: u64,
    columns: Vec<String>,
    measures: Vec<Row>,
    answers: Vec<String>,
    samples: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    head: String,
    /// Explanation of the head, where it needs one.
    explanation: String,
    cells: Vec<Cell>,
}

#[derive(Serialize)]
struct Cell {
    text: String,
    /// "base" for the baseline of a comparison, else "aligned".
    side: &'static str,
}

#[derive(Serialize)]
struct Stage<'a> {
    title: &'a str,
    setup: &'a [Fact],
    data: Option<&'a ImportSummary>,
    curves: Vec<Line<'a>>,
    evaluations: Vec<Comparison<'a>>,
    recipe: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    svg: String,
    first: String,
    last: String,
}

impl<'a> Page<'a> {
    /// # Errors
    /// When a curve cannot be drawn.
    pub(crate) fn of(report: &'a Report) -> Result<Self, Problem> {
        // The evaluations of a single stage are those of the whole.
        let own_evaluations = report.stages.len() > 1;
        Ok(Self {
            title: &report.title,
            question: &report.question,
            verdict: &report.verdict,
            overall: report.overall.iter().map(comparison).collect(),
            stages: report.stages.iter().map(|stage| of_stage(stage, own_evaluations)).collect::<Result<_, _>>()?,
            limits: &report.limits,
            licences: &report.licences,
            made_with: &report.made_with,
        })
    }
}

fn of_stage(stage: &ReportStage, own_evaluations: bool) -> Result<Stage<'_>, Problem> {
    Ok(Stage {
        title: &stage.title,
        setup: &stage.setup,
        data: stage.data.as_ref(),
        curves: stage.curves.iter().map(line).collect::<Result<_, _>>()?,
        evaluations: stage.evaluations.iter().filter(|_| own_evaluations).map(comparison).collect(),
        recipe: &stage.recipe,
    })
}

fn line(curve: &Curve) -> Result<Line<'_>, Problem> {
    let value = |point: Option<&(f64, f64)>| point.map_or_else(|| "–".to_owned(), |(_, value)| format!("{value:.4}"));
    let (first, last) = (value(curve.points.first()), value(curve.points.last()));
    Ok(Line { name: &curve.name, svg: svg(curve)?, first, last })
}

fn comparison(found: &Evaluation) -> Comparison<'_> {
    let columns = columns(found);
    let cell = |stack: usize, text: String| Cell { text, side: side(found, stack) };
    let measures = found.measures.iter().map(|measure| Row {
        head: measure.words.title.en.clone(),
        explanation: measure.words.explanation.en.clone(),
        cells: columns.iter().map(|column| cell(column.stack, column.cell(measure))).collect(),
    });
    let samples = found.samples.iter().map(|sample| {
        let (prompt, answers) = sample_texts(sample);
        let cells = answers.into_iter().enumerate().map(|(stack, answer)| cell(stack, answer)).collect();
        Row { head: prompt, explanation: String::new(), cells }
    });
    Comparison {
        stacks: stacks(found).into_iter().enumerate().map(|(stack, name)| cell(stack, name.to_owned())).collect(),
        suite: &found.title.en,
        temperature: found.temperature,
        seed: found.seed,
        measures: measures.collect(),
        samples: samples.collect(),
        answers: answer_titles(found),
        columns: columns.into_iter().map(|column| column.title).collect(),
    }
}

/// Two colours distinguish the baseline from the other stacks; a single stack needs only one.
fn side(found: &Evaluation, stack: usize) -> &'static str {
    if stack == found.baseline && found.stacks.len() > 1 { "base" } else { "aligned" }
}
