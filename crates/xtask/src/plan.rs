//! Compares the memory and time that the plan predicts with what a run takes, on twenty named configurations: three shapes,
//! three methods, with and without activation checkpointing, and two with a large vocabulary. A sample of them is part of
//! the nightly checks.

use crate::bench::{figure, ours, value};
use crate::commands::{Outcome, root, run};

/// Tolerance of the plan.
const MEMORY: f64 = 0.15;
const TIME: f64 = 0.20;

/// A configuration: shape, method, number format, and activation checkpointing.
type Configuration = (&'static str, &'static str, &'static str, bool);

fn configurations() -> Vec<Configuration> {
    let shapes = ["tiny", "small", "smollm2-135m"];
    let each = |shape| {
        ["sft", "dpo", "ppo"].into_iter().flat_map(move |method| [false, true].map(|slim| (shape, method, "f32", slim)))
    };
    let wide = ["f32", "bf16"].map(|dtype| ("qwen2.5-0.5b", "sft", dtype, true));
    shapes.into_iter().flat_map(each).chain(wide).collect()
}

/// `plan [--sample N --seed S] [--only METHOD]`: all configurations, a random sample, or those of a method.
pub fn check(arguments: &[String]) -> Outcome {
    let number = |flag: &str| value(arguments, flag)?.parse::<usize>().ok();
    run("cargo", &["build", "--release", "-p", "alidade-cli"])?;
    let only = value(arguments, "--only");
    let wanted = |(_, method, ..): &Configuration| only.as_ref().is_none_or(|only| only == method);
    let all: Vec<Configuration> = configurations().into_iter().filter(wanted).collect();
    let count = number("--sample").unwrap_or(all.len());
    println!("| configuration | expected MB | taken MB | expected ms | taken ms |");
    println!("|---|---|---|---|---|");
    let mut missed = Vec::new();
    for configuration in drawn(all, count, number("--seed").unwrap_or(1)) {
        missed.extend(measure(configuration)?);
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("the plan was wrong about {}", missed.join("; "))) }
}

/// A sample of a list: the seed picks the first item and the stride.
fn drawn(all: Vec<Configuration>, count: usize, seed: usize) -> Vec<Configuration> {
    // Coprime to every possible number of configurations: twenty, eight and six.
    let stride = [7, 11, 13, 17][seed % 4];
    (0..count.min(all.len())).map(|index| all[(seed + index * stride) % all.len()]).collect()
}

/// Runs one configuration, prints its line, and returns what was wrong.
fn measure((shape, method, dtype, slim): Configuration) -> Result<Vec<String>, String> {
    let folder = root().join("target/bench-models").join(shape);
    let path = folder.to_string_lossy().into_owned();
    if !folder.join("dpo.jsonl").is_file() {
        bench(&["make", "--shape", shape, "--model", &path])?;
    }
    let steps = if shape == "tiny" { "8" } else { "2" };
    let mut asked = vec!["train", "--model", &path, "--method", method, "--dtype", dtype, "--steps", steps];
    if slim {
        asked.push("--checkpointing");
    }
    let line = bench(&asked)?;
    let name = format!("{shape} {method} {dtype}{}", if slim { " checkpointed" } else { "" });
    let expected = line.find("\"expected\"").map(|place| &line[place..]).unwrap_or_default();
    let read = |text: &str, key: &str| figure(text, key).ok_or(format!("{name}: no {key}"));
    let (told, took) = (read(expected, "peak_rss_mb")?, read(&line, "peak_rss_mb")?);
    let (planned, taken) = (read(expected, "ms")?, read(&line, "ms")?);
    println!("| {name} | {told:.0} | {took:.0} | {planned:.0} | {taken:.0} |");
    let mut wrong = Vec::new();
    if (told / took - 1.0).abs() > MEMORY {
        wrong.push(format!("{name}: {told:.0} MB expected, {took:.0} taken"));
    }
    if (planned / taken - 1.0).abs() > TIME {
        wrong.push(format!("{name}: {planned:.0} ms expected, {taken:.0} taken"));
    }
    Ok(wrong)
}

fn bench(arguments: &[&str]) -> Result<String, String> {
    ours(arguments).ok_or_else(|| format!("`alidade bench {}` failed", arguments.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_twenty_and_a_sample_has_no_doubles() {
        let all = configurations();
        assert_eq!(all.len(), 20);
        for seed in 0..40 {
            let five: BTreeSet<_> = drawn(all.clone(), 5, seed).into_iter().collect();
            assert_eq!(five.len(), 5, "{seed}");
        }
        let line = "{\"who\":\"a\",\"ms\":12.5,\"expected\":{\"ms\":3.0,\"peak_rss_mb\":7}}";
        assert_eq!((figure(line, "ms"), figure(line, "peak_rss_mb")), (Some(12.5), Some(7.0)));
    }
}
