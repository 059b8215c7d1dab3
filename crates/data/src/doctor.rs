//! The importer: determines the shape of the records of a file, converts the rows that fit, and says what to do about
//! those that do not. Rows are streamed; memory does not grow with the file.

use crate::DataError;
use crate::encoding::Encoding;
use crate::fault::{Fault, reason};
use crate::importers::{IMPORTERS, Importer, RATED};
use crate::layout::{Layout, sniff};
use crate::notes::{Note, Notes};
use crate::record::Record;
use crate::records::{BARE, Stop, records};
use crate::{columns, conversation, guess, json_text, media};
use alidade_domain::{
    Dataset, Example, ImportSummary, Imported, ReasonCount, RowIssue, Wording, Words, shown, wording,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek};

/// Number of records from which the shape of a file is determined.
const SAMPLE: usize = 100;
/// Most bad rows that are listed one by one; all are counted.
pub const ISSUES: usize = 10_000;

/// Receives the rows of a file one by one, in file order.
pub type Sink<'a> = &'a mut dyn FnMut(Example) -> std::io::Result<()>;

/// Reads a file in memory and returns all its rows.
///
/// # Errors
/// When the bytes are no readable container, or not one row can be used.
pub fn import(bytes: &[u8], name: &str) -> Result<Dataset, DataError> {
    let mut rows = Vec::new();
    let found = import_from(&mut Cursor::new(bytes), name, &mut |row| {
        rows.push(row);
        Ok(())
    })?;
    Ok(found.with(rows))
}

/// Reads a source from its beginning, more than once, and passes each row to `sink`. Memory is bounded by the longest
/// record (16 MiB), not by the source. Rows that were passed on before an error must be discarded.
///
/// # Errors
/// When the source cannot be read, is no readable container, holds not one usable row, or the sink refuses a row.
pub fn import_from<S: Read + Seek>(source: &mut S, name: &str, sink: Sink<'_>) -> Result<Imported, DataError> {
    let (layout, encoding) = sniff(source, name).map_err(|stop| failed(stop, name))?;
    let mut survey = Survey::default();
    let look = records(source, &layout, name, &mut |record| survey.look(record));
    match look {
        Ok(()) | Err(Stop::Enough) => {}
        Err(stop) => return Err(failed(stop, name)),
    }
    let mut doctor =
        Doctor { survey, notes: Notes::default(), read: 0, kept: 0, issues: Vec::new(), dropped: BTreeMap::new() };
    records(source, &layout, name, &mut |record| doctor.take(record, sink)).map_err(|stop| failed(stop, name))?;
    doctor.finish(name, &layout, encoding)
}

fn failed(stop: Stop, name: &str) -> DataError {
    match stop {
        Stop::Data(error) => error,
        Stop::Read(error) => DataError::reading(name, error),
        Stop::Enough => DataError::Empty { name: name.to_owned() },
    }
}

/// What the first records reveal about all.
#[derive(Debug, Default)]
struct Survey {
    looked: usize,
    fitting: usize,
    rated: usize,
    /// True when there is a column of system prompts.
    system: bool,
}

impl Survey {
    fn look(&mut self, record: Result<Value, Fault>) -> Result<(), Stop> {
        self.looked += 1;
        if let Ok(Value::Object(fields)) = record {
            let mut record = record_of(fields);
            columns::rename_columns(&mut record);
            self.system |= has_system(&record);
            if let Some(importer) = importer_of(&record) {
                self.fitting += 1;
                self.rated += usize::from(importer.name() == RATED);
            }
        }
        if self.looked < SAMPLE { Ok(()) } else { Err(Stop::Enough) }
    }

    fn is_rated(&self) -> bool {
        self.rated * 2 > self.fitting
    }
}

struct Doctor {
    survey: Survey,
    notes: Notes,
    read: usize,
    kept: usize,
    issues: Vec<RowIssue>,
    dropped: BTreeMap<Words, usize>,
}

impl Doctor {
    fn take(&mut self, record: Result<Value, Fault>, sink: Sink<'_>) -> Result<(), Stop> {
        self.read += 1;
        match record.and_then(|value| self.example(value)) {
            Ok(example) => {
                self.kept += 1;
                sink(example).map_err(|error| Stop::Data(DataError::Keep(error)))
            }
            Err(fault) => {
                *self.dropped.entry(fault.reason).or_default() += 1;
                if self.issues.len() < ISSUES {
                    let found = Wording { en: shown(&fault.found.en, 300), zh: shown(&fault.found.zh, 300) };
                    let reason = fault.reason.into();
                    self.issues.push(RowIssue { row: self.read, reason, found, fix: *fault.fix });
                }
                Ok(())
            }
        }
    }

