//! Lines of the table: name on the wire, types, and handler. Requests are deserialised and answers serialised only here, so
//! a handler only sees its own types.

use crate::schema::Wire;
use alidade_domain::{Problem, wording};
use alidade_studio::Studio;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

/// Receives a message of a stream; returning false stops listening. Work that only serves the answer stops with it, a run
/// never does.
pub type Sink<'a> = &'a mut dyn FnMut(Value) -> bool;

/// A [`Sink`] as a handler sees it.
pub(crate) type Listener<'a, Message> = &'a mut dyn FnMut(Message) -> bool;

type Run = dyn Fn(&Studio, Value) -> Result<Value, Problem> + Send + Sync;
type Follow = dyn Fn(&Studio, Value, Sink) -> Result<(), Problem> + Send + Sync;

/// A command: one request, one answer.
pub struct Command {
    /// Name on the wire.
    pub name: &'static str,
    pub(crate) wire: Wire,
    pub(crate) run: Box<Run>,
}

/// A stream: one request, messages until it ends.
pub struct Stream {
    /// Name on the wire.
    pub name: &'static str,
    pub(crate) wire: Wire,
    pub(crate) run: Box<Follow>,
}

/// An empty request.
#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// A line of the table of commands.
pub(crate) fn command<Request, Response>(
    name: &'static str,
    handler: impl Fn(&Studio, Request) -> Result<Response, Problem> + Send + Sync + 'static,
) -> Command
where
    Request: DeserializeOwned + TS + 'static,
    Response: Serialize + TS + 'static,
{
    let run = move |studio: &Studio, value: Value| answer(handler(studio, request(value)?)?);
    Command { name, wire: Wire::of::<Request, Response>(), run: Box::new(run) }
}

/// A line of the table of streams.
pub(crate) fn stream<Request, Message>(
    name: &'static str,
    handler: impl Fn(&Studio, Request, Listener<Message>) -> Result<(), Problem> + Send + Sync + 'static,
) -> Stream
where
    Request: DeserializeOwned + TS + 'static,
    Message: Serialize + TS + 'static,
{
    let run = move |studio: &Studio, value: Value, sink: Sink| {
        let mut unwritten = None;
        let result = handler(studio, request(value)?, &mut |message| match answer(message) {
            Ok(value) => sink(value),
            Err(problem) => {
                unwritten = Some(problem);
                false
            }
        });
        unwritten.map_or(result, Err)
    };
    Stream { name, wire: Wire::of::<Request, Message>(), run: Box::new(run) }
}

/// Deserialises a request; the error names the mismatch.
fn request<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| {
        Problem::input(wording!("The request does not fit the command: {error}.", "请求与命令不符：{error}。"))
    })
}

/// Serialises an answer.
fn answer<T: Serialize>(value: T) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|error| {
        Problem::internal(wording!("The answer cannot be written: {error}.", "无法写出回答：{error}。"))
    })
}
