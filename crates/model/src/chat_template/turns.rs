//! Locates the assistant's turns in a rendered conversation. A template that marks them with `{% generation %}` is followed.
//! Otherwise marker characters that occur in no text are put around the contents: they show where the template places each
//! content, whatever it does with earlier turns. The result counts only if the text without markers equals the plain
//! rendering.

use super::{ChatTemplate, Rendering};
use crate::ModelError;
use crate::error::Result;
use alidade_domain::{Message, Role, Words};
use std::ops::Range;

/// Planes of characters that nobody has given a meaning; their first is the sign before message 0, the next the one after.
const PLANES: [u32; 2] = [0xF_0000, 0x10_0000];
/// Signs in a plane.
const SIGNS: u32 = 0xFFF0;

/// A way of laying signs. Templates that look at how a content begins need the later ones.
#[derive(Clone, Copy)]
struct Way {
    /// Around the other roles' contents as well.
    others: bool,
    /// Before a content, not only after it.
    before: bool,
}

const WAYS: [Way; 4] = [
    Way { others: true, before: true },
    Way { others: true, before: false },
    Way { others: false, before: true },
    Way { others: false, before: false },
];

/// The rendered conversation, and the bytes of it that the assistant says: content and end of turn, without the header.
///
/// # Errors
/// When the template refuses the conversation, or its turns cannot be told apart for certain.
pub(super) fn assistant_parts(template: &ChatTemplate, messages: &[Message]) -> Result<(String, Vec<Range<usize>>)> {
    let text = template.render(messages, Rendering::Whole)?;
    let plane = free_plane(template, messages)?;
    if template.marked {
        let marks = [sign(plane, 0), sign(plane, 1)];
        let marked = template.write(messages, Rendering::Whole, Some(marks))?;
        let (bare, signs) = take_signs(&marked, plane);
        let pairs = signs.chunks(2).map(|pair| match pair {
            [(0, start), (1, end)] => Some(*start..*end),
            _ => None,
        });
        let parts: Option<Vec<_>> = pairs.collect();
        return parts.filter(|_| bare == text).map(|parts| (text, parts)).ok_or_else(unclear);
    }
    for way in WAYS {
        if let Some(parts) = located(template, messages, &text, plane, way)? {
            return Ok((text, parts));
        }
    }
    Err(unclear())
}

/// Whether it can be told what the template writes after an assistant's last turn.
pub(super) fn closes(template: &ChatTemplate) -> bool {
    usual_tail(template).is_some()
}

fn usual_tail(template: &ChatTemplate) -> Option<String> {
    tail_of(template, &[Message::user("a"), Message::assistant("b")], PLANES[0])
}

/// The special tokens that the template writes directly after an assistant's last turn.
pub(super) fn closing(template: &ChatTemplate) -> Option<Vec<String>> {
    let tail = usual_tail(template)?;
    let run = special_run(&tail, &template.special)?;
    let (mut rest, mut found) = (&tail[run], Vec::new());
    while let Some(token) =
        template.special.iter().filter(|token| rest.starts_with(token.as_str())).max_by_key(|t| t.len())
    {
        found.push(token.clone());
        rest = &rest[token.len()..];
    }
    Some(found)
}

fn unclear() -> ModelError {
    let reason = Words::new(
        "where the assistant's turns begin and end in what it writes cannot be told for certain",
        "无法可靠判断它的输出中 assistant 的回合从哪里开始、到哪里结束",
    );
    ModelError::Refused { reason: reason.into() }
}

fn sign(plane: u32, index: u32) -> char {
    char::from_u32(plane + index).unwrap_or('\u{F0000}')
}

/// A plane of which neither the template nor the conversation uses a character.
fn free_plane(template: &ChatTemplate, messages: &[Message]) -> Result<u32> {
    let uses =
        |text: &str, plane: u32| text.chars().any(|character| (plane..plane + 0x1_0000).contains(&(character as u32)));
    let free =
        |plane: &u32| !uses(&template.source, *plane) && !messages.iter().any(|message| uses(&message.content, *plane));
    let few = messages.len() < (SIGNS / 2) as usize;
    PLANES.into_iter().find(free).filter(|_| few).ok_or_else(unclear)
}

/// A text without its signs, and which sign stood where.
fn take_signs(text: &str, plane: u32) -> (String, Vec<(u32, usize)>) {
    let (mut bare, mut signs) = (String::with_capacity(text.len()), Vec::new());
    for character in text.chars() {
        match (character as u32).checked_sub(plane).filter(|index| *index < SIGNS) {
            Some(index) => signs.push((index, bare.len())),
            None => bare.push(character),
        }
    }
    (bare, signs)
}

/// The messages with signs around their contents, inside of white space at the edges, which templates like to cut off.
fn signed(messages: &[Message], plane: u32, way: Way) -> Vec<Message> {
    let put = |(index, message): (usize, &Message)| {
        if message.role != Role::Assistant && !way.others {
            return message.clone();
        }
        let core = message.content.trim();
        let lead = message.content.len() - message.content.trim_start().len();
        let (head, tail) = (&message.content[..lead], &message.content[lead + core.len()..]);
        let before = if way.before { sign(plane, 2 * index as u32).to_string() } else { String::new() };
        let after = sign(plane, 2 * index as u32 + 1);
        Message { role: message.role, content: format!("{head}{before}{core}{after}{tail}") }
    };
    messages.iter().enumerate().map(put).collect()
}

