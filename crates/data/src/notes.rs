//! Remarks on a whole file: which columns were renamed, what was not used, what looks wrong. Counted while the rows are
//! streamed, in bounded memory.

use crate::media::turns;
use alidade_domain::{DatasetKind, Example, Role, Wording, Words, shown, wording};
use serde_json::{Map, Value};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::Hasher;
use std::io;

/// Most names that are remembered.
const NAMES: usize = 64;
/// Most rows that are searched for duplicates.
const COMPARED: usize = 1 << 20;
/// Columns that are expected to be unused.
const IDENTITY: &[&str] =
    &["", "id", "idx", "index", "_id", "uid", "uuid", "row", "row_id", "prompt_id", "question_id"];

/// A remark on one record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Note {
    /// A column was renamed.
    Renamed(String, &'static str),
    /// Plain texts became turns, because there is a system prompt.
    SystemMadeTurns,
    /// Plain texts became turns, because their columns have other names.
    SpellingMadeTurns,
    /// A system column was not used, because the conversation has its own system prompt.
    OwnSystem,
    /// The record was a bare list of messages.
    BareList,
    /// The text of this column held a list.
    TextWasList(&'static str),
    /// Two turns of one speaker follow each other.
    SameSpeaker,
    /// A message carries a weight that would keep it from being learned.
    Weights,
    /// Messages have thoughts in addition to their text.
    Thoughts,
}

/// Counts over a file.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    counts: BTreeMap<Note, (usize, usize)>,
    unused: BTreeMap<String, usize>,
    labels: [usize; 2],
    seen: HashSet<u64>,
    rows: usize,
    twins: usize,
    shapes: BTreeMap<Words, usize>,
    totals: Vec<(DatasetKind, usize)>,
}

impl Notes {
    /// Takes a row into account.
    pub(crate) fn row(
        &mut self,
        row: usize,
        shape: Words,
        notes: Vec<Note>,
        rest: &Map<String, Value>,
        example: &Example,
    ) {
        self.rows += 1;
        *self.shapes.entry(shape).or_default() += 1;
        notes.into_iter().for_each(|note| self.note(note, row));
        if turns(example).iter().any(|turns| {
            turns
                .windows(2)
                .any(|two| two[0].role == two[1].role && matches!(two[0].role, Role::User | Role::Assistant))
        }) {
            self.note(Note::SameSpeaker, row);
        }
        if let Example::Rated { label, .. } | Example::PlainRated { label, .. } = example {
            self.labels[usize::from(*label)] += 1;
        }
        for (name, value) in rest {
            if filled(value) && !IDENTITY.contains(&name.trim().to_lowercase().as_str()) {
                count(&mut self.unused, name);
            }
        }
        self.compare(example);
        let kind = kind_of(example);
        match self.totals.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, total)) => *total += 1,
            None => self.totals.push((kind, 1)),
        }
    }

    fn note(&mut self, note: Note, row: usize) {
        if self.counts.len() < NAMES || self.counts.contains_key(&note) {
            self.counts.entry(note).or_insert((0, row)).0 += 1;
        }
    }

    fn compare(&mut self, example: &Example) {
        let mut hash = Hash(DefaultHasher::new());
        if serde_json::to_writer(&mut hash, example).is_err() {
            return;
        }
        let hash = hash.0.finish();
        if self.seen.len() < COMPARED {
            self.twins += usize::from(!self.seen.insert(hash));
        } else {
            self.twins += usize::from(self.seen.contains(&hash));
        }
    }

    /// The kind that most rows have.
    pub(crate) fn kind(&self) -> DatasetKind {
        let most = self.totals.iter().rev().max_by_key(|(_, rows)| *rows);
        most.map_or(DatasetKind::Answers, |(kind, _)| *kind)
    }

    /// The shape that most rows have.
    pub(crate) fn shape(&self) -> Words {
        self.shapes.iter().max_by_key(|(_, rows)| **rows).map_or(Words::new("unknown", "未知"), |(shape, _)| *shape)
    }

    /// All remarks as sentences.
    pub(crate) fn remarks(&self) -> Vec<Wording> {
        let mut remarks = self.renamed();
        remarks.extend(self.counts.iter().filter_map(|(note, (rows, first))| sentence(note, *rows, *first)));
        remarks.extend(self.mixed());
        remarks.extend(self.thumbs());
        if self.twins > 0 {
            let among = if self.seen.len() == COMPARED {
                wording!(" (compared with the first {COMPARED})", "（只与前 {COMPARED} 条比较）")
            } else {
                Wording::default()
            };
            let repeat = if self.twins == 1 { "repeats" } else { "repeat" };
            remarks.push(wording!(
                "{rows} {repeat} an earlier row word for word{among}.",
                "{rows}与前面的某一条完全相同{among}。";
                rows = rows(self.twins), among
            ));
        }
        if !self.unused.is_empty() {
            let names: Vec<String> = self.unused.keys().take(12).map(|name| format!("“{}”", shown(name, 40))).collect();
            let more = if self.unused.len() > names.len() { Words::new(", …", "……") } else { Words::name("") };
            remarks.push(wording!(
                "Not used: {names}{more}.",
                "未使用：{names}{more}。";
                names = Wording::names(&names), more
            ));
        }
        remarks
    }

    fn renamed(&self) -> Vec<Wording> {
        let taken: Vec<Wording> = self
            .counts
            .keys()
            .filter_map(|note| match note {
                Note::Renamed(from, to) => Some(wording!("“{from}” as “{to}”", "“{from}”作为“{to}”")),
                _ => None,
            })
            .collect();
        if taken.is_empty() {
            Vec::new()
        } else {
            vec![wording!(
                "Columns were read by their meaning: {taken}.",
                "各列按含义读取：{taken}。";
                taken = Wording::list(taken)
            )]
        }
    }

    fn mixed(&self) -> Option<Wording> {
        let main = self.kind();
        let others = self.totals.iter().filter(|(kind, _)| *kind != main);
        let parts: Vec<Wording> = others
            .map(|(kind, count)| wording!("{count} are {kind}", "{count} 条是{kind}"; kind = name(*kind)))
            .collect();
        (!parts.is_empty()).then(|| {
            wording!(
                "Most rows are {main}, but {parts}.",
                "大多数是{main}，但有 {parts}。";
                main = name(main), parts = Wording::list(parts)
            )
        })
    }

    fn thumbs(&self) -> Option<Wording> {
        let (down, up) = (self.labels[0], self.labels[1]);
        let (all, missing) = if down == 0 { ("true", "false") } else { ("false", "true") };
        ((down == 0) != (up == 0)).then(|| {
            wording!(
                "All labels are {all} ({rows}): learning from thumbs needs rows with the label {missing} too.",
                "所有标签都是 {all}（{rows}）：从点赞和点踩中学习还需要标签为 {missing} 的数据。";
                rows = rows(down + up)
            )
        })
    }
}

