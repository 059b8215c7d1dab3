//! The browser host: the command table over HTTP on loopback. Every request carries the token, and the Host header must
//! be ours, so that no other page in the browser can reach it.

mod files;
mod routes;

use alidade_domain::Problem;
use alidade_studio::Studio;
use std::sync::Arc;

/// What the handlers share.
#[derive(Clone)]
pub struct Server {
    /// The installation.
    pub studio: Arc<Studio>,
    /// The word that every request must carry.
    pub token: String,
    /// The port that the Host header must name.
    pub port: u16,
}

/// A word that nobody can guess.
///
/// # Errors
/// When the system gives no random bytes.
pub fn token() -> Result<String, Problem> {
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes)
        .map_err(|error| Problem::internal(format!("The system gave no random bytes: {error}.")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
