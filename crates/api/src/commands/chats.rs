//! Chats: stored chats, and the streams of answers.

use crate::batch::Batch;
use crate::table::Listener;
use alidade_domain::{Precision, Problem, Sampling, Stack};
use alidade_studio::views::{ChatDelta, ChatView};
use alidade_studio::{ChatChange, Studio};
use serde::Deserialize;
use ts_rs::TS;

type Deltas<'a> = Listener<'a, Vec<ChatDelta>>;

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    pub stacks: Vec<Stack>,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    id: String,
    title: String,
    stacks: Vec<Stack>,
    system_prompt: String,
    sampling: Sampling,
    precision: Precision,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    id: String,
    text: String,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Regenerate {
    id: String,
    turn: usize,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    id: String,
    turn: usize,
    text: String,
}

pub(super) fn update(studio: &Studio, request: Update) -> Result<ChatView, Problem> {
    let Update { id, title, stacks, system_prompt, sampling, precision } = request;
    studio.update_chat(&id, ChatChange { title, stacks, system_prompt, sampling, precision })
}

pub(super) fn send(studio: &Studio, Send { id, text }: Send, listener: Deltas) -> Result<(), Problem> {
    batched(listener, |one| studio.send_message(&id, &text, one))
}

pub(super) fn regenerate(studio: &Studio, request: Regenerate, listener: Deltas) -> Result<(), Problem> {
    batched(listener, |one| studio.regenerate(&request.id, request.turn, one))
}

pub(super) fn edit(studio: &Studio, Edit { id, turn, text }: Edit, listener: Deltas) -> Result<(), Problem> {
    batched(listener, |one| studio.edit_message(&id, turn, &text, one))
}

fn batched(
    listener: Deltas,
    work: impl FnOnce(&mut dyn FnMut(ChatDelta) -> bool) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut batch = Batch::new(listener);
    let result = work(&mut |delta| batch.push(delta));
    batch.flush();
    result
}
