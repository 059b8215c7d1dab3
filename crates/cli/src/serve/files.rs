//! The built UI, embedded in the program.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
struct Files;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; frame-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the UI, or its page for every other path.
pub(super) fn file(path: &str) -> Response {
    let name = path.trim_start_matches('/');
    let found = match Files::get(name) {
        Some(found) if !name.is_empty() => found,
        _ => match Files::get("index.html") {
            Some(found) => found,
            None => {
                return (StatusCode::NOT_FOUND, "The UI is not built: run cargo xtask ui, then build again.")
                    .into_response();
            }
        },
    };
    let kind = kind(found.metadata.mimetype());
    let mut response = found.data.into_owned().into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_TYPE, kind);
    response
}

/// The content type of a file by its extension; our text is UTF-8. Always set, because a browser must not guess.
fn kind(guessed: &str) -> HeaderValue {
    let text = guessed.starts_with("text/").then(|| HeaderValue::try_from(format!("{guessed}; charset=utf-8")));
    let kind = text.unwrap_or_else(|| HeaderValue::try_from(guessed));
    kind.unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
