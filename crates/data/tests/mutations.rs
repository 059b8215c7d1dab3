//! Thousands of damaged files: none may crash the program, and the counts must add up.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use alidade_data::import;
use alidade_domain::{Purpose, Stream};

const SEEDS: [(&str, &[u8]); 7] = [
    ("x.json", b"[{\"instruction\":\"a\",\"input\":\"\",\"output\":\"c\"},\n{\"instruction\":\"d\",\"output\":\"e\"}]"),
    ("x.jsonl", b"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n{\"prompt\":\"a\",\"completion\":\"b\",\"label\":1}\n"),
    ("x.csv", b"system,prompt,chosen,rejected\ns,\"a\nb\",c,d\n,\"e\"\"f\",\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"x\"\"}]\",h\n"),
    ("x.tsv", b"question\tgood_answer\tbad_answer\na\tb\tc\nd\t\"e\tf\n"),
    ("x.json", b"{\"data\":[{\"conversations\":[{\"from\":\"human\",\"value\":\"<image>a\"},{\"from\":\"gpt\",\"value\":\"b\"}],\"images\":[]}],\"n\":[1,2]}"),
    ("x.jsonl", b"[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\",\"value\":\"b\"}]\n[{\"from\":\"human\",\"value\":\"c\"},{\"from\":\"gpt\",\"value\":\"d\"}]\n"),
    ("x.txt", b"\xff\xfep\0r\0o\0m\0p\0t\0\n\0a\0\n\0"),
];
/// Bytes with a meaning to one of the readers.
const MARKS: &[u8] = b"{}[]\",:\\\n\r\t;|\0\xff\xfe\xef\xbb\xbf'0e9 ";

#[test]
fn damaged_files_end_in_rows_or_words() {
    let mut stream = Stream::new(5, Purpose::Split, 0, 0);
    let (mut read, mut refused) = (0, 0);
    for round in 0..4_200 {
        let (name, seed) = SEEDS[round % SEEDS.len()];
        let mut bytes = seed.to_vec();
        for _ in 0..=stream.below(4) {
            damage(&mut bytes, &mut stream);
        }
        match import(&bytes, name) {
            Ok(dataset) => {
                read += 1;
                assert_eq!(dataset.summary.read, dataset.summary.kept + dataset.issues.len());
                assert_eq!(dataset.summary.kept, dataset.rows.len());
                assert_eq!(dataset.summary.dropped.iter().map(|count| count.rows).sum::<usize>(), dataset.issues.len());
                assert!(dataset.issues.iter().all(|issue| !issue.found.en.chars().any(char::is_control)));
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
            }
        }
    }
    assert!(read > 800 && refused > 800, "{read} read, {refused} refused");
}

fn damage(bytes: &mut Vec<u8>, stream: &mut Stream) {
    if bytes.is_empty() {
        return bytes.push(b'[');
    }
    let (place, mark) = (stream.below(bytes.len()), MARKS[stream.below(MARKS.len())]);
    match stream.below(6) {
        0 => bytes[place] = stream.bits() as u8,
        1 => bytes[place] = mark,
        2 => bytes.insert(place, mark),
        3 => {
            bytes.remove(place);
        }
        4 => bytes.truncate(place + 1),
        _ => {
            let copy = bytes[place..].to_vec();
            let to = stream.below(bytes.len());
            bytes.splice(to..to, copy);
        }
    }
}
