//! Routes: the page, commands, streams, and uploads in place of file dialogs.

use super::connections::{self, Busy};
use super::{Server, files, uploads};
use alidade_domain::{Problem, ProblemCode, wording};
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Extension, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Maximum size of a command's request, in bytes; a long chat is far below.
const LARGEST_REQUEST: usize = 8 << 20;
/// Buffered messages for a slow browser; one may have a MiB.
const WAITING: usize = 4;

impl Server {
    /// All routes.
    pub fn routes(self) -> Router {
        let api = Router::new()
            .route("/api/call/{name}", post(call))
            .route("/api/stream/{name}", post(stream))
            .route("/api/upload", post(upload).layer(DefaultBodyLimit::disable()))
            .route("/api/folder", post(folder))
            .route("/api/path", post(path))
            .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
            .layer(middleware::from_fn_with_state(self.clone(), with_token));
        let page = get(|uri: Uri| async move { files::file(uri.path()) });
        api.fallback(page).layer(middleware::from_fn_with_state(self.clone(), with_host)).with_state(self)
    }
}

/// Protection against DNS rebinding: another site that resolves to this machine still sends its own name. Requests with two
/// Host headers, or in proxy form, are ambiguous and refused.
async fn with_host(State(server): State<Server>, request: Request, next: Next) -> Response {
    let hosts: Vec<_> = request.headers().get_all(header::HOST).iter().collect();
    let [host] = hosts[..] else { return StatusCode::BAD_REQUEST.into_response() };
    if request.uri().scheme().is_some() || request.uri().authority().is_some() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let ours = ["127.0.0.1", "localhost"].iter().any(|name| {
        host.as_bytes() == format!("{name}:{}", server.port).as_bytes() || (server.port == 80 && host == *name)
    });
    if ours { next.run(request).await } else { StatusCode::FORBIDDEN.into_response() }
}

/// Checked before a byte of the body is read.
async fn with_token(
    State(server): State<Server>,
    Extension(busy): Extension<Busy>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = format!("Bearer {}", server.token);
    // Constant time for every wrong token of the right length.
    let differing =
        given.bytes().zip(wanted.bytes()).fold(given.len() ^ wanted.len(), |sum, (a, b)| sum | usize::from(a ^ b));
    if differing != 0 {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    // Held by the handler until it has answered, and by a stream until it ends.
    request.extensions_mut().insert(busy.request());
    next.run(request).await
}

async fn call(State(server): State<Server>, Path(name): Path<String>, Json(request): Json<Value>) -> Response {
    let work = move || alidade_api::call(&server.studio, &name, request);
    respond(
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| Err(Problem::internal(wording!("The command failed unexpectedly.", "命令意外失败。")))),
    )
}

async fn stream(
    State(server): State<Server>,
    Path(name): Path<String>,
    Extension(held): Extension<connections::Request>,
    Json(request): Json<Value>,
) -> Response {
    let Ok(place) = server.streams.clone().try_acquire_owned() else {
        let problem = Problem::new(
            ProblemCode::Conflict,
            wording!("Too many streams are open at once.", "同时打开的数据流过多。"),
        );
        return respond(Err(problem.hint(wording!("Close other tabs of Alidade.", "请关闭 Alidade 的其他标签页。"))));
    };
    let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(WAITING);
    tokio::task::spawn_blocking(move || {
        let _held = (place, held);
        let send = |value: Value| sender.blocking_send(Ok(Bytes::from(format!("{value}\n")))).is_ok();
        let result =
            alidade_api::stream(&server.studio, &name, request, &mut |message| send(json!({ "message": message })));
        if let Err(problem) = result {
            // A closed browser needs no answer.
            let _ = send(json!({ "problem": problem }));
        }
    });
    let body = Body::from_stream(ReceiverStream::new(receiver));
    ([(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

#[derive(Deserialize)]
struct Upload {
    name: String,
}

/// Stores an uploaded file and returns a handle for it, as a file dialog does in the window.
async fn upload(
    State(server): State<Server>,
    Query(Upload { name }): Query<Upload>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(uploads::keep(&server, &name, &headers, body).await)
}

/// A fresh folder on the server's side, for exports.
async fn folder(State(server): State<Server>) -> Response {
    let made = server.studio.fresh_folder("exports");
    respond(made.map(|path| json!({ "handle": server.studio.hand_out(path.clone()), "path": path })))
}

#[derive(Deserialize)]
struct Named {
    path: String,
}

/// A handle for a folder on the server's machine, in place of the window's dialog: whoever has the token may read whatever
/// the person may.
async fn path(State(server): State<Server>, Json(named): Json<Named>) -> Response {
    let path = std::path::PathBuf::from(named.path.trim());
    if !path.is_absolute() || !path.is_dir() {
        let message = wording!(
            "“{path}” is no folder on the machine that Alidade runs on.",
            "在运行 Alidade 的机器上，“{path}”不是文件夹。",
            path = path.display()
        );
        let hint =
            wording!("Type its whole path, as in /home/me/models/NAME.", "请输入完整路径，例如 /home/me/models/NAME。");
        return respond(Err(Problem::input(message).hint(hint).at("path")));
    }
    respond(Ok(json!({ "handle": server.studio.hand_out(path) })))
}

fn respond(result: Result<Value, Problem>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(problem) => {
            let status = match problem.code {
                ProblemCode::Input => StatusCode::UNPROCESSABLE_ENTITY,
                ProblemCode::NotFound => StatusCode::NOT_FOUND,
                ProblemCode::Conflict => StatusCode::CONFLICT,
                ProblemCode::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, Json(problem)).into_response()
        }
    }
}
