//! Data of the templates: the report with formatted values and drawn curves, the same for both formats.

use crate::curves::{chart, class};
use crate::figures::{bytes, change, items, setting, short_value, whole};
use crate::first_page::{FirstPage, data, model, stage_name, time};
use crate::words::{self, Terms, fill, terms};
use alidade_domain::{
    Artifact, Evaluation, ImportSummary, Language, Measure, Report, ReportChart, ReportStage, RunState, Sample,
    UsedSetting, conversation_text, printable,
};
use serde::Serialize;

/// Prompts whose answers are shown.
const SAMPLES: usize = 12;
/// Characters of an answer that are shown.
const LONGEST_TEXT: usize = 900;

#[derive(Serialize)]
pub(crate) struct Page<'a> {
    language: &'static str,
    t: Terms,
    title: &'a str,
    /// The title where it cannot be isolated from its surroundings: marks that change the direction are spelled out.
    plain_title: String,
    question: &'a str,
    first: FirstPage,
    overall: Vec<Comparison<'a>>,
    stages: Vec<Stage<'a>>,
    limits: Vec<&'static str>,
    licences: Vec<Pair>,
    hashes: Vec<Pair>,
    version: &'a str,
    file: Option<&'a str>,
}

/// One evaluation: a table of its measures and one of its samples.
#[derive(Serialize)]
struct Comparison<'a> {
    stacks: Vec<Cell>,
    suite: &'a str,
    sampling: String,
    columns: Vec<Column>,
    measures: Vec<Row>,
    answers: Vec<String>,
    samples: Vec<Row>,
    /// How many of the samples are shown, if not all.
    samples_note: String,
}

#[derive(Serialize)]
struct Row {
    head: String,
    /// Explanation of the head, where it needs one.
    explanation: String,
    cells: Vec<Cell>,
    /// The number of items behind it.
    items: String,
    /// True for a row whose texts are withheld.
    hidden: bool,
}

#[derive(Serialize)]
struct Cell {
    text: String,
    /// The verdict of a judge on it.
    label: String,
    /// "base" for the baseline of a comparison, else "aligned".
    side: &'static str,
}

#[derive(Serialize)]
struct Pair {
    label: String,
    value: String,
}

#[derive(Serialize)]
struct Stage<'a> {
    title: String,
    facts: Vec<Pair>,
    dropped: Vec<String>,
    charts: Vec<Drawing<'a>>,
    evaluations: Vec<Comparison<'a>>,
    changed: Vec<Setting<'a>>,
    defaults: Vec<Setting<'a>>,
}

#[derive(Serialize)]
struct Setting<'a> {
    key: &'a str,
    label: &'a str,
    value: String,
    default: String,
}

/// A chart with its legend.
#[derive(Serialize)]
struct Drawing<'a> {
    title: &'a str,
    svg: String,
    lines: Vec<DrawnLine<'a>>,
}

#[derive(Serialize)]
struct DrawnLine<'a> {
    label: &'a str,
    class: &'static str,
    first: String,
    last: String,
}

impl<'a> Page<'a> {
    pub(crate) fn of(language: Language, report: &'a Report) -> Self {
        // The evaluations of a single stage are those of the whole.
        let own_evaluations = report.stages.len() > 1;
        let licence = |found: &alidade_domain::Licence| Pair {
            label: found.name.clone(),
            value: found.licence.clone().unwrap_or_else(|| language.word(words::NO_LICENCE).to_owned()),
        };
        Self {
            language: match language {
                Language::English => "en",
                Language::Chinese => "zh-Hans",
            },
            t: terms(language),
            title: &report.title,
            plain_title: printable(&report.title),
            question: &report.question,
            first: FirstPage::of(language, report),
            overall: report.overall.iter().filter(is_measured).map(|found| comparison(language, found)).collect(),
            stages: report.stages.iter().map(|stage| of_stage(language, stage, own_evaluations)).collect(),
            limits: words::LIMITS.iter().map(|limit| language.word(*limit)).collect(),
            licences: report.licences.iter().map(licence).collect(),
            hashes: hashes(language, report),
            version: &report.made_with.version,
            file: report.file.as_deref(),
        }
    }
}

fn of_stage(language: Language, stage: &ReportStage, own_evaluations: bool) -> Stage<'_> {
    let is_default = |used: &&UsedSetting| used.default.as_ref() == Some(&used.value);
    let (defaults, changed): (Vec<&UsedSetting>, Vec<&UsedSetting>) = stage.settings.iter().partition(is_default);
    Stage {
        title: format!("{} · {}", stage.number, stage_name(language, stage)),
        facts: facts(language, stage),
        dropped: stage.data.iter().flat_map(|data| dropped(language, data.summary.as_ref())).collect(),
        charts: stage.charts.iter().filter_map(|found| drawing(language, found)).collect(),
        evaluations: stage
            .evaluations
            .iter()
            .filter(|found| own_evaluations && is_measured(found))
            .map(|found| comparison(language, found))
            .collect(),
        changed: changed.into_iter().map(|used| Setting::of(language, used)).collect(),
        defaults: defaults.into_iter().map(|used| Setting::of(language, used)).collect(),
    }
}