/// The assistant's parts by one way of laying signs; `None` when that way does not tell for certain.
fn located(
    template: &ChatTemplate,
    messages: &[Message],
    text: &str,
    plane: u32,
    way: Way,
) -> Result<Option<Vec<Range<usize>>>> {
    let written = match template.render(&signed(messages, plane, way), Rendering::Whole) {
        Err(ModelError::Refused { .. }) => return Ok(None),
        written => written?,
    };
    let (bare, signs) = take_signs(&written, plane);
    let search = Search { template, messages, text, signs, plane, way };
    let answers = messages.iter().enumerate().filter(|(_, message)| message.role == Role::Assistant);
    let parts = answers.filter(|(index, _)| !search.left_out(*index)).map(|(index, _)| search.part(index));
    Ok(if bare == text { parts.collect() } else { None })
}

/// A rendering whose signs tell where each content stands.
struct Search<'a> {
    template: &'a ChatTemplate,
    messages: &'a [Message],
    text: &'a str,
    signs: Vec<(u32, usize)>,
    plane: u32,
    way: Way,
}

impl Search<'_> {
    /// True of a turn that the template does not write at all.
    fn left_out(&self, index: usize) -> bool {
        let core = self.messages[index].content.trim();
        let written = self.signs.iter().any(|(sign, _)| *sign / 2 == index as u32) || self.text.contains(core);
        !core.is_empty() && !written
    }

    /// One turn: from the end of its header to the end of what closes it.
    fn part(&self, index: usize) -> Option<Range<usize>> {
        let signs = &self.signs;
        let own: Vec<usize> = (0..signs.len()).filter(|place| signs[*place].0 / 2 == index as u32).collect();
        // Each sign stands once, the one before the content first, and nothing of another message between them.
        let (opened, close) = match own.as_slice() {
            [only] if signs[*only].0 % 2 == 1 => (None, *only),
            [open, close] if signs[*open].0.is_multiple_of(2) && signs[*close].0 % 2 == 1 && *close == open + 1 => {
                (Some(signs[*open].1), *close)
            }
            _ => return None,
        };
        let earlier = own[0].checked_sub(1).map_or(0, |place| signs[place].1);
        let (content_end, later) = (signs[close].1, signs.get(close + 1).map_or(self.text.len(), |sign| sign.1));
        let between = &self.text[earlier..opened.unwrap_or(content_end)];
        let start = earlier + self.header(index, between, opened.is_some())?;
        let end = content_end + self.closed(index, &self.text[content_end..later])?;
        Some(start..end)
    }

    /// Bytes of `between` (what stands before a turn) that are its header: up to where the model goes on when it answers.
    /// `exact` says that it ends where the content begins; otherwise the content's beginning is in it.
    fn header(&self, index: usize, between: &str, exact: bool) -> Option<usize> {
        let usual = self.template.usual_opening();
        let openings = [usual.map(str::to_owned), None];
        for known in openings {
            let Some(opening) = known.or_else(|| self.template.opening(&self.messages[..index])) else { continue };
            if opening.is_empty() || self.doubtful(index, &opening, exact) {
                continue;
            }
            let place = if exact { between.rfind(&opening) } else { between.find(&opening) };
            if let Some(place) = place {
                return Some(place + opening.len());
            }
            // An opening may already hold what the template leaves out of finished turns: an empty thought.
            if exact && between.char_indices().any(|(place, _)| opening.starts_with(&between[place..])) {
                return Some(between.len());
            }
        }
        // A template that opens no turn lets the model go on right before the content.
        (exact && usual == Some("")).then_some(between.len())
    }

    /// Whether a message whose content may lie in what is searched holds the opening as words of its own.
    fn doubtful(&self, index: usize, opening: &str, exact: bool) -> bool {
        let holds = |message: &Message| message.content.contains(opening);
        (!self.way.others && self.messages.iter().any(holds)) || (!exact && holds(&self.messages[index]))
    }

    /// Bytes of `after` (what follows a content) that close the turn: as far as they would stand there were the conversation
    /// over, and no further than the first special tokens.
    fn closed(&self, index: usize, after: &str) -> Option<usize> {
        let same = if index + 1 == self.messages.len() {
            after.len()
        } else {
            let alone = tail_of(self.template, &self.messages[..=index], self.plane)
                .or_else(|| tail_of(self.template, &[Message::user("a"), Message::assistant("b")], self.plane))?;
            common(after, &alone)
        };
        Some(special_run(&after[..same], &self.template.special).map_or(same, |run| run.end))
    }
}

/// What the template writes after the content of the last message.
fn tail_of(template: &ChatTemplate, messages: &[Message], plane: u32) -> Option<String> {
    let (last, before) = messages.split_last()?;
    let plain = template.render(messages, Rendering::Whole).ok()?;
    let way = Way { others: true, before: false };
    let closing = signed(std::slice::from_ref(last), plane, way);
    let all: Vec<Message> = before.iter().cloned().chain(closing).collect();
    let (bare, signs) = take_signs(&template.render(&all, Rendering::Whole).ok()?, plane);
    match signs.as_slice() {
        [(_, place)] if bare == plain => Some(bare[*place..].to_owned()),
        _ => None,
    }
}

/// Bytes that two texts begin with in common.
pub(super) fn common(left: &str, right: &str) -> usize {
    left.char_indices()
        .zip(right.chars())
        .find(|((_, a), b)| a != b)
        .map_or(left.len().min(right.len()), |((at, _), _)| at)
}

/// The first special tokens in a text that stand directly behind each other.
fn special_run(text: &str, special: &[String]) -> Option<Range<usize>> {
    let at =
        |place: usize| special.iter().filter(|token| text[place..].starts_with(token.as_str())).map(String::len).max();
    let start = special.iter().filter_map(|token| text.find(token.as_str())).min()?;
    let mut end = start;
    while let Some(length) = at(end).filter(|length| *length > 0) {
        end += length;
    }
    Some(start..end)
}
