//! Rows to tokens with real files: the starter's tokenizer with configurations as other models have them.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use alidade_domain::{Example, LocalTime, Message, PreferencePair, SettingValue, Settings};
use alidade_model::{ChatTemplate, TextTokenizer};
use alidade_train::{Encoder, Prepared, TrainError, method};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const BOS: &str = "<|endoftext|>";
const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
/// Drops the thoughts of earlier turns, and requires the user to begin.
const DROPPING: &str = "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{% if messages[0].role != 'user' %}{{ raise_exception('A person must begin') }}{% endif %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' and loop.index0 < ns.last %}{{ m.content.split('</think>')[-1].lstrip('\n') }}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// A model folder without weights.
struct Folder(tempfile::TempDir);

impl Folder {
    /// `around` names the tokens that the post-processor puts before and after a text.
    fn new(template: &str, around: [&[&str]; 2], config: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(starter()).unwrap()).unwrap();
        let [before, after] = around;
        if before.len() + after.len() > 0 {
            tokenizer["post_processor"] = post_processor(before, after);
        }
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("tokenizer.json", tokenizer.to_string());
        write("tokenizer_config.json", config.to_string());
        write("chat_template.jinja", template.to_owned());
        Self(folder)
    }

    fn open(&self) -> (TextTokenizer, ChatTemplate) {
        let tokenizer = TextTokenizer::open(self.0.path()).unwrap();
        let template = ChatTemplate::open(self.0.path(), &tokenizer, LocalTime::day(2026, 11, 28)).unwrap().unwrap();
        (tokenizer, template)
    }

    fn prepare(&self, name: &str, rows: &[Example], said: &[(&str, SettingValue)]) -> Result<Prepared, TrainError> {
        let (tokenizer, template) = self.open();
        let said: BTreeMap<String, SettingValue> =
            said.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let training = method(name).unwrap().configure(&Settings(said)).unwrap();
        training.prepare(rows, &Encoder { tokenizer: &tokenizer, template: Some(&template) })
    }

    fn sft(&self, rows: &[Example]) -> Prepared {
        self.prepare("sft", rows, &[]).unwrap()
    }

    /// The learned text of each row under assistant_only_loss.
    fn learned(&self, rows: &[Example]) -> Vec<String> {
        let prepared = self.prepare("sft", rows, &[("assistant_only_loss", SettingValue::Flag(true))]).unwrap();
        let (tokenizer, _) = self.open();
        let learned = |row: &alidade_model::TokenRow| {
            row.ids.iter().zip(&row.scored).filter(|(_, scored)| **scored).map(|(id, _)| tokenizer.piece(*id)).collect()
        };
        prepared.items.iter().map(|item| learned(&item.sequences[0])).collect()
    }
}

fn starter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../resources/starter/starter/tokenizer.json")
}

fn post_processor(before: &[&str], after: &[&str]) -> Value {
    let id = |token: &str| match token {
        "<|endoftext|>" => 0,
        "<|im_start|>" => 1,
        _ => 2,
    };
    let piece = |token: &&str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let mut single: Vec<Value> = before.iter().map(piece).collect();
    single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
    single.extend(after.iter().map(piece));
    let tokens: serde_json::Map<String, Value> = before
        .iter()
        .chain(after)
        .map(|token| ((*token).to_owned(), json!({"id": token, "ids": [id(token)], "tokens": [token]})))
        .collect();
    json!({
        "type": "TemplateProcessing", "single": single, "special_tokens": tokens,
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    })
}

fn config() -> Value {
    json!({"eos_token": "<|im_end|>", "bos_token": {"content": BOS, "special": true}})
}

fn said(turns: &[&str]) -> Example {
    let turn = |(index, text): (usize, &&str)| match index % 2 {
        0 => Message::user(*text),
        _ => Message::assistant(*text),
    };
    Example::Conversation { messages: turns.iter().enumerate().map(turn).collect() }
}

fn rows() -> Vec<Example> {
    vec![
        Example::Text { text: "The mill stands by the river.".to_owned() },
        Example::PlainAnswer { prompt: "The mill stands".to_owned(), completion: " by the river.".to_owned() },
    ]
}