impl<'a> Setting<'a> {
    fn of(language: Language, used: &'a UsedSetting) -> Self {
        Self {
            key: &used.key,
            label: words::phrase(words::LABELS, &used.key)
                .map_or(language.wording(&used.label), |label| language.word(label)),
            value: setting(language, &used.value),
            default: used.default.as_ref().map_or_else(|| "–".to_owned(), |value| setting(language, value)),
        }
    }
}

/// What a stage worked on, how long, and what came of it.
fn facts(language: Language, stage: &ReportStage) -> Vec<Pair> {
    let t = terms(language);
    let mut method =
        stage.method_title.as_ref().or(stage.method.as_ref()).map(|title| language.wording(title).to_owned());
    let ended = match stage.state {
        RunState::Finished => None,
        RunState::Stopped => Some(words::STOPPED),
        _ => Some(words::UNFINISHED),
    };
    if let Some(ended) = ended {
        let name = method.unwrap_or_else(|| stage_name(language, stage));
        method = Some(fill(language.word(words::BRACKETS), &[("value", &name), ("rest", language.word(ended))]));
    }
    let steps = fill(language.word(words::STEPS), &[("n", &whole(stage.steps))]);
    let took = time(language, std::slice::from_ref(stage)).map(|took| match stage.steps {
        0 => took,
        _ => format!("{steps} · {took}"),
    });
    let made: Vec<String> = stage.made.iter().filter_map(|artifact| made(language, artifact)).collect();
    let lines = [
        (t.method, method),
        (t.model, stage.model.as_ref().map(|used| model(language, used))),
        (t.data, stage.data.as_ref().map(|used| data(language, stage, used))),
        (t.seed, stage.seed.map(|seed| seed.to_string())),
        (t.time, took),
        (t.made, (!made.is_empty()).then(|| made.join(language.word(words::COMMA)))),
    ];
    let pair = |(label, value): (&str, Option<String>)| Some(Pair { label: label.to_owned(), value: value? });
    lines.into_iter().filter_map(pair).collect()
}

/// What a stage made, in words; figures are shown elsewhere.
fn made(language: Language, artifact: &Artifact) -> Option<String> {
    Some(match artifact {
        Artifact::Dataset { rows, left_out, .. } => {
            let (rows, left) = (whole(*rows as u64), whole(*left_out as u64));
            fill(language.word(words::MADE_ROWS), &[("rows", &rows), ("left", &left)])
        }
        Artifact::Model { name, .. } => name.clone().unwrap_or_else(|| language.word(words::MADE_MODEL).to_owned()),
        Artifact::File { what, bytes: size, .. } => {
            fill(language.word(words::BRACKETS), &[("value", what), ("rest", &bytes(*size))])
        }
        // Every training makes an adapter, and figures are shown elsewhere.
        Artifact::Adapter { .. } | Artifact::Evaluation { .. } | Artifact::Report { .. } => return None,
    })
}

/// How much of the file became rows, and why the rest did not.
fn dropped(language: Language, summary: Option<&ImportSummary>) -> Vec<String> {
    let Some(summary) = summary.filter(|summary| !summary.dropped.is_empty()) else { return Vec::new() };
    let [kept, read] = [summary.kept, summary.read].map(|rows| whole(rows as u64));
    let values = [("kept", kept.as_str()), ("read", &read), ("format", language.wording(&summary.format))];
    let mut lines = vec![fill(language.word(words::KEPT_OF), &values)];
    lines.extend(summary.dropped.iter().map(|dropped| {
        let rows = whole(dropped.rows as u64);
        fill(language.word(words::DROPPED), &[("rows", &rows), ("reason", language.wording(&dropped.reason))])
    }));
    lines
}

fn drawing(language: Language, found: &ReportChart) -> Option<Drawing<'_>> {
    let number = |point: Option<&(f64, f64)>| point.map_or_else(|| "–".to_owned(), |(_, value)| format!("{value:.4}"));
    let line = |(place, curve): (usize, &'_ alidade_domain::Curve)| {
        (place, number(curve.points.first()), number(curve.points.last()))
    };
    let numbers: Vec<(usize, String, String)> = found.curves.iter().enumerate().map(line).collect();
    let lines = found.curves.iter().zip(numbers).map(|(curve, (place, first, last))| DrawnLine {
        label: language.wording(&curve.label),
        class: class(found, place),
        first,
        last,
    });
    Some(Drawing { title: language.wording(&found.title), svg: chart(language, found)?, lines: lines.collect() })
}

