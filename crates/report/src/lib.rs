//! Reports as one self-contained HTML file and as Markdown: no script, no link to anywhere, every text escaped.

mod chart;
mod html;
mod markdown;
mod words;

pub use html::to_html;
pub use markdown::to_markdown;
pub use words::verdict;