fn count(names: &mut BTreeMap<String, usize>, name: &str) {
    let full = names.len() >= NAMES;
    match names.get_mut(name) {
        Some(count) => *count += 1,
        None if full => {}
        None => {
            names.insert(name.chars().take(NAMES).collect(), 1);
        }
    }
}

fn filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

fn rows(count: usize) -> Wording {
    if count == 1 { wording!("1 row", "1 条") } else { wording!("{count} rows", "{count} 条") }
}

fn sentence(note: &Note, count: usize, first: usize) -> Option<Wording> {
    let rows = rows(count);
    Some(match note {
        Note::Renamed(..) => return None,
        Note::SystemMadeTurns => wording!(
            "There is a system prompt as well as plain texts ({rows}). Only a chat template has a place for it, so prompts and answers became turns of a conversation.",
            "数据中既有系统提示又有纯文本（{rows}）。只有对话模板有系统提示的位置，因此提问和回答都转成了对话消息。";
            rows
        ),
        Note::SpellingMadeTurns => wording!(
            "Questions and answers became turns of a conversation ({rows}). To keep them as plain text without a chat template, call the columns prompt and completion, or prompt, chosen and rejected.",
            "提问和回答转成了对话消息（{rows}）。如要作为纯文本、不用对话模板，请把各列命名为 prompt 和 completion，或 prompt、chosen 和 rejected。";
            rows
        ),
        Note::OwnSystem => wording!(
            "“system” was not used where the conversation has a system prompt of its own ({rows}).",
            "对话自带系统提示的地方没有使用“system”（{rows}）。";
            rows
        ),
        Note::BareList => wording!(
            "Bare lists of messages were taken as conversations ({rows}).",
            "单独的消息列表按对话读取（{rows}）。";
            rows
        ),
        Note::TextWasList(column) => wording!(
            "The text in “{column}” was read as the list of messages that it holds ({rows}).",
            "“{column}”中的文本按其中的消息列表读取（{rows}）。";
            rows
        ),
        Note::SameSpeaker => wording!(
            "Two turns of the same speaker follow each other in {rows} (the first is row {first}); some chat templates refuse that.",
            "{rows}中有同一角色连续发言（最早在第 {first} 条）；有些对话模板不接受这种情况。";
            rows
        ),
        Note::Thoughts => wording!(
            "Thoughts in addition to the text of messages (reasoning_content) are not used ({rows}).",
            "消息文本之外的思考内容（reasoning_content）没有使用（{rows}）。";
            rows
        ),
        Note::Weights => wording!(
            "Weights of messages are not used ({rows}, the first is row {first}): every answer counts alike.",
            "消息的权重没有使用（{rows}，最早在第 {first} 条）：所有回答同等对待。";
            rows
        ),
    })
}

fn name(kind: DatasetKind) -> Words {
    match kind {
        DatasetKind::Answers => Words::new("answers", "回答"),
        DatasetKind::Pairs => Words::new("preference pairs", "偏好对"),
        DatasetKind::Ratings => Words::new("answers with a label", "带标签的回答"),
        DatasetKind::Texts => Words::new("plain texts", "纯文本"),
        DatasetKind::Prompts => Words::new("prompts without an answer", "没有回答的提问"),
    }
}

/// The kind of a row.
pub(crate) fn kind_of(example: &Example) -> DatasetKind {
    match example {
        Example::Answer { .. } | Example::Conversation { .. } | Example::PlainAnswer { .. } => DatasetKind::Answers,
        Example::Pair(_) | Example::PlainPair { .. } => DatasetKind::Pairs,
        Example::Rated { .. } | Example::PlainRated { .. } => DatasetKind::Ratings,
        Example::Text { .. } => DatasetKind::Texts,
        Example::Prompt { .. } => DatasetKind::Prompts,
    }
}

/// Writes bytes into a hash.
struct Hash(DefaultHasher);

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
