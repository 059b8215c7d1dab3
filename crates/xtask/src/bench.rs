//! Compares our speed with that of the stack that a person would use instead: both sides alternate on the same model, rows
//! and cores; the result is the median over some rounds, and ratios. Only ratios of one such run are meaningful.
//!
//! The other side is a script that prints one JSON line per command ("ms", "peak_rss_mb"), run by a Python with PyTorch,
//! PEFT, TRL and llama.cpp; it makes the model folders as well. Without it only our own figures are printed.

use crate::commands::{Outcome, output, root, run};
use std::path::{Path, PathBuf};

const SHAPES: &[&str] = &["tiny", "smollm2-135m"];

/// One comparison: its name, the arguments of both sides, and the target ratio for each shape.
struct Contest {
    name: &'static str,
    ours: &'static [&'static str],
    theirs: &'static [&'static str],
    target: [f64; 2],
}

const TRAINING: &[Contest] = &[
    Contest {
        name: "SFT f32",
        ours: &["--method", "sft", "--dtype", "f32"],
        theirs: &["peft-f32"],
        target: [1.4, 1.3],
    },
    Contest {
        name: "SFT bf16",
        ours: &["--method", "sft", "--dtype", "bf16"],
        theirs: &["peft-bf16"],
        target: [2.0, 2.2],
    },
    Contest {
        name: "SFT checkpointed",
        ours: &["--method", "sft", "--dtype", "bf16", "--checkpointing"],
        theirs: &["trl-sft-default"],
        target: [2.8, 2.8],
    },
    Contest {
        name: "DPO checkpointed",
        ours: &["--method", "dpo", "--dtype", "bf16", "--checkpointing"],
        theirs: &["trl-dpo-default"],
        target: [2.2, 2.2],
    },
];

/// For generation `theirs` names the GGUF files, of which the fastest counts.
const GENERATION: &[Contest] = &[
    Contest {
        name: "generation, batch 1",
        ours: &["--dtype", "bf16", "--batch", "1"],
        theirs: &["f16", "bf16"],
        target: [1.2, 1.1],
    },
    Contest {
        name: "generation, batch 1, q8_0",
        ours: &["--dtype", "q8_0", "--batch", "1"],
        theirs: &["q8_0"],
        target: [1.1, 1.0],
    },
    Contest {
        name: "generation, batch 16",
        ours: &["--dtype", "bf16", "--batch", "16"],
        theirs: &["f16"],
        target: [3.0, 2.0],
    },
];

/// The other side.
struct Peer {
    python: String,
    script: String,
    models: PathBuf,
    rounds: usize,
}

/// Runs all comparisons, or those whose names contain a given part:
/// `bench --models DIR [--peer SCRIPT --python PROGRAM] [--rounds N] [--only SHAPE] [--contest PART]`.
pub fn compare(arguments: &[String]) -> Outcome {
    let value = |flag: &str| value(arguments, flag);
    let Some(models) = value("--models").map(PathBuf::from) else {
        return Err(
            "bench needs --models DIR with the folders tiny and smollm2-135m; --peer SCRIPT and --python PROGRAM \
                    compare with another stack"
                .to_owned(),
        );
    };
    run("cargo", &["build", "--release", "-p", "alidade-cli"])?;
    let rounds = value("--rounds").and_then(|text| text.parse().ok()).unwrap_or(3);
    let python = value("--python").unwrap_or_else(|| "python3".to_owned());
    let peer = Peer { python, script: value("--peer").unwrap_or_default(), models, rounds };
    let (only, part) = (value("--only"), value("--contest").unwrap_or_default());
    let wanted = |contest: &&Contest| contest.name.contains(&part);
    println!("{}", ours(&["limits"]).unwrap_or_default());
    for (index, shape) in SHAPES.iter().enumerate() {
        if only.as_ref().is_some_and(|only| only != shape) || !peer.models.join(shape).is_dir() {
            continue;
        }
        println!("| {shape} | ours ms | theirs ms | ratio (lowest to highest) | target | ours MB | theirs MB |");
        println!("|---|---|---|---|---|---|---|");
        TRAINING
            .iter()
            .filter(wanted)
            .for_each(|contest| peer.contest(contest, index, |contest| peer.train(contest, shape)));
        GENERATION
            .iter()
            .filter(wanted)
            .for_each(|contest| peer.contest(contest, index, |contest| peer.generate(contest, shape)));
    }
    Ok(())
}

