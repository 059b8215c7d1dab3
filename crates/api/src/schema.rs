//! Generates the TypeScript types of everything that crosses the wire, and the table of the README, from the table of
//! commands. A type is declared if a request, an answer or a message contains it at any depth.

use crate::{COMMANDS, STREAMS};
use alidade_domain::Problem;
use std::collections::BTreeMap;
use ts_rs::{Config, TS, TypeVisitor};

const HEAD: &str = "// Generated from the Rust types; `UPDATE_TYPES=1 cargo test -p alidade-api` writes it anew.\n\n";

/// The types of one line of the table.
pub(crate) struct Wire {
    request: fn(&Config) -> String,
    answer: fn(&Config) -> String,
    collect: fn(&mut Declarations),
}

impl Wire {
    pub(crate) fn of<Request: TS + 'static, Answer: TS + 'static>() -> Self {
        Self {
            request: Request::inline,
            answer: Answer::name,
            collect: |found| {
                // The type of a request is inlined, so only the types of its fields need names.
                Request::visit_dependencies(found);
                found.take::<Answer>();
            },
        }
    }
}

/// Declarations by name.
struct Declarations {
    config: Config,
    by_name: BTreeMap<String, String>,
}

impl Declarations {
    fn take<T: TS + 'static + ?Sized>(&mut self) {
        self.visit::<T>();
        T::visit_generics(self);
    }
}

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Numbers, lists and the like have no declaration.
        if T::output_path().is_none() {
            return;
        }
        let name = T::ident(&self.config);
        if !self.by_name.contains_key(&name) {
            self.by_name.insert(name, format!("export {}", T::decl(&self.config)));
            T::visit_dependencies(self);
        }
    }
}

/// Numbers of the wire are JSON numbers; none of ours exceeds 2^53.
fn config() -> Config {
    Config::new().with_large_int("number")
}

/// Every line: its name and its types.
fn commands() -> impl Iterator<Item = (&'static str, &'static Wire)> {
    COMMANDS.iter().map(|command| (command.name, &command.wire))
}

fn streams() -> impl Iterator<Item = (&'static str, &'static Wire)> {
    STREAMS.iter().map(|stream| (stream.name, &stream.wire))
}

/// All types of the wire, and the request and answer types of each command and stream.
pub fn typescript() -> String {
    let mut found = Declarations { config: config(), by_name: BTreeMap::new() };
    // Any command may fail with a problem.
    found.take::<Problem>();
    commands().chain(streams()).for_each(|(_, wire)| (wire.collect)(&mut found));
    let types: Vec<String> = found.by_name.into_values().collect();
    let (commands, streams) = (interface("Commands", "answer", commands()), interface("Streams", "message", streams()));
    format!("{HEAD}{}\n\n{commands}\n{streams}", types.join("\n\n"))
}

fn interface(name: &str, gives: &str, lines: impl Iterator<Item = (&'static str, &'static Wire)>) -> String {
    let config = config();
    let line = |(name, wire): (&str, &Wire)| {
        format!("  {name}: {{ request: {}; {gives}: {} }};\n", (wire.request)(&config), (wire.answer)(&config))
    };
    format!("export interface {name} {{\n{}}}\n", lines.map(line).collect::<String>())
}

/// The tables of the README.
pub fn readme_tables() -> String {
    let row = |(name, wire): (&str, &Wire)| {
        let config = config();
        let plain = |text: String| text.replace(", }", " }").replace("Record<symbol, never>", "{}").replace('|', "\\|");
        let code = |text: String| format!("`{}`", plain(text));
        format!("| `{name}` | {} | {} |\n", code((wire.request)(&config)), code((wire.answer)(&config)))
    };
    let head = |what: &str, gives: &str| format!("| {what} | request | {gives} |\n|---|---|---|\n");
    let (commands, streams): (String, String) = (commands().map(row).collect(), streams().map(row).collect());
    format!("{}{commands}\n{}{streams}", head("command", "answer"), head("stream", "each message"))
}
