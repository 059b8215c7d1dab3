//! Routes: the page, commands, streams, and the browser's stand-ins for picking files and folders.

use super::{Server, files};
use alidade_domain::{Problem, ProblemCode};
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Largest upload from a browser, in bytes; the window reads files of any size where they lie.
const LARGEST_UPLOAD: usize = 512 << 20;
/// Messages that wait for a slow browser.
const WAITING: usize = 64;

impl Server {
    /// All routes.
    pub fn routes(self) -> Router {
        let api = Router::new()
            .route("/api/call/{name}", post(call))
            .route("/api/stream/{name}", post(stream))
            .route("/api/upload", post(upload).layer(DefaultBodyLimit::max(LARGEST_UPLOAD)))
            .route("/api/folder", post(folder))
            .layer(middleware::from_fn_with_state(self.clone(), with_token));
        let page = get(|uri: Uri| async move { files::file(uri.path()) });
        api.fallback(page).layer(middleware::from_fn_with_state(self.clone(), with_host)).with_state(self)
    }
}

/// Another site that was made to resolve to this machine still sends its own name.
async fn with_host(State(server): State<Server>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let ours = ["127.0.0.1", "localhost"].iter().any(|name| host == format!("{name}:{}", server.port));
    if ours { next.run(request).await } else { StatusCode::FORBIDDEN.into_response() }
}

async fn with_token(State(server): State<Server>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = format!("Bearer {}", server.token);
    // Equal time for every wrong guess of the right length.
    let differing =
        given.bytes().zip(wanted.bytes()).fold(given.len() ^ wanted.len(), |sum, (a, b)| sum | usize::from(a ^ b));
    if differing == 0 { next.run(request).await } else { StatusCode::UNAUTHORIZED.into_response() }
}

async fn call(State(server): State<Server>, Path(name): Path<String>, Json(request): Json<Value>) -> Response {
    let work = move || alidade_api::call(&server.studio, &name, request);
    respond(
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Problem::internal("The command broke off."))),
    )
}

async fn stream(State(server): State<Server>, Path(name): Path<String>, Json(request): Json<Value>) -> Response {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(WAITING);
    tokio::task::spawn_blocking(move || {
        let send = |value: Value| sender.blocking_send(Ok(Bytes::from(format!("{value}\n")))).is_ok();
        let result =
            alidade_api::stream(&server.studio, &name, request, &mut |message| send(json!({ "message": message })));
        if let Err(problem) = result {
            // A browser that is gone needs no answer.
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

/// Keeps an uploaded file and gives a handle for it, as a file dialog does in the window.
async fn upload(State(server): State<Server>, Query(Upload { name }): Query<Upload>, body: Bytes) -> Response {
    let work = move || {
        let name: String = name.chars().filter(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ')).collect();
        let name = if name.trim_matches('.').is_empty() { "data".to_owned() } else { name };
        let folder = server.studio.fresh_folder("uploads")?;
        let path = folder.join(name);
        std::fs::write(&path, &body)
            .map_err(|error| Problem::internal(format!("Keeping the upload failed: {error}.")))?;
        Ok(json!({ "handle": server.studio.hand_out(path) }))
    };
    respond(tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Problem::internal("The upload broke off."))))
}

/// A fresh folder on the server's side, for exports.
async fn folder(State(server): State<Server>) -> Response {
    let made = server.studio.fresh_folder("exports");
    respond(made.map(|path| json!({ "handle": server.studio.hand_out(path.clone()), "path": path })))
}

fn respond(result: Result<Value, Problem>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(problem) => {
            let status = match problem.code {
                ProblemCode::Input => StatusCode::UNPROCESSABLE_ENTITY,
                ProblemCode::NotFound => StatusCode::NOT_FOUND,
                ProblemCode::Conflict => StatusCode::CONFLICT,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, Json(problem)).into_response()
        }
    }
}
