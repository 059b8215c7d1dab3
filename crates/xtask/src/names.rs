//! The rule that everything specific to one method, model family or importer is in its own file: its name appears only in
//! the folder of its kind, and other code asks the registry. Tests, golden files and comments may use the name.
//!
//! Exceptions are listed here, each with its reason.

use crate::commands::root;
use std::path::{Path, PathBuf};

/// A kind of thing: a folder with one file each. Files of the same folder may use and mention each other.
struct Kind {
    what: &'static str,
    folder: &'static str,
    /// Files of the folder that are shared, and define nothing; beside the registry they name no entry.
    shared: &'static [&'static str],
    /// True if the names are common words, so that only literals and paths count.
    common: bool,
    /// Exceptions: name, file, and reason.
    except: &'static [(&'static str, &'static str, &'static str)],
}

/// Stands for every name of a kind.
const ANY: &str = "*";
const TEACHES: &str = "explains the field; a method that it does not know is shown by its card";
const BENCH: &str = "is compared with other programs, which use this name";

const KINDS: &[Kind] = &[
    Kind {
        what: "method",
        folder: "crates/train/src/methods",
        shared: &["mod", "advice", "group", "labelled", "pairs", "watch"],
        common: false,
        except: &[
            ("orpo", "crates/train/src/heads", "a loss may have the name of its method"),
            ("dpo", "crates/train/src/heads", "a loss may have the name of its method"),
            ("cpo", "crates/train/src/heads", "a loss may have the name of its method"),
            ("kto", "crates/train/src/heads", "a loss of that name in TRL"),
            ("sft", "crates/train/src/heads", "a loss of that name in TRL"),
            ("ppo", "crates/train/src/heads/golden.rs", "a test"),
            ("grpo", "crates/train/src/heads/golden.rs", "a test"),
            ("rloo", "crates/train/src/heads/golden.rs", "a test"),
            ("sft", "crates/train/src/pretrain.rs", "pre-training is its step on windows of text"),
            ("sft", "crates/train/src/scored.rs", "rows are scored as it reads them"),
            ("sft", "crates/lab/src/bench.rs", BENCH),
            ("dpo", "crates/lab/src/bench.rs", BENCH),
            ("sft", "crates/lab/src/bench_models.rs", BENCH),
            ("dpo", "crates/lab/src/bench_models.rs", BENCH),
            ("sft", "crates/cli/src/commands/bench.rs", BENCH),
            ("grpo", "crates/train/src/methods/group.rs", "the name of a way of averaging losses in TRL"),
            ("sft", "crates/studio/src/testing.rs", "a test"),
            ("sft", "crates/studio/src/runs/after_power_cut.rs", "a test"),
            (ANY, "ui/src/messages", TEACHES),
            (ANY, "ui/src/wizard/chain.ts", "says which formula of the dictionary a loss has"),
            (ANY, "ui/src/wizard/Explained.svelte", TEACHES),
            (ANY, "ui/src/experiments/ExplainedPage.svelte", TEACHES),
            (ANY, "ui/src/experiments/PictureDpo.svelte", TEACHES),
            (ANY, "ui/src/experiments/PictureSft.svelte", TEACHES),
            (ANY, "ui/src/experiments/pairs.ts", "says which losses compare with the model as it was"),
        ],
    },
    Kind {
        what: "model family",
        folder: "crates/model/src/architectures",
        shared: &["mod", "config", "defaults", "kind", "rope"],
        common: true,
        except: &[("llama", "crates/model/src/pretrained.rs", "the form in which new models are written")],
    },
    Kind {
        what: "importer",
        folder: "crates/data/src/importers",
        shared: &["mod"],
        common: true,
        except: &[
            ("messages", "crates/data/src/json_text.rs", "a column of that name"),
            ("messages", "crates/data/src/columns.rs", "a column of that name"),
            ("messages", "crates/data/src/doctor.rs", "a column of that name"),
            ("messages", "crates/lab/src/inspect_template.rs", "a file of messages, asked for in the terminal"),
            ("plain", "crates/train/src/heads/golden.rs", "a test"),
            ("rated", "ui/src/data/parts.ts", "a kind of row"),
            ("rated", "ui/src/wizard/rows.ts", "a kind of row"),
        ],
    },
];

/// Adds a fault for each name in a wrong place, and for each exception that is no longer needed.
pub fn check(sources: &[PathBuf], faults: &mut Vec<String>) {
    for kind in KINDS {
        let names = names(kind);
        if names.is_empty() {
            faults.push(format!("{} holds no {}; names.rs looks in the wrong place", kind.folder, kind.what));
        }
        let mut needed = vec![false; kind.except.len()];
        for path in sources.iter().filter(|path| !allowed(kind, path)) {
            let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
            for name in names.iter().filter(|name| code(&text).any(|line| says(kind, line, name))) {
                match kind
                    .except
                    .iter()
                    .position(|(known, place, _)| [name, ANY].contains(known) && path.starts_with(place))
                {
                    Some(index) => needed[index] = true,
                    None => faults.push(format!(
                        "{} names the {} {name}; what is known of it stands in its file, ask the registry",
                        path.display(),
                        kind.what
                    )),
                }
            }
        }
        let idle = kind.except.iter().zip(needed).filter(|(_, needed)| !needed);
        faults.extend(idle.map(|((name, place, _), _)| format!("names.rs lets {place} say {name}, which it does not")));
    }
}

/// The names of a kind: the names of the files in its folder.
fn names(kind: &Kind) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(kind.folder)).into_iter().flatten().flatten();
    let stems = entries.filter_map(|entry| Some(entry.path().file_stem()?.to_string_lossy().into_owned()));
    let mut names: Vec<String> = stems.filter(|stem| !kind.shared.contains(&stem.as_str())).collect();
    names.sort();
    names
}

fn allowed(kind: &Kind, path: &Path) -> bool {
    let tests = path.components().any(|part| part.as_os_str() == "tests") || path.starts_with("crates/xtask");
    let generated = path == Path::new("ui/src/backend/types.ts");
    // The registry names its entries; what they share names none.
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let helper = stem != "mod" && kind.shared.contains(&stem.as_str());
    let own = path.starts_with(kind.folder) && !helper;
    tests || generated || path.to_string_lossy().ends_with(".test.ts") || own
}

/// The code of a file, without its tests and comment lines.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// True if a line contains the name as a whole word, in any case; for common words only literals and paths count.
fn says(kind: &Kind, line: &str, name: &str) -> bool {
    let line = line.to_lowercase();
    if kind.common {
        return line.contains(&format!("\"{name}\"")) || line.contains(&format!(" {name}::"));
    }
    let part = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let mut places = line.match_indices(name);
    places.any(|(at, _)| !part(line[..at].chars().next_back()) && !part(line[at + name.len()..].chars().next()))
}
