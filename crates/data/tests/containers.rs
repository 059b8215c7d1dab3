//! Files as found in practice: encodings, tables, truncated files, oversized records.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use alidade_data::{ISSUES, import, import_from};
use alidade_domain::{Dataset, DatasetKind, Example, Problem, Wording};
use std::io::{self, Read, Seek, SeekFrom};

const ROW: &str = "{\"prompt\":\"Wo?\",\"completion\":\"Am Fluß 🚢\"}";

fn read(text: &str, name: &str) -> Dataset {
    import(text.as_bytes(), name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn refused(bytes: &[u8], name: &str) -> String {
    let problem = Problem::from(import(bytes, name).unwrap_err());
    format!("{} {}", problem.message.en, Wording::sentences(&problem.hints).en)
}

#[test]
fn marks_and_line_ends_change_nothing() {
    let plain = read(&format!("{ROW}\n{ROW}\n"), "x").rows;
    let text = format!("{ROW}\r\n\r\n{ROW}\r\n");
    let utf16 = |mark: &str, unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("{mark}{text}").encode_utf16().flat_map(unit).collect()
    };
    let cases = [
        text.clone().into_bytes(),
        format!("\u{feff}{text}").into_bytes(),
        utf16("\u{feff}", u16::to_le_bytes),
        utf16("\u{feff}", u16::to_be_bytes),
        utf16("", u16::to_le_bytes),
        utf16("", u16::to_be_bytes),
    ];
    for (number, bytes) in cases.iter().enumerate() {
        assert_eq!(import(bytes, "x.json").unwrap().rows, plain, "{number}");
    }
    let latin = refused(b"{\"prompt\":\"Wo?\",\"completion\":\"Am Flu\xdf\"}\n", "x.jsonl");
    assert!(latin.contains("UTF-8") && latin.contains("offset 36") && latin.contains("Latin-1"), "{latin}");
    let table = "prompt,completion\n\"two\nlines\",b\n";
    assert_eq!(read(&table.replace('\n', "\r\n"), "x.csv").rows, read(table, "x.csv").rows);
}

#[test]
fn tables_are_told_by_their_separator() {
    for (text, name, words) in [
        ("prompt,completion\n\"a, b\",c\nd,e\n", "x.csv", ""),
        ("prompt\tcompletion\na, b\tc\nd\te\n", "x.tsv", "tabs"),
        ("prompt\tcompletion\na, b\tc\nd\te\n", "x.csv", "tabs"),
        ("prompt\tcompletion\na, b\tc\nd\te\n", "x.txt", "tabs"),
        ("prompt\tcompletion\n\"a, b\"\tc\nd\te\n", "x", "tabs"),
        ("prompt;completion\na, b;c\nd;e\n", "x.csv", "semicolons"),
        ("Prompt|Completion\na, b|c\nd|e\n", "x.csv", "bars"),
    ] {
        let dataset = read(text, name);
        let first = Example::PlainAnswer { prompt: "a, b".to_owned(), completion: "c".to_owned() };
        assert_eq!((dataset.rows.len(), &dataset.rows[0]), (2, &first), "{name}");
        assert!(Wording::sentences(&dataset.remarks).en.contains(words), "{name}: {:?}", dataset.remarks);
    }
    // Between tabs a lone quote is a quote.
    let inches = read("prompt\tcompletion\n\"5\" wide\ta\nb\tc\n", "x.tsv");
    assert_eq!(inches.summary.kept, 2);
    assert_eq!(read("one\nline\n\ntwo, with a comma\r\n\r\nthree", "x.txt").rows.len(), 3);
    assert_eq!(read("[A link](x)\n\nText", "x.md").rows.len(), 2);
    let odd = read("prompt,completion\na,b,,\nc\nd,e,f\ng,nan\n", "x.csv");
    let rows: Vec<(usize, &str)> = odd.issues.iter().map(|issue| (issue.row, issue.reason.en.as_str())).collect();
    assert_eq!(rows, [(2, "odd number of cells"), (3, "odd number of cells"), (4, "no answer")]);
}

#[test]
fn objects_around_rows_are_opened() {
    let dataset = read(&format!("{{\"version\":1,\"rows\":[{ROW},{ROW}],\"more\":[1]}}"), "x.json");
    assert_eq!(dataset.summary.kept, 2);
    assert!(Wording::sentences(&dataset.remarks).en.contains("“rows”"), "{:?}", dataset.remarks);
    assert_eq!(read(&format!("{{\"a\":{ROW},\n\"b\":{ROW}}}"), "x.json").summary.kept, 2);
    let pretty = ROW.replace(',', ",\n  ");
    assert_eq!(read(&format!("{pretty}\n{pretty}\n"), "x.json").summary.kept, 2);
    assert_eq!(read(&pretty, "x.json").summary.kept, 1);
    let two = refused(format!("{{\"train\":[{ROW}],\"test\":[{ROW}]}}").as_bytes(), "x.json");
    assert!(two.contains("“train”, “test”"), "{two}");
    let columns = refused(b"{\"prompt\":[\"a\",\"b\"],\"completion\":[\"c\",\"d\"]}", "x.json");
    assert!(columns.contains("column by column") && columns.contains("records"), "{columns}");
}

#[test]
fn a_cut_end_is_a_problem_that_counts() {
    let cases = [
        (format!("[{ROW}, {ROW}, {{\"prompt\":\"abc"), 2, "14 bytes"),
        (format!("[{ROW},\n{ROW},\n{{\"prompt\":\"abc"), 2, "14 bytes"),
        (format!("[{ROW}, {ROW}"), 2, "without closing"),
        (format!("[{ROW}, {ROW},"), 2, "without closing"),
        (format!("{{\"rows\":[{ROW},{{\"prompt\":"), 1, "10 bytes"),
        (format!("{ROW}\n{ROW}\n{{\"prompt\":\"a\",\"comp"), 2, "19 bytes"),
        (format!("[{ROW}] and more"), 1, "8 bytes behind"),
        (format!("[{ROW},{{\"prompt\":\"Wo"), 1, "13 bytes"),
        ("prompt,completion\na,b\nc,\"d\ne,f\n".to_owned(), 1, "a quote opened"),
    ];
    for (text, kept, words) in cases {
        let dataset = read(&text, "x");
        assert_eq!((dataset.summary.kept, dataset.summary.read, dataset.issues.len()), (kept, kept + 1, 1), "{text}");
        let issue = &dataset.issues[0];
        assert!(issue.found.en.contains(words), "{text}: {issue:?}");
        assert_eq!((issue.row, dataset.summary.dropped[0].rows), (kept + 1, 1));
    }
    // Truncation may fall inside a character.
    for text in [format!("[{ROW},{{\"prompt\":\"Flu"), format!("{ROW}\n{{\"prompt\":\"Flu")] {
        let dataset = import(&[text.as_bytes(), &b"\xc3"[..]].concat(), "x").unwrap();
        assert_eq!((dataset.summary.kept, dataset.issues[0].reason.en.as_str()), (1, "cut off"));
    }
    // A broken record in the middle costs only itself.
    let middle = read(&format!("[{ROW}, {{\"prompt\": tru}}, nonsense, {ROW}]"), "x");
    assert_eq!((middle.summary.kept, middle.issues.len()), (2, 2), "{:?}", middle.issues);
    let first = read(&format!("{{\"prompt\":\n{ROW}\n{ROW}\n"), "x.jsonl");
    assert_eq!((first.summary.kept, first.issues[0].row), (2, 1));
}

#[test]
fn brackets_without_an_end_are_called_what_they_are() {
    for (text, words) in
        [("[".repeat(100_000), "99999 bytes"), ("{\"a\":".repeat(50_000), "brackets deep"), ("[".to_owned(), "closing")]
    {
        let said = refused(text.as_bytes(), "x.json");
        assert!(said.contains(words) && !said.contains("is empty"), "{said}");
    }
    let deep = format!("[{{\"a\":{}{}}}, {ROW}]", "[".repeat(200), "]".repeat(200));
    let dataset = read(&deep, "x.json");
    assert_eq!((dataset.summary.kept, dataset.issues[0].reason.en.as_str()), (1, "nested too deep"));
    for empty in ["", " \n\t ", "\u{feff}"] {
        assert!(refused(empty.as_bytes(), "x").contains("is empty"));
    }
    for (nothing, words) in
        [("[]", "without any record"), ("{}", "without fields"), ("prompt,completion\n", "names of the columns")]
    {
        let said = refused(nothing.as_bytes(), "x");
        assert!(said.contains(words), "{said}");
    }
    let text = refused(b"\"{\\\"prompt\\\":1}\"\n", "x.jsonl");
    assert!(text.contains("text that holds JSON"), "{text}");
    let zero =
        import(format!("{ROW}\n{{\"prompt\":\"\0\"}}\n{}", format!("{ROW}\n").repeat(50)).as_bytes(), "x").unwrap();
    assert_eq!((zero.summary.kept, zero.issues.len()), (51, 1));
}

#[test]
fn records_without_measure_cost_themselves() {
    let long = "x".repeat(17 << 20);
    let full = format!("{{\"prompt\":\"a\",\"completion\":\"b\",\"ids\":[{}1]}}", "0,".repeat(200_000));
    for (text, name, reasons) in [
        (format!("{ROW}\n{{\"prompt\":\"{long}\"}}\n{full}\n{ROW}\n"), "x.jsonl", ["too long", "too many values"]),
        (format!("[{ROW},{{\"prompt\":\"{long}\"}},{full},{ROW}]"), "x.json", ["too long", "too many values"]),
        (
            format!("prompt,completion\na,b\n\"{long} \"\"quoted\"\"\n\",c\n{}\nd,e\n", ",".repeat(9_000)),
            "x.csv",
            ["too long", "odd number of cells"],
        ),
    ] {
        let dataset = read(&text, name);
        let rows: Vec<(usize, &str)> =
            dataset.issues.iter().map(|issue| (issue.row, issue.reason.en.as_str())).collect();
        assert_eq!((dataset.summary.kept, rows), (2, vec![(2, reasons[0]), (3, reasons[1])]), "{name}");
    }
    let wide = format!("{}z\n", "column,".repeat(5_000));
    assert!(refused(wide.as_bytes(), "x.csv").contains("more than 4096 columns"));
    assert!(refused(long.as_bytes(), "x.csv").contains("too long"));
}

#[test]
fn of_many_bad_rows_the_first_are_told_and_all_are_counted() {
    let text = format!("{ROW}\n{}", "{\"prompt\":\"a\"}\n{\"prompt\":7,\"completion\":\"b\"}\n[]\n".repeat(5_000));
    let dataset = read(&text, "x.jsonl");
    assert_eq!((dataset.summary.read, dataset.summary.kept, dataset.issues.len()), (15_001, 5_001, ISSUES.min(10_000)));
    let more = read(&format!("{ROW}\n{}", "x\n".repeat(12_345)), "x.jsonl");
    assert_eq!((more.issues.len(), more.summary.dropped[0].rows), (ISSUES, 12_345));
    assert!(Wording::sentences(&more.remarks).en.contains("12345 rows were left out"), "{:?}", more.remarks);
}

/// A source that is larger than any memory.
struct Endless {
    at: u64,
    end: u64,
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let line = format!("{ROW}\n").into_bytes();
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(out.len());
        for byte in &mut out[..left] {
            *byte = line[usize::try_from(self.at).unwrap() % line.len()];
            self.at += 1;
        }
        Ok(left)
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Start(at) => self.at = at,
            other => panic!("{other:?}"),
        }
        Ok(self.at)
    }
}

#[test]
fn rows_leave_as_they_come_and_a_full_disk_ends_it() {
    let length = ROW.len() as u64 + 1;
    let mut rows = 0;
    let found = import_from(&mut Endless { at: 0, end: 100_000 * length }, "x.jsonl", &mut |_| {
        rows += 1;
        Ok(())
    });
    let found = found.unwrap();
    assert_eq!((rows, found.summary.kept, found.kind), (100_000, 100_000, DatasetKind::Answers));
    let mut rows = 0;
    let full = import_from(&mut Endless { at: 0, end: u64::MAX }, "x.jsonl", &mut |_| {
        rows += 1;
        if rows < 1_000 { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    });
    let problem = Problem::from(full.unwrap_err());
    assert_eq!((rows, problem.code), (1_000, alidade_domain::ProblemCode::DiskFull));
}