fn ids(prepared: &Prepared) -> Vec<Vec<u32>> {
    prepared.items.iter().flat_map(|item| item.sequences.iter().map(|row| row.ids.clone())).collect()
}

#[test]
fn plain_text_gets_what_the_post_processor_adds_and_a_template_does_not() {
    let (bare, with) = (Folder::new(CHATML, [&[], &[]], config()), Folder::new(CHATML, [&[BOS], &[]], config()));
    let plain = ids(&bare.sft(&rows()));
    let expected: Vec<Vec<u32>> = plain.iter().map(|row| [&[0], row.as_slice()].concat()).collect();
    assert_eq!(ids(&with.sft(&rows())), expected);
    // What begins with it already does not begin with it twice.
    let begun = [Example::Text { text: format!("{BOS}The mill stands by the river.") }];
    assert_eq!(ids(&with.sft(&begun))[0], expected[0]);
    let chat = [said(&["Hi", "Hello"])];
    assert_eq!(ids(&with.sft(&chat)), ids(&bare.sft(&chat)));
    let begins = Folder::new(&format!("{{{{ bos_token }}}}{CHATML}"), [&[BOS], &[]], config());
    let row = &ids(&begins.sft(&chat))[0];
    assert_eq!((row[0], row[1]), (0, 1));
}

#[test]
fn an_end_that_the_post_processor_adds_stands_once_and_not_after_a_prompt() {
    let (bare, both) =
        (Folder::new(CHATML, [&[], &[]], config()), Folder::new(CHATML, [&[BOS], &["<|im_end|>"]], config()));
    let expected: Vec<Vec<u32>> = ids(&bare.sft(&rows())).iter().map(|row| [&[0], row.as_slice()].concat()).collect();
    let found = both.sft(&rows());
    assert_eq!(ids(&found), expected);
    assert_eq!(found.moved_borders, 0);
    let (tokenizer, template) = both.open();
    let encoder = Encoder { tokenizer: &tokenizer, template: Some(&template) };
    let prompt = encoder.plain_prompt("The mill stands").unwrap();
    assert_eq!(prompt.first(), Some(&0));
    assert_eq!(expected[1][..prompt.len()], prompt);
    // The learned part is the answer and one end.
    let row = &found.items[1].sequences[0];
    assert_eq!(row.scored.iter().position(|scored| *scored), Some(prompt.len()));
}

#[test]
fn both_answers_of_a_pair_begin_where_both_leave_the_prompt_alone() {
    let folder = Folder::new(CHATML, [&[], &[]], config());
    let pair =
        Example::PlainPair { prompt: "No. Th".to_owned(), chosen: "e mill".to_owned(), rejected: "x".to_owned() };
    let prepared = folder.prepare("dpo", &[pair], &[]).unwrap();
    let border = |row: &alidade_model::TokenRow| row.scored.iter().position(|scored| *scored).unwrap();
    let (chosen, rejected) = (&prepared.items[0].sequences[0], &prepared.items[0].sequences[1]);
    let (tokenizer, _) = folder.open();
    let alone = tokenizer.encode("No. Th").unwrap();
    let common = |row: &[u32]| alone.iter().zip(row).take_while(|(a, b)| a == b).count();
    // “The” is one token, so the first answer takes a letter of the prompt; the second would not.
    assert!(common(&chosen.ids) < common(&rejected.ids));
    assert_eq!([border(chosen), border(rejected)], [common(&chosen.ids); 2]);
    assert_eq!(prepared.moved_borders, 1);
}

