//! Reports as one self-contained HTML file and as Markdown: no script, no link to anywhere, every text escaped. The
//! layout is in `templates/`, the wording of values in `words.rs`.

mod chart;
mod page;
mod render;
mod words;

pub use render::{to_html, to_markdown};
pub use words::verdict;