/// The value of an option.
pub(crate) fn value(arguments: &[String], flag: &str) -> Option<String> {
    let place = arguments.iter().position(|argument| argument == flag)?;
    arguments.get(place + 1).cloned()
}

/// What `alidade bench` prints.
pub(crate) fn ours(arguments: &[&str]) -> Option<String> {
    let program = root().join("target/release/alidade");
    output(&program.to_string_lossy(), &[&["bench"], arguments].concat())
}

/// Milliseconds and megabytes of one side in one round.
type Figures = (f64, f64);
/// The results of both sides.
type Round = (Option<Figures>, Option<Figures>);

impl Peer {
    fn contest(&self, contest: &Contest, shape: usize, round: impl Fn(&Contest) -> Round) {
        let rounds: Vec<_> = (0..self.rounds).map(|_| round(contest)).collect();
        let side = |pick: fn(&Round) -> Option<Figures>, part: fn(Figures) -> f64| {
            median(rounds.iter().filter_map(|round| pick(round).map(part)).collect())
        };
        let ratios: Vec<f64> =
            rounds.iter().filter_map(|(ours, theirs)| Some(theirs.as_ref()?.0 / ours.as_ref()?.0)).collect();
        let show = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.1}"));
        let spread = match (median(ratios.clone()), least(&ratios), most(&ratios)) {
            (Some(middle), Some(low), Some(high)) => format!("{middle:.2} ({low:.2} to {high:.2})"),
            _ => "–".to_owned(),
        };
        println!(
            "| {} | {} | {} | {spread} | {} | {} | {} |",
            contest.name,
            show(side(|round| round.0, |figures| figures.0)),
            show(side(|round| round.1, |figures| figures.0)),
            contest.target[shape],
            show(side(|round| round.0, |figures| figures.1)),
            show(side(|round| round.1, |figures| figures.1)),
        );
    }

    fn train(&self, contest: &Contest, shape: &str) -> Round {
        let steps = if shape == "tiny" { "10" } else { "2" };
        let folder = self.models.join(shape).to_string_lossy().into_owned();
        let mine = ours(&[&["train", "--model", &folder, "--steps", steps], contest.ours].concat());
        let theirs = self.ask(&[&["train", &folder], contest.theirs, &[steps]].concat());
        (mine.as_deref().and_then(figures), theirs)
    }

    fn generate(&self, contest: &Contest, shape: &str) -> Round {
        let tokens = "64";
        let folder = self.models.join(shape).to_string_lossy().into_owned();
        let batch = contest.ours.last().copied().unwrap_or("1");
        let mine = ours(&[&["generate", "--model", &folder, "--tokens", tokens], contest.ours].concat());
        let file = |format: &&str| self.models.join(format!("{shape}-{format}.gguf"));
        let files = contest.theirs.iter().map(file).filter(|path: &PathBuf| path.is_file());
        let asked = files.filter_map(|path: PathBuf| self.ask(&["llamacpp", &text(&path), batch, tokens]));
        (mine.as_deref().and_then(figures), asked.min_by(|a, b| a.0.total_cmp(&b.0)))
    }

    fn ask(&self, arguments: &[&str]) -> Option<Figures> {
        if self.script.is_empty() {
            return None;
        }
        figures(&output(&self.python, &[&[self.script.as_str()], arguments].concat())?)
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Milliseconds and megabytes of the last line with both.
fn figures(text: &str) -> Option<Figures> {
    let line = text.lines().rev().find(|line| line.contains("\"ms\""))?;
    Some((figure(line, "ms")?, figure(line, "peak_rss_mb")?))
}

/// The first number with this key.
pub(crate) fn figure(text: &str, key: &str) -> Option<f64> {
    let quoted = format!("\"{key}\"");
    let rest = &text[text.find(&quoted)? + quoted.len()..];
    rest.trim_start_matches([':', ' ']).split([',', '}']).next()?.trim().parse().ok()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn least(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::min)
}

fn most(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_line_that_has_them() {
        let text = "{'loss': 1}\n{\"who\": \"a\", \"ms\": 12.5, \"peak_rss_mb\": 80, \"threads\": 2}";
        assert_eq!(figures(text), Some((12.5, 80.0)));
        assert_eq!(figures("{\"ms\":3.0,\"peak_rss_mb\":7}"), Some((3.0, 7.0)));
        assert_eq!(figures("nothing"), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
    }
}