/// The hashes of everything that was used or made.
fn hashes(language: Language, report: &Report) -> Vec<Pair> {
    let mut found: Vec<Pair> = Vec::new();
    let mut add = |label: String, sha256: &str| {
        if !sha256.is_empty() && !found.iter().any(|pair| pair.value == sha256) {
            found.push(Pair { label, value: sha256.to_owned() });
        }
    };
    for stage in &report.stages {
        if let Some(model) = &stage.model {
            add(fill(language.word(words::HASH_MODEL), &[("name", &model.name)]), &model.sha256);
        }
        if let Some(data) = &stage.data {
            add(fill(language.word(words::HASH_DATA), &[("name", &data.name)]), &data.sha256);
        }
        let number = stage.number.to_string();
        for artifact in &stage.made {
            let (phrase, sha256) = match artifact {
                Artifact::Adapter { sha256 } => (words::HASH_ADAPTER, sha256),
                Artifact::Dataset { sha256, .. } => (words::HASH_MADE_DATA, sha256),
                Artifact::Model { sha256, .. } => (words::HASH_MADE_MODEL, sha256),
                Artifact::Evaluation { .. } | Artifact::Report { .. } | Artifact::File { .. } => continue,
            };
            add(fill(language.word(phrase), &[("n", &number)]), sha256);
        }
    }
    found
}

/// A column of a table of measures.
#[derive(Serialize)]
struct Column {
    /// Its heading.
    title: String,
    /// Index of its stack.
    #[serde(skip)]
    stack: usize,
    /// True for the change from the baseline, false for the value.
    #[serde(skip)]
    changes: bool,
}

/// The columns of an evaluation: the value of each stack, and its change from the baseline. Two stacks are titled before and
/// after, one needs no name, and more have their own names.
fn columns(language: Language, found: &Evaluation) -> Vec<Column> {
    let name = |stack: usize| match found.stacks.len() {
        0 | 1 => language.word(words::VALUE).to_owned(),
        2 if stack == found.baseline => language.word(words::BEFORE).to_owned(),
        2 => language.word(words::AFTER).to_owned(),
        _ => found.stacks[stack].label.clone(),
    };
    let mut columns = Vec::new();
    for stack in 0..found.stacks.len() {
        columns.push(Column { title: name(stack), stack, changes: false });
        if stack != found.baseline {
            columns.push(Column { title: language.word(words::CHANGE).to_owned(), stack, changes: true });
        }
    }
    columns
}

fn comparison(language: Language, found: &Evaluation) -> Comparison<'_> {
    let columns = columns(language, found);
    let cell = |stack: usize, text: String| Cell { text, label: String::new(), side: side(found, stack) };
    let measured = |column: &Column, measure: &Measure| match column.changes {
        true => change(language, measure, measure.change(column.stack)),
        false => short_value(language, measure, measure.value(column.stack)),
    };
    let measures = found.measures.iter().map(|measure| Row {
        head: language.wording(&measure.words.title).to_owned(),
        explanation: language.wording(&measure.words.explanation).to_owned(),
        cells: columns.iter().map(|column| cell(column.stack, measured(column, measure))).collect(),
        items: items(language, measure),
        hidden: false,
    });
    let (shown, all) = (found.samples.len().min(SAMPLES).to_string(), whole(found.samples.len() as u64));
    let note = fill(language.word(words::SAMPLES_OF), &[("shown", &shown), ("all", &all)]);
    let (temperature, seed) = (found.temperature.to_string(), found.seed.to_string());
    let sampling = if found.temperature > 0.0 { words::SAMPLED_AT } else { words::GREEDY };
    Comparison {
        stacks: found.stacks.iter().enumerate().map(|(stack, name)| cell(stack, name.label.clone())).collect(),
        suite: language.wording(&found.title),
        sampling: fill(language.word(sampling), &[("temperature", &temperature), ("seed", &seed)]),
        measures: measures.collect(),
        samples: found.samples.iter().take(SAMPLES).map(|sample| of_sample(language, found, sample)).collect(),
        samples_note: if found.samples.len() > SAMPLES { note } else { String::new() },
        answers: columns.iter().filter(|column| !column.changes).map(|column| column.title.clone()).collect(),
        columns,
    }
}

/// A prompt with its answers; of a flagged one, only what the judge said is shown.
fn of_sample(language: Language, found: &Evaluation, sample: &Sample) -> Row {
    let text = |text: &str| match (sample.flagged, text.chars().nth(LONGEST_TEXT)) {
        (true, _) => language.word(words::HIDDEN_ANSWER).to_owned(),
        (false, None) => text.trim().to_owned(),
        (false, Some(_)) => text.chars().take(LONGEST_TEXT).chain(['…']).collect(),
    };
    let cells = sample.answers.iter().enumerate().map(|(stack, answer)| Cell {
        text: text(&answer.text),
        label: answer.label.as_ref().map_or_else(String::new, |label| language.wording(label).to_owned()),
        side: side(found, stack),
    });
    let head = match sample.flagged {
        true => language.word(words::HIDDEN_PROMPT).to_owned(),
        false => text(&conversation_text(&sample.prompt)),
    };
    Row { head, explanation: String::new(), cells: cells.collect(), items: String::new(), hidden: sample.flagged }
}

/// A suite that found nothing to measure has no table.
fn is_measured(found: &&Evaluation) -> bool {
    !found.measures.is_empty()
}

/// Two colours distinguish the baseline from the other stacks; a single stack needs only one.
fn side(found: &Evaluation, stack: usize) -> &'static str {
    if stack == found.baseline && found.stacks.len() > 1 { "base" } else { "aligned" }
}
