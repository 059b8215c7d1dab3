//! Reports as one self-contained HTML file and as Markdown.
