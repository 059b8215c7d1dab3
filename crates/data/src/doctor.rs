//! The data doctor: which shape a file has, which rows fit, and what to do about those that do not.

use crate::DataError;
use crate::container::{Record, read};
use crate::importers::{Fault, IMPORTERS, Importer};
use alidade_domain::{Dataset, DatasetKind, Example, ImportSummary, ReasonCount, RowIssue};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Records that decide which shape a file has.
const SAMPLE: usize = 100;

/// Reads a file.
///
/// # Errors
/// When the bytes are no readable container, or not one row can be used.
pub fn import(bytes: &[u8], name: &str) -> Result<Dataset, DataError> {
    let found = read(bytes, name)?;
    let importer = shape(&found.records);
    let (mut rows, mut issues) = (Vec::new(), Vec::new());
    for (index, record) in found.records.iter().enumerate() {
        match example(record, importer) {
            Ok(example) => rows.push(example),
            Err(Fault { reason, found, fix }) => {
                issues.push(RowIssue { row: index + 1, reason: reason.to_owned(), found, fix: fix.to_owned() });
            }
        }
    }
    if rows.is_empty() {
        return Err(match issues.into_iter().next() {
            Some(first) => {
                DataError::NoRows { name: name.to_owned(), read: found.records.len(), first: Box::new(first) }
            }
            None => DataError::Empty { name: name.to_owned() },
        });
    }
    let summary = ImportSummary {
        format: importer.map_or("unknown", Importer::name).to_owned(),
        read: found.records.len(),
        kept: rows.len(),
        dropped: by_reason(&issues),
    };
    Ok(Dataset { kind: kind_of(&rows), summary, rows, issues, remarks: found.remarks })
}

/// The importer that fits most of the first records.
fn shape(records: &[Record]) -> Option<&'static dyn Importer> {
    let objects: Vec<&Map<String, Value>> =
        records.iter().take(SAMPLE).filter_map(|record| record.as_ref().ok()?.as_object()).collect();
    let votes = |importer: &&dyn Importer| objects.iter().filter(|object| importer.fits(object)).count();
    let best = IMPORTERS.iter().rev().max_by_key(|importer| votes(importer))?;
    (votes(best) > 0).then_some(*best)
}

fn example(record: &Record, shape: Option<&'static dyn Importer>) -> Result<Example, Fault> {
    let value = record
        .as_ref()
        .map_err(|error| Fault::new("broken record", error.clone(), "Correct the JSON or the quotes in this row."))?;
    let Some(object) = value.as_object() else {
        return Err(Fault::new("not an object", short(value), "Each record must be an object with named fields."));
    };
    let fitting =
        shape.filter(|importer| importer.fits(object)).or_else(|| IMPORTERS.iter().copied().find(|i| i.fits(object)));
    match fitting {
        Some(importer) => importer.map(object),
        None => {
            let keys = object.keys().take(8).cloned().collect::<Vec<_>>().join(", ");
            let fix = "Name the columns as one of the known shapes does, for example prompt and completion, or prompt, chosen and rejected.";
            Err(Fault::new("unknown shape", format!("the fields {keys}"), fix))
        }
    }
}

pub(crate) fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("…".chars()).collect() }
}

fn by_reason(issues: &[RowIssue]) -> Vec<ReasonCount> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    issues.iter().for_each(|issue| *counts.entry(&issue.reason).or_default() += 1);
    counts.into_iter().map(|(reason, rows)| ReasonCount { reason: reason.to_owned(), rows }).collect()
}

