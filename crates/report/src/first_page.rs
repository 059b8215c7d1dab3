//! The first page, which stands alone: verdict, main figures, intervals, and the set-up in a few lines.

use crate::figures::{change, date, duration, quantity, support, unit_of, value, whole};
use crate::intervals::{PlotRow, Scale, plot};
use crate::sentences::{Said, headline, name, rule, said};
use crate::words::{self, fill};
use alidade_domain::{
    Estimate, Finding, Judged, Language, MadeWith, Measure, Report, ReportStage, UsedData, UsedModel, Verdict,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// Figures that are shown large.
const LARGE: usize = 3;
/// Rates in the plot.
const RATES: usize = 6;
/// Other quantities that get an axis of their own.
const OTHERS: usize = 2;
/// Colours of the palette: base, aligned, and three more.
const COLORS: usize = 5;

/// The first page.
#[derive(Serialize)]
pub(crate) struct FirstPage {
    headline: &'static str,
    said: Vec<Said>,
    rule: String,
    figures: Vec<Figure>,
    plots: Vec<String>,
    legend: Vec<Mark>,
    brief: Vec<Brief>,
}

/// A figure that is shown large.
#[derive(Serialize)]
struct Figure {
    title: String,
    before: String,
    after: String,
    change: String,
    /// The value with its interval, for a table.
    value_before: String,
    value_after: String,
    /// The interval alone.
    interval_before: String,
    interval_after: String,
    kind: &'static str,
    word: &'static str,
}

/// A stack of the plot with the place of its colour.
#[derive(Serialize)]
struct Mark {
    color: usize,
    text: String,
}

/// A line of the set-up.
#[derive(Serialize)]
struct Brief {
    label: &'static str,
    values: Vec<String>,
}

impl FirstPage {
    pub(crate) fn of(language: Language, report: &Report) -> Self {
        let verdict = Verdict::on(&report.overall);
        let series = Series::of(report);
        Self {
            headline: headline(language, &verdict),
            said: said(language, &verdict),
            rule: if verdict.judged.is_empty() { String::new() } else { rule(language) },
            figures: verdict.main(LARGE).into_iter().map(|judged| figure(language, &verdict, judged)).collect(),
            plots: plots(language, &verdict, &series),
            legend: series.marks,
            brief: brief(language, report),
        }
    }
}

fn figure(language: Language, verdict: &Verdict, judged: &Judged) -> Figure {
    let (kind, word) = match judged.finding {
        _ if judged.is_still_high() => ("remains", words::REMAINS),
        Finding::Better => ("better", words::finding(judged.finding)),
        Finding::Worse => ("worse", words::finding(judged.finding)),
        Finding::Chance | Finding::Small | Finding::TooFew => ("open", words::finding(judged.finding)),
    };
    Figure {
        title: name(language, verdict, judged),
        before: quantity(language, judged.measure, judged.before.value),
        after: quantity(language, judged.measure, judged.after.value),
        change: change(language, judged.measure, Some(&judged.change)),
        value_before: value(language, judged.measure, &judged.before),
        value_after: value(language, judged.measure, &judged.after),
        interval_before: support(language, judged.measure, &judged.before),
        interval_after: support(language, judged.measure, &judged.after),
        kind,
        word: language.word(word),
    }
}

/// The stacks that are plotted: those of the comparison, and between the two those that earlier stages ended with.
struct Series<'r> {
    report: &'r Report,
    marks: Vec<Mark>,
    /// Places of the stages whose results stand between the first and the last stack.
    between: Vec<usize>,
}

