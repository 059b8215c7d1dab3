//! Tokenizers that somebody damaged, or made to stop programs: each ends in an error or works, quickly, and no panic of the
//! library gets out or is announced. A process of its own, because the panic hook is everybody's.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly and tell its counts")]

use alidade_domain::{Purpose, Stream};
use alidade_model::{TextTokenizer, train_byte_level_bpe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

const MUTATIONS: u64 = 400;
static ANNOUNCED: AtomicUsize = AtomicUsize::new(0);

/// Loads a tokenizer and uses it; whether it could be loaded.
fn used(bytes: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), bytes).unwrap();
    let Ok(tokenizer) = TextTokenizer::open(folder.path()) else { return false };
    for text in ["The mill stands.", "", "héllo 你好 🙂\n\n\t ", &"a".repeat(64)] {
        let Ok(ids) = tokenizer.encode_document(text) else { continue };
        let _ = tokenizer.decode(&ids);
        ids.iter().for_each(|id| drop(tokenizer.piece(*id)));
    }
    true
}

#[test]
fn no_panic_gets_out() {
    std::panic::set_hook(Box::new(|_| {
        ANNOUNCED.fetch_add(1, Ordering::Relaxed);
    }));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let texts: Vec<String> = (0..40).map(|n| format!("The mill number {n} stands by the river.")).collect();
    train_byte_level_bpe(&texts, 320, &["<s>", "</s>"], &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    assert!(used(&whole));
    let mut loaded = 0;
    for mutation in 0..MUTATIONS {
        let mut stream = Stream::new(7, Purpose::Initialise, 0, mutation);
        let mut bytes = whole.clone();
        for _ in 0..1 + stream.bits() % 4 {
            let place = (stream.bits() % bytes.len() as u64) as usize;
            match stream.bits() % 3 {
                0 => bytes[place] = stream.bits() as u8,
                1 => drop(bytes.remove(place)),
                _ => bytes[place] ^= 1 << (stream.bits() % 8),
            }
        }
        loaded += usize::from(used(&bytes));
    }
    println!("{loaded} of {MUTATIONS} mutations can be loaded");
    for part in [
        r#""pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": false}"#,
        r#""decoder": {"type": "Strip", "content": "T", "start": 9, "stop": 9}"#,
        r#""decoder": {"type": "Strip", "content": "é", "start": 1, "stop": 1}"#,
        r#""normalizer": {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "b"}"#,
    ] {
        let name = part.split(':').next().unwrap();
        let mut all: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        let changed: serde_json::Value = serde_json::from_str(&format!("{{{part}}}")).unwrap();
        all[name.trim_matches('"')] = changed[name.trim_matches('"')].clone();
        used(all.to_string().as_bytes());
    }
    given();
    assert_eq!(ANNOUNCED.load(Ordering::Relaxed), 0);
}

/// Files that were found by trying thousands; they lie beside the project or nowhere.
fn given() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases/hostile/tokenizer");
    let files: Vec<PathBuf> = files(&folder);
    if files.is_empty() {
        println!("skipped: {} is not here", folder.display());
    }
    let loaded = files.iter().filter(|file| used(&std::fs::read(file).unwrap())).count();
    println!("{loaded} of {} given files can be loaded", files.len());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
