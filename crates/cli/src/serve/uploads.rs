//! Uploads from a browser: written to the disk piece by piece, limited in size and by the free disk space. Incomplete
//! uploads are removed.

use super::Server;
use alidade_domain::{Problem, ProblemCode, why};
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
        return Err(no_room(&format!("the file has {} MB and {} MB are free", length >> 20, free >> 20)));
    }
    let mut partial = Partial(Some(server.studio.fresh_folder("uploads")?));
    let path = partial.folder().join(safe(name));
    write(&path, body).await?;
    partial.0 = None;
    Ok(json!({ "handle": server.studio.hand_out(path) }))
}

async fn write(path: &std::path::Path, body: Body) -> Result<(), Problem> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => no_room(&why(&error)),
        _ => Problem::internal(format!("Saving the upload failed: {}.", why(&error))),
    };
    let mut file = tokio::fs::File::create_new(path).await.map_err(failed)?;
    let (mut pieces, mut bytes) = (body.into_data_stream(), 0u64);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Problem::input("The upload was interrupted.").hint("Send the file again."))?;
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
    Problem::input(format!("The file is larger than {} MiB, the limit for uploads from a browser.", LARGEST >> 20))
        .hint("Split it, or use a smaller one.")
}

fn no_room(found: &str) -> Problem {
    Problem::new(ProblemCode::DiskFull, format!("There is not enough disk space for the upload: {found}."))
        .hint("Free some space on the disk of the data folder and send it again.")
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
