//! A person's data file on the disk: opened only if it is an ordinary file, and read as a stream, so that memory does not
//! depend on its size. The meaning of its rows is up to `data`; where they are stored is up to the caller.

use alidade_data::{Sink, import_from};
use alidade_domain::{Imported, Problem, Words, shown, why, wording};
use std::fs::{File, Metadata};
use std::path::Path;

/// Reads and converts a data file, and passes its rows to `sink` one by one; memory is bounded by the longest record. Rows
/// that were passed on before an error must be discarded.
///
/// # Errors
/// When it is not an ordinary file, cannot be read, has no usable row, or the sink fails.
pub(crate) fn import_rows(path: &Path, sink: Sink<'_>) -> Result<Imported, Problem> {
    let mut file = open(path).map_err(|problem| problem.at("dataset"))?;
    let name = path.file_name().map_or_else(|| "data".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok(import_from(&mut file, &name, sink)?)
}

/// Opens an ordinary file. Its type is checked first: opening a pipe waits for a writer, and a device has no end.
fn open(path: &Path) -> Result<File, Problem> {
    let place = shown(&path.to_string_lossy(), 300);
    let failed = |error: std::io::Error| {
        Problem::input(match error.kind() {
            std::io::ErrorKind::NotFound => wording!("There is no file {place}.", "没有文件 {place}。"),
            _ => {
                wording!(
                    "Reading the data set {place} failed: {why}.",
                    "读取数据集 {place} 失败：{why}。";
                    why = why(&error)
                )
            }
        })
    };
    let ordinary = |found: &Metadata| {
        if found.is_file() {
            return Ok(());
        }
        let what = if found.is_dir() {
            Words::new("a folder", "文件夹")
        } else {
            Words::new("no ordinary file but a pipe, a socket or a device", "管道、套接字或设备，而不是普通文件")
        };
        let problem = Problem::input(wording!("The data set {place} is {what}.", "数据集 {place} 是{what}。"; what));
        Err(problem.hint(wording!(
            "Name the file itself: JSON, JSON lines, CSV, TSV or text.",
            "请指定文件本身：JSON、JSON Lines、CSV、TSV 或文本。"
        )))
    };
    ordinary(&std::fs::metadata(path).map_err(failed)?)?;
    let file = File::open(path).map_err(failed)?;
    ordinary(&file.metadata().map_err(failed)?)?;
    Ok(file)
}