    fn example(&mut self, value: Value) -> Result<Example, Fault> {
        let Value::Object(fields) = value else { return Err(guess::no_object(&value)) };
        let mut record = record_of(fields);
        if let Some(fault) = guess::published(&record) {
            return Err(fault);
        }
        let pictures = media::take_columns(&mut record.fields)?;
        columns::rename_columns(&mut record);
        json_text::parse_lists(&mut record)?;
        record.turns |= self.survey.system || has_system(&record);
        let Some(importer) = importer_of(&record) else { return Err(guess::unknown(&record)) };
        if self.survey.is_rated() && importer.name() != RATED && !record.fields.contains_key("label") {
            let fix = Words::new(
                "Give every row of the file a label, or keep rows without one in a file of their own.",
                "给文件的每一条都加上标签，或把没有标签的放到另一个文件。",
            );
            return Err(Fault::new(
                reason::NO_LABEL,
                Words::new("a row without “label” in a file of labels", "文件带有标签，而这一条没有“label”"),
                fix,
            ));
        }
        let unused: Vec<(bool, bool)> = record.fields.values().map(conversation::unused).collect();
        record.notes.extend(unused.iter().any(|(weight, _)| *weight).then_some(Note::Weights));
        record.notes.extend(unused.iter().any(|(_, thoughts)| *thoughts).then_some(Note::Thoughts));
        let example = importer.map(&mut record)?;
        media::check_texts(&example, pictures)?;
        self.notes.row(self.read, importer.name(), record.notes, &record.fields, &example);
        Ok(example)
    }

    fn finish(self, name: &str, layout: &Layout, encoding: Encoding) -> Result<Imported, DataError> {
        if self.kept == 0 {
            return Err(match self.issues.into_iter().next() {
                Some(first) => DataError::NoRows { name: name.to_owned(), read: self.read, first: Box::new(first) },
                None => nothing(name, layout),
            });
        }
        let mut remarks = container_remarks(layout, encoding);
        remarks.extend(self.notes.remarks());
        if self.read - self.kept > self.issues.len() {
            let (bad, told) = (self.read - self.kept, self.issues.len());
            remarks.push(wording!(
                "{bad} rows were left out; the first {told} of them are listed.",
                "略去 {bad} 条，这里列出前 {told} 条。"
            ));
        }
        let dropped = self.dropped.iter().map(|(reason, rows)| ReasonCount { reason: (*reason).into(), rows: *rows });
        let summary = ImportSummary {
            format: self.notes.shape().into(),
            read: self.read,
            kept: self.kept,
            dropped: dropped.collect(),
        };
        Ok(Imported { kind: self.notes.kind(), summary, issues: self.issues, remarks })
    }
}

/// The error of a file without a record.
fn nothing(name: &str, layout: &Layout) -> DataError {
    let found = match layout {
        Layout::Table(_) => Words::new(
            "a table with one row alone, which is taken for the names of the columns",
            "只有一行的表格，而这一行会被当作列名",
        ),
        Layout::Paragraphs | Layout::Lines => return DataError::Empty { name: name.to_owned() },
        Layout::Values | Layout::Elements | Layout::Under(_) | Layout::Keyed => {
            Words::new("a list without any record", "没有任何记录的列表")
        }
    };
    DataError::container(
        name,
        found,
        Words::new("Choose a file with at least one row.", "请选择至少含有一条数据的文件。"),
    )
}

fn container_remarks(layout: &Layout, encoding: Encoding) -> Vec<Wording> {
    let mut remarks = Vec::new();
    if encoding != Encoding::Utf8 {
        remarks
            .push(wording!("The file is written in UTF-16; it was read as such.", "文件为 UTF-16 编码，已按此读取。"));
    }
    match layout {
        Layout::Under(key) => remarks.push(wording!(
            "The rows were found under the key “{key}”.",
            "数据在键“{key}”下。",
            key = shown(key, 60)
        )),
        Layout::Keyed => remarks.push(wording!(
            "The rows were found under keys of their own; the keys are not used.",
            "每条数据各在一个键下；这些键没有使用。"
        )),
        Layout::Paragraphs => remarks.push(wording!("Each paragraph became one row.", "每个段落成为一条。")),
        Layout::Table(dialect) => match dialect.delimiter {
            b'\t' => remarks.push(wording!("The columns are separated by tabs.", "各列以制表符分隔。")),
            b';' => remarks.push(wording!("The columns are separated by semicolons.", "各列以分号分隔。")),
            b'|' => remarks.push(wording!("The columns are separated by bars.", "各列以竖线分隔。")),
            _ => {}
        },
        Layout::Values | Layout::Elements | Layout::Lines => {}
    }
    remarks
}

/// True when there is a column of system prompts; null means that other rows fill it.
fn has_system(record: &Record) -> bool {
    record.has("system")
}

fn record_of(fields: Map<String, Value>) -> Record {
    let mut record = Record { fields, ..Record::default() };
    if let Some(list) = record.fields.shift_remove(BARE) {
        record.fields.insert("messages".to_owned(), list);
        record.notes.push(Note::BareList);
    }
    record
}

/// The first shape that fits the non-null fields, else the first that fits all fields. A label counts even when it is null.
fn importer_of(record: &Record) -> Option<&'static dyn Importer> {
    let filled = |key: &str| record.has(key) || (key == "label" && record.fields.contains_key(key));
    let named = |key: &str| record.fields.contains_key(key);
    let find = |has: &dyn Fn(&str) -> bool| IMPORTERS.iter().copied().find(|importer| importer.fits(has));
    find(&filled).or_else(|| find(&named))
}