impl<'r> Series<'r> {
    fn of(report: &'r Report) -> Self {
        let Some(overall) = report.overall.first() else {
            return Self { report, marks: Vec::new(), between: Vec::new() };
        };
        let mark = |(place, text): (usize, &String)| Mark { color: color(place), text: text.clone() };
        if overall.stacks.len() != 2 {
            let order = order(overall.stacks.len(), overall.baseline);
            let marks =
                order.iter().map(|(place, color)| Mark { color: *color, text: overall.stacks[*place].label.clone() });
            return Self { report, marks: marks.collect(), between: Vec::new() };
        }
        let (first, last) = (&overall.stacks[overall.baseline].label, &overall.stacks[overall.last()].label);
        let mut seen = BTreeSet::from([first, last]);
        let ends = |stage: &'r ReportStage| {
            let found = stage.evaluations.iter().find(|found| found.suite == overall.suite)?;
            Some(&found.stacks.get(found.last())?.label)
        };
        let between: Vec<(usize, &String)> = report
            .stages
            .iter()
            .enumerate()
            .filter_map(|(place, stage)| Some((place, ends(stage)?)))
            .filter(|(_, label)| seen.insert(*label))
            .take(COLORS - 2)
            .collect();
        let mut marks: Vec<Mark> = vec![mark((0, first))];
        marks.extend(between.iter().enumerate().map(|(place, (_, label))| mark((place + 2, *label))));
        marks.push(mark((1, last)));
        Self { report, marks, between: between.into_iter().map(|(place, _)| place).collect() }
    }

    /// The figures of a measure, stack by stack, with their colours.
    fn values(&self, judged: &Judged) -> Vec<(usize, Estimate)> {
        let (found, measure) = (judged.evaluation, judged.measure);
        if found.stacks.len() != 2 {
            let order = order(found.stacks.len(), found.baseline).into_iter();
            return order.filter_map(|(place, color)| Some((color, *measure.value(place)?))).collect();
        }
        let between = |(place, stage): (usize, &usize)| {
            let stage = &self.report.stages[*stage];
            let same = stage.evaluations.iter().find(|other| other.suite == found.suite)?;
            let value = same.measure(&measure.key)?.value(same.last())?;
            // Figures on other prompts or rows cannot stand beside these.
            (value.n + value.unreadable == judged.after.n + judged.after.unreadable)
                .then_some((color(place + 2), *value))
        };
        let mut values = vec![(0, judged.before)];
        values.extend(self.between.iter().enumerate().filter_map(between));
        values.push((1, judged.after));
        values
    }
}

/// All stacks in their order with their colours: the baseline is the first colour, the last stack the second.
fn order(stacks: usize, baseline: usize) -> Vec<(usize, usize)> {
    let mut next = 2;
    let mut of = |place: usize| match place {
        _ if place == baseline => (place, 0),
        _ if place + 1 == stacks => (place, 1),
        _ => {
            next += 1;
            (place, color(next - 1))
        }
    };
    (0..stacks).map(&mut of).collect()
}

fn color(place: usize) -> usize {
    place.min(COLORS - 1)
}

fn plots(language: Language, verdict: &Verdict, series: &Series) -> Vec<String> {
    let row = |judged: &Judged| PlotRow {
        title: name(language, verdict, judged),
        values: format!(
            "{} → {}",
            bare(language, judged.measure, judged.before.value),
            quantity(language, judged.measure, judged.after.value)
        ),
        stacks: series.values(judged),
    };
    let spoken = |judged: &Judged| format!("{}: {}", name(language, verdict, judged), plain(language, judged));
    let is_rate = |judged: &&&Judged| judged.measure.unit == "rate";
    let every: Vec<&Judged> = verdict.judged.iter().collect();
    let rates: Vec<&Judged> = every.iter().filter(is_rate).copied().take(RATES).collect();
    let mut plots = Vec::new();
    if !rates.is_empty() {
        let label = rates.iter().map(|judged| spoken(judged)).collect::<Vec<_>>().join("; ");
        let rows: Vec<PlotRow> = rates.into_iter().map(row).collect();
        plots.push(plot(&rows, &Scale::Rate, &label));
    }
    for judged in verdict.main(LARGE).into_iter().filter(|judged| !is_rate(&judged)).take(OTHERS) {
        let unit = unit_of(language, judged.measure).to_owned();
        plots.push(plot(&[row(judged)], &Scale::Around { unit }, &spoken(judged)));
    }
    plots
}

/// A value without its unit where the value behind it has the same.
fn bare(language: Language, measure: &Measure, value: f64) -> String {
    let text = quantity(language, measure, value);
    text.split('\u{a0}').next().unwrap_or_default().trim_end_matches('%').to_owned()
}

