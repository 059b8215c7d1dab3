//! What a person reads in the terminal, as a whole: the help of every command, and the words of some twenty problems in both
//! languages; and that no text of the program lacks its translation. A
//! change of them is looked at and taken over with `INSTA_UPDATE=always cargo test --test words`.
#![cfg(unix)] // Some words are the system's.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use alidade_domain::has_chinese;
use common::{alidade, golden, ok, text};
use std::fmt::Write as _;
use std::path::Path;

/// Help of a command and of those below it.
fn help_of(command: &[&str], all: &mut String) {
    let words = ok(&[command, &["--help"]].concat());
    let _ = write!(all, "$ alidade {}\n\n{words}\n", [command, &["--help"]].concat().join(" "));
    // The program's own commands stand in groups in front of its options, those of a command under one heading.
    let listed = match command {
        [] => words.split("Options:\n").next(),
        _ => words.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()),
    };
    for line in listed.unwrap_or_default().lines().filter(|line| line.starts_with("  ")) {
        let name = line.split_whitespace().next().unwrap();
        if name != "help" {
            help_of(&[command, &[name]].concat(), all);
        }
    }
}

#[test]
fn help_of_every_command() {
    let mut all = String::new();
    help_of(&[], &mut all);
    insta::assert_snapshot!("help", all);
}

const RECIPE: &str = "method = \"dpo\"\nmodel = \"MODEL\"\ndataset = \"pairs.jsonl\"\noutput_dir = \"out\"\n";

/// The recipes that are wrong, each in one place.
fn wrong_recipes() -> Vec<(&'static str, String)> {
    let with = |from: &str, to: &str| RECIPE.replace(from, to);
    let and = |more: &str| format!("{RECIPE}{more}");
    vec![
        ("no-toml", "method = dpo".to_owned()),
        ("no-method", with("method = \"dpo\"\n", "")),
        ("method", with("\"dpo\"", "\"dop\"")),
        ("key", and("sead = 1\n")),
        ("setting", and("[settings]\nlearning_rte = 1e-5\n")),
        ("setting-of-another-method", and("[settings]\nnum_generations = 4\n")),
        ("range", and("[settings]\nbeta = -0.5\n")),
        ("word-for-a-number", and("[settings]\nlearning_rate = \"fast\"\n")),
        ("choice", and("[settings]\nloss_type = [\"hinges\"]\n")),
        ("no-change", and("[settings]\nlearning_rate = 0\n")),
        ("rank", and("[settings]\nwarmup_steps = 0\n[lora]\nr = 0\n")),
        ("layers", and("[settings]\nwarmup_steps = 0\n[lora]\ntarget_modules = [\"q_projection\"]\n")),
        ("no-model", with("MODEL", "models/none")),
        ("no-data", with("pairs.jsonl", "none.jsonl")),
        ("other-data", with("pairs.jsonl", "answers.jsonl")),
        ("no-reward", with("\"dpo\"", "\"grpo\"").replace("pairs", "answers")),
    ]
}

/// Files for the commands below; returns the names of the recipes.
fn set_out(folder: &Path) -> Vec<String> {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let rows = |rest: &str| (0..4).map(|n| format!("{{\"prompt\": \"Hello {n}\", {rest}}}\n")).collect::<String>();
    write("pairs.jsonl", &rows("\"chosen\": \"Good day.\", \"rejected\": \"What?\""));
    write("answers.jsonl", &rows("\"completion\": \"Good day.\""));
    write("empty.jsonl", "");
    write("other.jsonl", "{\"colour\": \"red\", \"size\": 3}\n");
    write("picture.png", "\u{89}PNG\r\n");
    std::fs::create_dir(folder.join("bare")).unwrap();
    let recipes = wrong_recipes().into_iter().map(|(name, recipe)| {
        let file = format!("{name}.toml");
        write(&file, &recipe.replace("MODEL", text(&golden("trl/model"))));
        file
    });
    recipes.collect()
}

#[test]
fn words_of_problems() {
    problems("problems", "en");
}

#[test]
fn words_of_problems_in_chinese() {
    problems("problems_zh", "zh");
}

/// Holds what the commands say against a snapshot, without what differs between machines.
fn problems(snapshot: &str, language: &str) {
    let folder = tempfile::tempdir().unwrap();
    let recipes = set_out(folder.path());
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["trian"],
        vec!["train", "nowhere.toml"],
        vec!["check", "nowhere.jsonl"],
        vec!["check", "empty.jsonl"],
        vec!["check", "other.jsonl"],
        vec!["check", "picture.png"],
        vec!["generate", "--model", "bare", "--prompt", "Hello"],
        vec!["report", "nothing"],
        vec!["restore"],
    ];
    commands.extend(recipes.iter().map(|file| vec!["train", file.as_str()]));
    let mut all = String::new();
    for command in commands {
        let home = folder.path().join("home");
        let output = alidade(&command)
            .args(["--language", language])
            .current_dir(folder.path())
            .env("ALIDADE_HOME", home)
            .output()
            .unwrap();
        let (code, words) = (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap());
        let _ = writeln!(all, "$ alidade {}   → {code}\n{words}", command.join(" "));
    }
    let place = |path: &Path| regex_of(&path.canonicalize().unwrap());
    let filters = [
        (place(folder.path()), "FOLDER"),
        (place(&golden("trl/model")), "MODEL"),
        (r"\d+(\.\d+)? (ms|s)\b".to_owned(), "TIME"),
    ];
    insta::with_settings!({ filters => filters.iter().map(|(from, to)| (from.as_str(), *to)).collect::<Vec<_>>() }, {
        insta::assert_snapshot!(snapshot, all);
    });
}

/// Texts that are the same in both languages on purpose are made with `Words::name`. The macro `wording` checks its texts
/// while it is compiled; this looks at the texts in tables. Marks without a letter are in either language.
#[test]
fn every_text_is_in_both_languages() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<_> =
        std::fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    folders.push(crates.with_file_name("src-tauri").join("src"));
    let (mut found, mut wrong) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap_or_default();
            for (at, _) in source.match_indices("Words::new(") {
                let Some((en, rest)) = literal(&source[at + "Words::new(".len()..]) else { continue };
                let Some((zh, _)) = literal(rest) else { continue };
                found += 1;
                let letters = zh.chars().any(char::is_alphabetic);
                if en.is_empty() || zh.is_empty() || has_chinese(en) || (letters && !has_chinese(zh) && zh != "nat") {
                    wrong.push(format!("{}: {en} = {zh}", path.display()));
                }
            }
        }
    }
    assert!(found > 500, "{found} texts were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The string literal at the beginning of an argument list, and what follows it.
fn literal(code: &str) -> Option<(&str, &str)> {
    let text = code.trim_start_matches([' ', '\n', ',']).strip_prefix('"')?;
    let mut escaped = false;
    let end = text.find(|character| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    })?;
    Some((&text[..end], &text[end + 1..]))
}

/// A path as a pattern that only it matches.
fn regex_of(path: &Path) -> String {
    text(path).chars().flat_map(|c| c.is_ascii_punctuation().then_some('\\').into_iter().chain([c])).collect()
}
