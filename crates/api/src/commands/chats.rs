//! Chats: what is kept, and the streams of answers.

use super::{ById, answer, request};
use crate::Sink;
use crate::batch::Batch;
use alidade_domain::{Precision, Problem, Sampling, Stack};
use alidade_studio::views::ChatDelta;
use alidade_studio::{ChatChange, Studio};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    stacks: Vec<Stack>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    id: String,
    title: String,
    stacks: Vec<Stack>,
    system_prompt: String,
    sampling: Sampling,
    precision: Precision,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    id: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Regenerate {
    id: String,
    turn: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    id: String,
    turn: usize,
    text: String,
}

pub(super) fn create(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Create { stacks } = request(value)?;
    answer(studio.create_chat(stacks)?)
}

pub(super) fn get(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ById { id } = request(value)?;
    answer(studio.get_chat(&id)?)
}

pub(super) fn update(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Update { id, title, stacks, system_prompt, sampling, precision } = request(value)?;
    answer(studio.update_chat(&id, ChatChange { title, stacks, system_prompt, sampling, precision })?)
}

pub(super) fn delete(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ById { id } = request(value)?;
    answer(studio.delete_chat(&id)?)
}

pub(super) fn stop(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ById { id } = request(value)?;
    studio.stop_answer(&id);
    answer(())
}

pub(super) fn send(studio: &Studio, value: Value, sink: Sink) -> Result<(), Problem> {
    let Send { id, text } = request(value)?;
    batched(sink, |listener| studio.send_message(&id, &text, listener))
}

pub(super) fn regenerate(studio: &Studio, value: Value, sink: Sink) -> Result<(), Problem> {
    let Regenerate { id, turn } = request(value)?;
    batched(sink, |listener| studio.regenerate(&id, turn, listener))
}

pub(super) fn edit(studio: &Studio, value: Value, sink: Sink) -> Result<(), Problem> {
    let Edit { id, turn, text } = request(value)?;
    batched(sink, |listener| studio.edit_message(&id, turn, &text, listener))
}

fn batched(
    sink: Sink,
    work: impl FnOnce(&mut dyn FnMut(ChatDelta) -> bool) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut batch = Batch::new(sink);
    let result = work(&mut |delta| match answer(delta) {
        Ok(value) => batch.push(value),
        Err(_) => false,
    });
    batch.flush();
    result
}