#[test]
fn turns_are_learned_as_the_whole_rendering_has_them() {
    let row = said(&["Hi", "<think>\na\n</think>\n\nHello", "Bye", "<think>\nb\n</think>\n\nSo long"]);
    let tagged = "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n{% generation %}{% if not loop.last %}{{ m.content.split('</think>')[-1].lstrip('\n') }}{% else %}{{ m.content }}{% endif %}<|im_end|>{% endgeneration %}{{ '\n' }}{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}";
    let expected = "Hello<|im_end|><think>\nb\n</think>\n\nSo long<|im_end|>";
    for template in [DROPPING, tagged] {
        let folder = Folder::new(template, [&[], &[]], config());
        assert_eq!(folder.learned(std::slice::from_ref(&row)), [expected]);
    }
    let (found, told) = (Folder::new(DROPPING, [&[], &[]], config()), Folder::new(tagged, [&[], &[]], config()));
    assert_eq!(ids(&found.sft(std::slice::from_ref(&row))), ids(&told.sft(&[row])));
}

#[test]
fn the_first_turn_of_an_assistant_that_opens_is_learned_too() {
    let opens = vec![Message::assistant("Welcome."), Message::user("Hi"), Message::assistant("Hello.")];
    let folder = Folder::new(CHATML, [&[], &[]], config());
    assert_eq!(folder.learned(&[Example::Conversation { messages: opens }]), ["Welcome.<|im_end|>Hello.<|im_end|>"]);
}

#[test]
fn a_row_that_the_template_does_not_take_is_left_out_and_named() {
    let folder = Folder::new(DROPPING, [&[], &[]], config());
    let opens = Example::Conversation { messages: vec![Message::assistant("Welcome."), Message::user("Hi")] };
    let good = said(&["Hi", "Hello"]);
    let prepared = folder.sft(&[good.clone(), opens.clone(), good.clone(), opens.clone()]);
    assert_eq!(prepared.items.iter().map(|item| item.row).collect::<Vec<_>>(), [1, 3]);
    let words = prepared.left_out();
    assert_eq!(words.len(), 1);
    assert!(words[0].en.starts_with("2 rows were left out (rows 2, 4): "), "{words:?}");
    assert!(words[0].en.contains("A person must begin"), "{words:?}");
    let refused = folder.prepare("sft", &[opens], &[]).unwrap_err().to_string();
    assert!(refused.contains("None of the 1 rows") && refused.contains("A person must begin"), "{refused}");
    let pair = |role: fn(String) -> Message| {
        let answer = |text: &str| vec![Message::assistant(text)];
        let (chosen, rejected) = (answer("Yes."), answer("No."));
        let prompt = vec![role("Hi".to_owned())];
        let told = PreferencePair { prompt, chosen, rejected, margin: None, harmful: None };
        Example::Pair(told)
    };
    let pairs = [pair(Message::user), pair(Message::system)];
    let prepared = folder.prepare("dpo", &pairs, &[]).unwrap();
    assert_eq!((prepared.items.len(), prepared.skipped[0].row), (1, 2));
}

#[test]
fn answers_end_with_what_the_template_closes_them_with() {
    let other_end = json!({"eos_token": BOS});
    let (tokenizer, template) = Folder::new(CHATML, [&[], &[]], other_end).open();
    assert_eq!(tokenizer.stops().iter().copied().collect::<Vec<_>>(), [0]);
    let encoder = Encoder { tokenizer: &tokenizer, template: Some(&template) };
    assert_eq!(encoder.stops().into_iter().collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn rows_that_show_no_end_of_an_answer_are_told() {
    let told = |template: &str, name: &str, row: Example| {
        let (tokenizer, template) = Folder::new(template, [&[], &[]], config()).open();
        Encoder { tokenizer: &tokenizer, template: Some(&template) }.no_end_of_turn(method(name).unwrap(), &[row])
    };
    let open = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    let talk = || said(&["Hi", "Hello"]);
    let problem = told(open, "sft", talk()).unwrap();
    assert!(problem.message.en.contains("no special token") && problem.field.as_deref() == Some("model"), "{problem}");
    assert_eq!(told(CHATML, "sft", talk()), None);
    assert_eq!(told(open, "reward_model", talk()), None);
    assert_eq!(told(open, "sft", Example::Text { text: "x".to_owned() }), None);
    assert_eq!(told(open, "ppo", Example::Prompt { prompt: vec![Message::user("Hi")] }), None);
}
