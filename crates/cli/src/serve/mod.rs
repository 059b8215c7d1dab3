//! The browser host: the command table over HTTP on loopback. Every request needs the token and our Host header, so that no
//! other page in the browser can reach it.

pub mod browser;
mod connections;
mod files;
mod routes;
mod token;
mod uploads;

pub use token::token_of;

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
