//! Takes connections in, a bounded number at a time. A head that does not come within some seconds ends its connection; and
//! where all places are taken, the oldest that serves nobody gives way, so that requests which nobody finishes shut no one out.

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

/// Connections at a time; a browser keeps six. Well below the descriptors that a program gets anywhere.
const PLACES: usize = 96;
/// Time for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of a head.
const LARGEST_HEAD: usize = 64 << 10;
/// Rest after a connection that could not be taken in (no descriptor is free).
const REST: Duration = Duration::from_millis(50);

/// Counts the requests with a token that a connection carries at the moment.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<AtomicUsize>);

/// One such request; ends with this value.
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
        // Small answers leave at once; without it they leave a little later.
        let _ = socket.set_nodelay(true);
        open.retain(|(_, task)| !task.is_finished());
        if open.len() >= PLACES {
            // With every place at work for a token's holder, the newcomer has to wait.
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
        // What an upload had written is removed as its task ends.
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
