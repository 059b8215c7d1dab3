//! Accepts a bounded number of connections. A connection without a complete request head within some seconds is closed; when
//! all slots are taken, the oldest idle connection is closed, so that unfinished requests cannot block others.

use super::Server;
use axum::Router;
use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Maximum number of connections; a browser uses six. Well below the usual limit of file descriptors.
const PLACES: usize = 96;
/// Time limit for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// Maximum bytes of a head.
const LARGEST_HEAD: usize = 64 << 10;
/// Pause after a connection that could not be accepted (no free descriptor).
const REST: Duration = Duration::from_millis(50);

/// Counts the current authenticated requests of a connection.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<AtomicUsize>);

/// Guard of one such request.
#[derive(Clone)]
pub(super) struct Request(#[allow(dead_code, reason = "held, never read")] Arc<Held>);

struct Held(Arc<AtomicUsize>);

impl Busy {
    pub(super) fn request(&self) -> Request {
        self.0.fetch_add(1, Ordering::SeqCst);
        Request(Arc::new(Held(self.0.clone())))
    }

    fn serves(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Serves until `stopped`.
pub(super) async fn serve(server: Server, listener: TcpListener, stopped: impl Future<Output = ()>) {
    let routes = server.routes();
    let mut open: VecDeque<(Busy, JoinHandle<()>)> = VecDeque::new();
    tokio::pin!(stopped);
    loop {
        let taken = tokio::select! {
            () = &mut stopped => break,
            taken = listener.accept() => taken,
        };
        let Ok((socket, _)) = taken else {
            tokio::time::sleep(REST).await;
            continue;
        };
        // Small answers are sent at once; a failure only delays them.
        let _ = socket.set_nodelay(true);
        open.retain(|(_, task)| !task.is_finished());
        if open.len() >= PLACES {
            // If all slots serve authenticated requests, a new connection has to wait.
            let Some(idle) = open.iter().position(|(busy, _)| !busy.serves()) else { continue };
            if let Some((_, task)) = open.remove(idle) {
                task.abort();
            }
        }
        let busy = Busy::default();
        open.push_back((busy.clone(), tokio::spawn(connection(socket, routes.clone(), busy))));
    }
    for (_, task) in open {
        task.abort();
        // A partial upload is removed when its task ends.
        let _ = tokio::time::timeout(REST, task).await;
    }
}

async fn connection(socket: impl AsyncRead + AsyncWrite + Unpin + Send, routes: Router, busy: Busy) {
    let service = TowerToHyperService::new(routes.layer(Extension(busy)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LARGEST_HEAD);
    // A connection that breaks concerns nobody else.
    let _ = http.serve_connection(TokioIo::new(socket), service).await;
}
