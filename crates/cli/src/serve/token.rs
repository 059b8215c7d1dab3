//! The token of the browser host. Each data folder keeps its own, so that a tab outlives a restart of the program; the file
//! is readable by the person alone, like everything in that folder.

use alidade_domain::{Problem, wording};
use alidade_studio::{Studio, write_private};

/// The file in the data folder.
const FILE: &str = "serve-token";
/// Random bytes in a token.
const BYTES: usize = 24;

/// The token of a data folder; a fresh one if it has none, or an unreadable one.
///
/// # Errors
/// When the system has no random bytes, or the token cannot be kept.
pub fn token_of(studio: &Studio) -> Result<String, Problem> {
    let path = studio.home().join(FILE);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let kept = kept.trim();
    if kept.len() == 2 * BYTES && kept.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(kept.to_owned());
    }
    let mut bytes = [0u8; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        Problem::internal(wording!("The system gave no random bytes: {error}.", "系统没有给出随机字节：{error}。"))
    })?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    write_private(&path, token.as_bytes())?;
    Ok(token)
}
