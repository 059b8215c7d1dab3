//! The browser host: the command table over HTTP on loopback. Every request needs the token and our Host header, so that no
//! other page in the browser can reach it.

mod connections;
mod files;
mod routes;
mod uploads;

use alidade_domain::{Problem, wording};
use alidade_studio::Studio;
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Maximum number of streams: each occupies a thread, and commands need threads too.
const STREAMS: usize = 64;

/// State shared by the handlers.
#[derive(Clone)]
pub struct Server {
    /// The installation.
    pub studio: Arc<Studio>,
    /// The token that every request must carry.
    pub token: String,
    /// The port that the Host header must have.
    pub port: u16,
    streams: Arc<Semaphore>,
}

impl Server {
    /// A server that listens on `port`.
    pub fn new(studio: Arc<Studio>, token: String, port: u16) -> Self {
        Self { studio, token, port, streams: Arc::new(Semaphore::new(STREAMS)) }
    }

    /// Serves until `stopped`.
    pub async fn serve(self, listener: TcpListener, stopped: impl Future<Output = ()>) {
        connections::serve(self, listener, stopped).await;
    }
}

/// A random token.
///
/// # Errors
/// When the system has no random bytes.
pub fn token() -> Result<String, Problem> {
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).map_err(|error| {
        Problem::internal(wording!("The system gave no random bytes: {error}.", "系统没有给出随机字节：{error}。"))
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
