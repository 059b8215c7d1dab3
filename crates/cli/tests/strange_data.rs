//! Data files that cost much: imported by a child with little memory, and the program's own memory stays where it is.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail loudly and tell its figures")]

mod common;

use alidade_domain::ProblemCode;
use alidade_studio::{Configuration, Studio};
use common::server::status_of;
use common::{golden, run, text};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the program itself may grow by, whatever a file holds.
const GROWTH: u64 = 64 << 20;

fn studio(home: &Path) -> Arc<Studio> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_alidade"));
    let resources = golden("../../resources");
    Studio::open(Configuration { home: home.to_owned(), resources, program, threads: 2 }).unwrap()
}

fn file(folder: &Path, name: &str, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> PathBuf {
    let path = folder.join(name);
    let mut out = BufWriter::new(File::create(&path).unwrap());
    fill(&mut out).and_then(|()| out.flush()).unwrap();
    path
}

fn again(count: usize, text: &str) -> impl FnOnce(&mut dyn Write) -> std::io::Result<()> + '_ {
    move |out| (0..count).try_for_each(|_| out.write_all(text.as_bytes()))
}

/// Files that are hard on a reader that holds them.
fn costly(folder: &Path) -> Vec<PathBuf> {
    let row = "{\"prompt\": \"What is it?\", \"completion\": \"It is a long answer about a bay and its harbour.\"}";
    let listed = format!("{row},");
    let bad = "{\"neither\": 1}\n";
    let wide = |out: &mut dyn Write| {
        (0..100_000).try_for_each(|column| write!(out, "c{column},"))?;
        (0..10).try_for_each(|_| {
            out.write_all(b"\n")?;
            (0..100_000).try_for_each(|_| out.write_all(b"\"some text\","))
        })
    };
    vec![
        file(folder, "wide.csv", wide),
        file(folder, "array.json", |out| {
            out.write_all(b"[")?;
            again(400_000, &listed)(out)?;
            write!(out, "{row}]")
        }),
        file(folder, "numbers.json", |out| {
            out.write_all(b"[{\"prompt\": \"a\", \"completion\": \"b\", \"more\": [")?;
            again(8_000_000, "1,")(out)?;
            out.write_all(b"1]}]")
        }),
        file(folder, "one-line.jsonl", |out| {
            out.write_all(b"{\"prompt\": \"")?;
            again(4_000_000, "0123456789")(out)?;
            out.write_all(b"\", \"completion\": \"b\"}\n")
        }),
        file(folder, "cell.csv", |out| {
            out.write_all(b"prompt,completion\n\"")?;
            again(4_000_000, "0123456789")(out)?;
            out.write_all(b"\",b\n")
        }),
        file(folder, "bad.jsonl", |out| {
            writeln!(out, "{row}")?;
            again(1_000_000, bad)(out)
        }),
        file(folder, "deep.json", again(20_000_000, "[")),
        file(folder, "deep-objects.jsonl", again(4_000_000, "{\"a\":")),
        file(folder, "keys.json", |out| {
            out.write_all(b"{\"prompt\": \"a\", \"completion\": \"b\"")?;
            (0..1_500_000).try_for_each(|key| write!(out, ", \"k{key}\": {key}"))?;
            out.write_all(b"}")
        }),
        file(folder, "zeros.jsonl", |out| again(400, &"\0".repeat(100_000))(out)),
    ]
}

#[test]
fn costly_files_cost_the_program_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let studio = studio(&home);
    let me = std::process::id();
    for path in costly(folder.path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let before = status_of(me, "VmRSS:");
        // The highest mark is counted anew from here on.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let began = Instant::now();
        let found = studio.import_dataset(&studio.hand_out(path.clone()), None);
        let grown = status_of(me, "VmHWM:").saturating_sub(before);
        let said =
            found.as_ref().map_or_else(|problem| problem.message.en.clone(), |view| format!("{:?}", view.summary));
        let said: String = said.chars().take(160).collect();
        eprintln!("{name}: {said} in {:.1} s, grown by {:.1} MB", began.elapsed().as_secs_f64(), grown as f64 / 1e6);
        assert!(grown < GROWTH, "{name}: {grown}");
        if let Err(problem) = found {
            assert_eq!((problem.code, problem.field.as_deref()), (ProblemCode::Input, Some("dataset")), "{name}");
        }
        let output = run(&["check", text(&path)]);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{name}: {output:?}");
        std::fs::remove_file(&path).unwrap();
    }
    stopping_leaves_nothing(&studio, folder.path(), &home);
}

fn stopping_leaves_nothing(studio: &Arc<Studio>, folder: &Path, home: &Path) {
    let row = "{\"prompt\": \"What is it?\", \"completion\": \"It is a long answer about a bay and its harbour.\"}\n";
    let path = file(folder, "long.jsonl", again(1_500_000, row));
    let handle = studio.hand_out(path);
    let sets = || std::fs::read_dir(home.join("datasets")).unwrap().count();
    let before = sets();
    let (importing, wished) = (studio.clone(), handle.clone());
    let import = std::thread::spawn(move || importing.import_dataset(&wished, None));
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    studio.stop_import(&handle);
    let problem = import.join().unwrap().unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(problem.code, ProblemCode::Conflict, "{problem:?}");
    assert_eq!(sets(), before, "something of a stopped import is left");
}
