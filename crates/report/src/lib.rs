//! Reports as one self-contained HTML file and as Markdown, in English and Chinese: no script, no link to anywhere, every text
//! escaped. The layout is in `templates/`, every text in `words.rs`. What the figures allow to say is decided in
//! `alidade_domain::Verdict`.

mod curves;
mod figures;
mod first_page;
mod intervals;
mod page;
mod render;
mod sentences;
mod svg;
mod words;

pub use render::{to_html, to_markdown};
