//! Uploads from a browser: written to the disk piece by piece, limited in size and by the free disk space. Incomplete
//! uploads are removed.

use super::Server;
use alidade_domain::{Problem, ProblemCode, Wording, why, wording};
use axum::body::Body;
use axum::http::{HeaderMap, header};
use serde_json::{Value, json};
use std::path::PathBuf;
use tokio::io::AsyncWriteExt;
use tokio_stream::StreamExt;

/// Maximum size of an upload from a browser, in bytes; the window reads files in place.
const LARGEST: u64 = 1 << 30;
/// Disk space that an upload must leave free.
const RESERVE: u64 = 64 << 20;
/// Maximum characters of a file's name.
const LONGEST_NAME: usize = 80;

/// Stores the file and returns a handle for it.
pub(super) async fn keep(server: &Server, name: &str, headers: &HeaderMap, body: Body) -> Result<Value, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LARGEST) {
        return Err(too_large());
    }
    if let (Some(length), Some(free)) = (announced, server.studio.free_disk_bytes())
        && length.saturating_add(RESERVE) > free
    {
        return Err(no_room(wording!(
            "the file has {file} MB and {free} MB are free",
            "文件有 {file} MB，可用空间为 {free} MB",
            file = length >> 20,
            free = free >> 20
        )));
    }
    let mut partial = Partial(Some(server.studio.fresh_folder("uploads")?));
    let path = partial.folder().join(safe(name));
    write(&path, body).await?;
    partial.0 = None;
    Ok(json!({ "handle": server.studio.hand_out(path) }))
}

async fn write(path: &std::path::Path, body: Body) -> Result<(), Problem> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => no_room(why(&error)),
        _ => Problem::internal(
            wording!("Saving the upload failed: {why}.", "保存上传的文件失败：{why}。"; why = why(&error)),
        ),
    };
    let mut file = tokio::fs::File::create_new(path).await.map_err(failed)?;
    let (mut pieces, mut bytes) = (body.into_data_stream(), 0u64);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| {
            Problem::input(wording!("The upload was interrupted.", "上传被中断。"))
                .hint(wording!("Send the file again.", "请重新发送该文件。"))
        })?;
        bytes += piece.len() as u64;
        if bytes > LARGEST {
            return Err(too_large());
        }
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    file.sync_all().await.map_err(failed)
}

/// The folder of an incomplete upload; removed with its content unless it is completed.
struct Partial(Option<PathBuf>);

impl Partial {
    fn folder(&self) -> PathBuf {
        self.0.clone().unwrap_or_default()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            // A leftover only costs disk space.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn safe(name: &str) -> String {
    let name: String = name.chars().filter(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ')).collect();
    // The extension stays, because it determines the format.
    let name: String = name.chars().skip(name.chars().count().saturating_sub(LONGEST_NAME)).collect();
    if name.trim_matches(['.', ' ']).is_empty() { "data".to_owned() } else { name }
}

fn too_large() -> Problem {
    Problem::input(wording!(
        "The file is larger than {limit} MiB, the limit for uploads from a browser.",
        "文件大于 {limit} MiB，即浏览器上传的上限。",
        limit = LARGEST >> 20
    ))
    .hint(wording!("Split it, or use a smaller one.", "请拆分它，或使用较小的文件。"))
}

fn no_room(found: Wording) -> Problem {
    Problem::new(
        ProblemCode::DiskFull,
        wording!("There is not enough disk space for the upload: {found}.", "磁盘空间不足，无法上传：{found}。"; found),
    )
    .hint(wording!(
        "Free some space on the disk of the data folder and send it again.",
        "请在数据目录所在的磁盘上腾出一些空间，然后重新发送。"
    ))
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn names_lead_nowhere_else() {
        assert_eq!(safe("../../etc/passwd"), "....etcpasswd");
        assert_eq!(safe(".. "), "data");
        assert_eq!(safe("pairs (1).jsonl"), "pairs 1.jsonl");
        let long = safe(&format!("{}.jsonl", "é".repeat(300)));
        assert!(long.chars().count() == 80 && long.ends_with(".jsonl"), "{long}");
    }
}
