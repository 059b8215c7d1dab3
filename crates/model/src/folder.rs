//! Fingerprints of models and adapters: the hash on every badge covers the bytes that were actually loaded.

use crate::ModelError;
use crate::bounded::{SMALL_TEXT, open_ordinary, read_text};
use crate::error::Result;
use crate::folder_kind::no_model;
use alidade_domain::{Wording, Words, why, wording};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// SHA-256 of a file, in lower-case hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn file_sha256(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    feed(&mut hasher, path)?;
    Ok(hex(hasher))
}

/// SHA-256 of an adapter's weight file.
///
/// # Errors
/// When it cannot be read.
pub fn adapter_sha256(folder: &Path) -> Result<String> {
    file_sha256(&folder.join("adapter_model.safetensors"))
}

/// SHA-256 of an adapter's configuration, which says how strongly its weights count.
///
/// # Errors
/// When it cannot be read.
pub fn adapter_config_sha256(folder: &Path) -> Result<String> {
    file_sha256(&folder.join("adapter_config.json"))
}

/// SHA-256 over config.json and the weight files in name order.
///
/// # Errors
/// When one of them cannot be read.
pub fn model_sha256(folder: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    feed(&mut hasher, &folder.join("config.json"))?;
    for file in weight_files(folder)? {
        feed(&mut hasher, &file)?;
    }
    Ok(hex(hasher))
}

/// The safetensors files of a model in name order: one file, or the shards that its index names.
pub(crate) fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = folder.join("model.safetensors.index.json");
    let unreadable = |found: Wording| ModelError::File { path: single.clone(), found };
    let text = read_text(&index, SMALL_TEXT).map_err(|error| match error.kind() {
        ErrorKind::NotFound if single.exists() => {
            unreadable(wording!("it is no ordinary file", "它不是普通文件").to_owned())
        }
        ErrorKind::NotFound => no_model(folder),
        _ => unreadable(wording!("the index cannot be read: {why}", "无法读取索引：{why}"; why = why(&error))),
    })?;
    let value: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| unreadable(wording!("the index is broken: {error}", "索引损坏：{error}")))?;
    let map = value.get("weight_map").and_then(serde_json::Value::as_object);
    let mut names: Vec<&str> = map.into_iter().flatten().filter_map(|(_, file)| file.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() || names.iter().any(|name| Path::new(name).components().count() != 1 || name.starts_with('.')) {
        return Err(unreadable(
            Words::new("the index names no shard files in this folder", "索引中没有列出此文件夹内的分片文件").into(),
        ));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

fn feed(hasher: &mut Sha256, path: &Path) -> Result<()> {
    let failed = |error: std::io::Error| ModelError::File { path: path.to_owned(), found: why(&error) };
    let mut file = open_ordinary(path).map_err(failed)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn hex(hasher: Sha256) -> String {
    format!("{:x}", hasher.finalize())
}