/// The kind that most rows have.
fn kind_of(rows: &[Example]) -> DatasetKind {
    let kind = |example: &Example| match example {
        Example::Answer { .. } | Example::Conversation { .. } | Example::PlainAnswer { .. } => DatasetKind::Answers,
        Example::Pair(_) | Example::PlainPair { .. } => DatasetKind::Pairs,
        Example::Rated { .. } => DatasetKind::Ratings,
        Example::Text { .. } => DatasetKind::Texts,
        Example::Prompt { .. } => DatasetKind::Prompts,
    };
    let all =
        [DatasetKind::Prompts, DatasetKind::Texts, DatasetKind::Ratings, DatasetKind::Pairs, DatasetKind::Answers];
    let count = |wanted: &DatasetKind| rows.iter().filter(|row| kind(row) == *wanted).count();
    all.into_iter().max_by_key(count).unwrap_or(DatasetKind::Answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import_text(text: &str) -> Dataset {
        import(text.as_bytes(), "rows.jsonl").unwrap()
    }

    #[test]
    fn every_shape_is_recognised() {
        let cases = [
            (r#"{"instruction":"a","input":"b","output":"c"}"#, "alpaca", DatasetKind::Answers),
            (r#"{"instruction":"a","chosen":"b","rejected":"c"}"#, "alpaca pairs", DatasetKind::Pairs),
            (
                r#"{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}"#,
                "sharegpt",
                DatasetKind::Answers,
            ),
            (
                r#"{"conversations":[{"from":"human","value":"a"}],"chosen":{"from":"gpt","value":"b"},"rejected":{"from":"gpt","value":"c"}}"#,
                "sharegpt pairs",
                DatasetKind::Pairs,
            ),
            (
                r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#,
                "messages",
                DatasetKind::Answers,
            ),
            (
                r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"label":true}"#,
                "rated answers",
                DatasetKind::Ratings,
            ),
            (r#"{"prompt":"a","completion":"b"}"#, "prompt and completion", DatasetKind::Answers),
            (r#"{"prompt":"a","completion":"b","label":false}"#, "rated answers", DatasetKind::Ratings),
            (r#"{"prompt":"a","chosen":"b","rejected":"c"}"#, "preference pairs", DatasetKind::Pairs),
            (r#"{"text":"a"}"#, "text", DatasetKind::Texts),
            (r#"{"prompt":"a"}"#, "prompts", DatasetKind::Prompts),
        ];
        for (line, format, kind) in cases {
            let dataset = import_text(line);
            assert_eq!((dataset.summary.format.as_str(), dataset.kind), (format, kind), "{line}");
        }
    }

    #[test]
    fn bad_rows_are_numbered_and_counted() {
        let text = "{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"prompt\":\"a\",\"completion\":\" \"}\nnonsense\n[1]\n{\"prompt\":\"\",\"completion\":\"b\"}\n";
        let dataset = import_text(text);
        assert_eq!((dataset.summary.read, dataset.summary.kept), (5, 1));
        let rows: Vec<(usize, &str)> = dataset.issues.iter().map(|issue| (issue.row, issue.reason.as_str())).collect();
        assert_eq!(rows, [(2, "no answer"), (3, "broken record"), (4, "not an object"), (5, "empty prompt")]);
        assert_eq!(dataset.summary.dropped.iter().map(|count| count.rows).sum::<usize>(), 4);
    }

    #[test]
    fn a_file_without_usable_rows_says_what_it_found() {
        let error = import(b"{\"foo\":1}\n", "x.jsonl").unwrap_err().to_string();
        assert!(error.contains("unknown shape") && error.contains("foo"), "{error}");
    }

    #[test]
    fn mutated_files_never_panic() {
        let seeds: [&[u8]; 3] = [
            b"[{\"instruction\":\"a\",\"input\":\"\",\"output\":\"c\"},{\"instruction\":\"d\",\"output\":\"e\"}]",
            b"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n",
            b"prompt,chosen,rejected\n\"a\nb\",c,d\n",
        ];
        let mut stream = alidade_domain::Stream::new(5, alidade_domain::Purpose::Split, 0, 0);
        for round in 0..2_000 {
            let mut bytes = seeds[round % seeds.len()].to_vec();
            for _ in 0..=stream.below(3) {
                let place = stream.below(bytes.len());
                bytes[place] = stream.bits() as u8;
            }
            bytes.truncate(1 + stream.below(bytes.len()));
            if let Ok(dataset) = import(&bytes, "x.jsonl") {
                assert_eq!(dataset.summary.read, dataset.summary.kept + dataset.issues.len());
            }
        }
    }
}