fn plain(language: Language, judged: &Judged) -> String {
    let said = |estimate: &Estimate| value(language, judged.measure, estimate);
    format!("{} → {}", said(&judged.before), said(&judged.after))
}

/// The set-up: what was trained with what, for how long, when and where.
fn brief(language: Language, report: &Report) -> Vec<Brief> {
    let word = |words| language.word(words);
    let stages = &report.stages;
    let chain: Vec<String> = stages.iter().map(|stage| stage_name(language, stage)).collect();
    let mut seeds: Vec<String> = stages.iter().filter_map(|stage| stage.seed).map(|seed| seed.to_string()).collect();
    seeds.dedup();
    let terms = words::terms(language);
    let lines = [
        (terms.model, unique(stages.iter().filter_map(|stage| Some(model(language, stage.model.as_ref()?))))),
        (terms.data, unique(stages.iter().filter_map(|stage| Some(data(language, stage, stage.data.as_ref()?))))),
        (terms.method, if chain.is_empty() { Vec::new() } else { vec![chain.join(" → ")] }),
        (terms.seed, if seeds.is_empty() { Vec::new() } else { vec![seeds.join(word(words::COMMA))] }),
        (terms.time, time(language, stages).into_iter().collect()),
        (terms.date, vec![date(language, report.date)]),
        (terms.machine, vec![machine(language, &report.made_with)]),
    ];
    lines.into_iter().filter(|(_, values)| !values.is_empty()).map(|(label, values)| Brief { label, values }).collect()
}

fn unique(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

/// The short name of a stage: its method, or its kind.
pub(crate) fn stage_name(language: Language, stage: &ReportStage) -> String {
    match (&stage.method, words::phrase(words::KINDS, &stage.kind)) {
        (Some(method), None) => language.wording(method).to_owned(),
        (_, Some(kind)) => language.word(kind).to_owned(),
        (None, None) => stage.kind.clone(),
    }
}

/// A model with its size.
pub(crate) fn model(language: Language, model: &UsedModel) -> String {
    match model.parameters {
        Some(n) => fill(language.word(words::PARAMETERS), &[("name", &model.name), ("n", &whole(n))]),
        None => model.name.clone(),
    }
}

/// A data set with its split.
pub(crate) fn data(language: Language, stage: &ReportStage, data: &UsedData) -> String {
    let forgotten = language.word(words::DATA_FORGOTTEN);
    let name = if data.name.is_empty() { forgotten } else { data.name.as_str() };
    let number = |n: usize| whole(n as u64);
    match data.rows {
        Some(rows) if stage.kind == "train" => {
            let held = number(data.held_out);
            fill(language.word(words::ROWS_SPLIT), &[("name", name), ("rows", &number(rows)), ("held", &held)])
        }
        Some(rows) => fill(language.word(words::ROWS_ONLY), &[("name", name), ("rows", &number(rows))]),
        None => name.to_owned(),
    }
}

/// How long stages took, split into their own work and comparing; none if nothing ran.
pub(crate) fn time(language: Language, stages: &[ReportStage]) -> Option<String> {
    let working: f64 = stages.iter().map(|stage| stage.working_seconds).sum();
    let comparing: f64 = stages.iter().map(|stage| stage.comparing_seconds).sum();
    let all = duration(language, working + comparing);
    match (working > 0.0, comparing > 0.0) {
        (false, false) => None,
        (_, false) => Some(all),
        _ => {
            let trains = stages.iter().all(|stage| stage.kind == "train");
            let training = language.word(if trains { words::TRAINING } else { words::WORKING });
            let (working, comparing) = (duration(language, working), duration(language, comparing));
            let values =
                [("all", all.as_str()), ("working", &working), ("training", training), ("comparing", &comparing)];
            Some(fill(language.word(words::SPLIT_TIME), &values))
        }
    }
}

fn machine(language: Language, made: &MadeWith) -> String {
    let n = made.threads.to_string();
    fill(language.word(words::THREADS), &[("machine", &made.machine), ("n", &n)])
}
