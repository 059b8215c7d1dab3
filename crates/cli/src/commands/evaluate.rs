//! `alidade evaluate`: compares a base model with the same model plus adapters, on the same prompts and rows, with suites
//! and judges.

use crate::language::said;
use crate::output;
use alidade_domain::{Estimate, Evaluation, Problem, wording};
use alidade_studio::{Comparison, Depth, evaluate, import_checked, judges, suites, vet_model, vet_stack};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `evaluate`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The model folder.
    #[arg(long, required_unless_present = "list")]
    model: Option<PathBuf>,
    /// A PEFT adapter folder to compare with the bare model; repeatable.
    #[arg(long, required_unless_present = "list")]
    adapter: Vec<PathBuf>,
    /// Held-out rows in any shape that `import` reads.
    #[arg(long, conflicts_with = "world")]
    data: Option<PathBuf>,
    /// Ask about Alder Bay, judged by its oracle (for the starter models); the same as --suite starter_world.
    #[arg(long, conflicts_with = "suite")]
    world: bool,
    /// The suite to run; by default the one that fits the data. --list shows all.
    #[arg(long)]
    suite: Option<String>,
    /// A judge that labels the answers in addition to the suite, as NAME or NAME=ARGUMENT; repeatable. --list shows all.
    #[arg(long)]
    judge: Vec<String>,
    /// Model folder for judges that ask a model; by default the bare model judges itself.
    #[arg(long)]
    judge_model: Option<PathBuf>,
    /// List the suites and judges.
    #[arg(long)]
    list: bool,
    /// Maximum number of prompts or rows.
    #[arg(long, default_value_t = 200)]
    limit: usize,
    /// Print JSON: a list of evaluations, one for each suite.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    if arguments.list {
        list(arguments.json);
        return Ok(());
    }
    let Some(model) = &arguments.model else { return Ok(()) };
    if arguments.data.is_none() && arguments.suite.is_none() && !arguments.world {
        return Err(Problem::input(wording!("There is nothing to evaluate on.", "没有可用于评测的内容。"))
            .hint(wording!(
                "Add --data FILE for held-out rows, or --world for the starter world.",
                "加上 --data FILE 以使用留出数据，或加上 --world 以使用入门世界。"
            ))
            .at("data"));
    }
    let comparison = Comparison {
        model: model.clone(),
        adapters: arguments.adapter.clone(),
        rows: arguments.data.as_deref().map(import_checked).transpose()?.map(|data| data.rows),
        suite: arguments.suite.clone(),
        judges: arguments.judge.clone(),
        judge_model: arguments.judge_model.clone(),
        limit: arguments.limit,
    };
    for adapter in &arguments.adapter {
        vet_stack(model, Some(adapter), Depth::Text, &[])?;
    }
    if let Some(judge) = &comparison.judge_model {
        vet_model(judge, Depth::Text, &[]).map_err(|problem| problem.at("judge-model"))?;
    }
    for (number, adapter) in arguments.adapter.iter().enumerate() {
        // Remarks on the model are only shown once.
        let notes = alidade_studio::folder_notes(model, Some(adapter));
        let known = if number == 0 { Vec::new() } else { alidade_studio::folder_notes(model, None) };
        notes.iter().filter(|note| !known.contains(note)).for_each(output::remark);
    }
    let evaluations = evaluate(&comparison)?;
    if arguments.json {
        output::json(&json!(evaluations));
    } else {
        evaluations.iter().for_each(print);
    }
    Ok(())
}

/// Lists the registries.
fn list(as_json: bool) {
    if as_json {
        let names = |names: Vec<&str>| json!(names);
        output::json(&json!({
            "suites": names(suites().iter().map(|card| card.name).collect()),
            "judges": names(judges().iter().map(|card| card.name).collect()),
        }));
        return;
    }
    output::say(wording!("Suites (--suite):", "评测（--suite）："));
    for card in suites() {
        output::line(format!("  {:<16} {}", card.name, said(card.explanation)));
        let measures: Vec<&str> = card.measures.iter().map(|measure| measure.key).collect();
        let measures = measures.join(", ");
        let measures = said(wording!("measures {measures}", "指标 {measures}"));
        output::line(format!("  {:<16} {measures}", ""));
    }
    output::say(wording!("Judges (--judge):", "裁判（--judge）："));
    for card in judges() {
        output::line(format!("  {:<16} {}", card.name, said(card.explanation)));
        if let Some(argument) = &card.argument {
            output::line(format!("  {:<16} {}={}: {}", "", card.name, argument.example, said(argument.meaning)));
        }
    }
}

fn print(found: &Evaluation) {
    output::line(format!("{} ({})", said(&found.title), found.suite));
    for (place, stack) in found.stacks.iter().enumerate() {
        let base = place == found.baseline && found.stacks.len() > 1;
        let base = if base { said(wording!("  (baseline)", "  （基线）")) } else { String::new() };
        output::line(format!("  {} {}{base}", letter(place), stack.label));
    }
    for measure in &found.measures {
        let unit = &said(&measure.words.unit);
        output::line(format!("{} [{}]", said(&measure.words.title), measure.key));
        for place in 0..found.stacks.len() {
            let change = match measure.change(place) {
                Some(change) => format!("   {}", figure(&measure.unit, unit, change, true)),
                None => String::new(),
            };
            let value =
                measure.value(place).map_or("–".to_owned(), |value| figure(&measure.unit, unit, value, false));
            output::line(format!("  {} {value:<40}{change}", letter(place)).trim_end());
        }
    }
}

/// A, B, C, … for the stacks of a table.
fn letter(place: usize) -> String {
    u8::try_from(place)
        .ok()
        .filter(|place| *place < 26)
        .map_or(place.to_string(), |place| char::from(b'A' + place).to_string())
}

fn figure(kind: &str, unit: &str, e: &Estimate, change: bool) -> String {
    let unreadable = e.unreadable;
    let unread = (unreadable > 0).then(|| said(wording!(", {unreadable} unreadable", "，{unreadable} 条无法判读")));
    let unread = unread.unwrap_or_default();
    match (kind, change) {
        ("rate", false) => {
            format!("{:.1} % ({:.1}–{:.1}, n = {}{unread})", 100.0 * e.value, 100.0 * e.low, 100.0 * e.high, e.n)
        }
        ("rate", true) => {
            let (value, low, high) = (100.0 * e.value, 100.0 * e.low, 100.0 * e.high);
            said(wording!(
                "{value:+.1} points ({low:+.1} to {high:+.1})",
                "{value:+.1} 个百分点（{low:+.1} 至 {high:+.1}）"
            ))
        }
        (_, false) => format!("{:.3} {unit} ({:.3}–{:.3}, n = {}{unread})", e.value, e.low, e.high, e.n),
        (_, true) => {
            let Estimate { value, low, high, .. } = e;
            said(wording!("{value:+.3} ({low:+.3} to {high:+.3})", "{value:+.3}（{low:+.3} 至 {high:+.3}）"))
        }
    }
}
