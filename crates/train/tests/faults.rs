//! Failures that must end in an error message and never in a wrong result: values that are not finite, in every method;
//! damaged checkpoints and logs; another plan's folder.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use alidade_domain::{
    DatasetKind, Example, LocalTime, Message, PreferencePair, Problem, ProblemCode, Scorer, SettingValue, Settings,
};
use alidade_model::{ModelFolder, Policy, load_adapter};
use alidade_testkit::{After, Heard};
use alidade_train::{
    AnswerScorer, Encoder, End, METHODS, Method, PlanFacts, Rollouts, Session, SessionOptions, TrainError, method,
    resume_step,
};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

fn golden(path: &str) -> PathBuf {
    alidade_testkit::golden("trl").join(path)
}

/// Scores the given number of answers by their length, and all later ones with a value that is not finite.
struct Spoilt(AtomicUsize, f64);

impl Scorer for Spoilt {
    fn score(&self, _: &[Message], answer: &str) -> Result<Option<f64>, Problem> {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        Ok(Some(if left == 0 { self.1 } else { answer.len() as f64 }))
    }
}

/// Rows of a kind that the method says it learns from.
fn rows(method: &dyn Method) -> Vec<Example> {
    let kind = method.card().needs[0];
    let texts = ["river", "lamp", "teacher", "garden", "market", "clock"];
    let row = |(index, word): (usize, &&str)| {
        let prompt = vec![Message::user(format!("The {word}"))];
        let answer = |text: &str| vec![Message::assistant(format!("The {word} {text}."))];
        match kind {
            DatasetKind::Answers => Example::Answer { prompt, completion: answer("keeps") },
            DatasetKind::Ratings => Example::Rated { prompt, completion: answer("paints"), label: index % 2 == 0 },
            DatasetKind::Pairs => {
                let (chosen, rejected) = (answer("keeps the old map"), answer("forgets"));
                Example::Pair(PreferencePair { prompt, chosen, rejected, margin: None, harmful: None })
            }
            DatasetKind::Prompts => Example::Prompt { prompt },
            DatasetKind::Texts => Example::Text { text: format!("The {word} keeps.") },
        }
    };
    texts.iter().enumerate().map(row).collect()
}

/// A small run, with answers of four tokens for methods with rollouts.
fn settings(method: &dyn Method) -> Settings {
    let fields = method.card().settings;
    let mut said = Settings::default();
    let small = [
        ("per_device_train_batch_size", SettingValue::Whole(4)),
        ("max_steps", SettingValue::Whole(6)),
        ("warmup_steps", SettingValue::Whole(0)),
        ("learning_rate", SettingValue::Number(1e-3)),
        ("num_generations", SettingValue::Whole(4)),
        ("response_length", SettingValue::Whole(4)),
        ("max_completion_length", SettingValue::Whole(4)),
        ("max_new_tokens", SettingValue::Whole(4)),
    ];
    for (key, value) in small {
        if fields.iter().any(|field| field.key == key) {
            said.0.insert(key.to_owned(), value);
        }
    }
    said.resolve(&fields).unwrap()
}

struct Run<'a> {
    method: &'static dyn Method,
    folder: &'a Path,
    plan: PlanFacts,
    settings: Settings,
    steps: u64,
    spoil: &'a dyn Fn(&mut Policy),
    scorer: &'a dyn Scorer,
}

impl Run<'_> {
    fn go(&self) -> (Result<End, TrainError>, Vec<String>) {
        let folder = ModelFolder::open(&golden("model")).unwrap();
        let tokenizer = folder.tokenizer().unwrap();
        let template = folder.chat_template(&tokenizer, LocalTime::day(2026, 11, 28)).unwrap();
        let encoder = Encoder { tokenizer: &tokenizer, template: template.as_ref() };
        let training = self.method.configure(&self.settings).unwrap();
        let prepared = training.prepare(&rows(self.method), &encoder).unwrap();
        let start = if training.scorer_kind().is_some() { "reward_adapter_init" } else { "adapter_init" };
        let start = load_adapter(&golden(start), &folder.spec).unwrap();
        let mut policy = Policy::fresh(folder.decoder().unwrap(), &start).unwrap();
        if let Some(critic) = training.critic() {
            policy.install_critic(critic, None).unwrap();
        }
        (self.spoil)(&mut policy);
        let scorer = AnswerScorer::Scorer(self.scorer);
        let options = SessionOptions {
            folder: self.folder.to_owned(),
            plan: self.plan.clone(),
            seed: 5,
            checkpoint_every: 2,
            clock: &|| 0.0,
            sampler: None,
            rollouts: Some(Rollouts { encoder, scorer, cost: None, show_every: 0 }),
        };
        let (mut warnings, stop) = (Heard::default(), After::asked(self.steps));
        let mut session = Session::new(policy, options, &mut warnings, &stop);
        let end = training.train(&mut session, &prepared);
        (end, warnings.warnings())
    }
}

fn of<'a>(method: &'static dyn Method, folder: &'a Path, steps: u64) -> Run<'a> {
    static SCORER: Spoilt = Spoilt(AtomicUsize::new(usize::MAX), 0.0);
    let (plan, settings) = (PlanFacts::new(json!({"seed": 5})), settings(method));
    Run { method, folder, plan, settings, steps, spoil: &|_| {}, scorer: &SCORER }
}

fn sft() -> &'static dyn Method {
    method("sft").unwrap()
}

/// What is not finite, in which step, and at which rows.
fn not_finite(run: &Run) -> (String, u64, Vec<usize>) {
    let error = run.go().0.unwrap_err();
    let TrainError::NotFinite { what, step, rows, .. } = &error else { panic!("{:?}: {error}", run.method.name()) };
    let told = (what.en.clone(), *step, rows.clone());
    let problem = Problem::from(error);
    assert_eq!(problem.code, ProblemCode::NotFinite);
    assert!(problem.message.en.contains(&format!("At step {} the {}", told.1, told.0)), "{problem}");
    told
}

#[test]
fn a_spoilt_weight_ends_every_method_in_words() {
    for method in METHODS {
        let folder = tempfile::tempdir().unwrap();
        let spoil = |policy: &mut Policy| {
            let parameters = policy.parameters().unwrap();
            let (name, values) = parameters.iter().find(|(name, _)| name.contains("lora_B")).unwrap();
            policy.set_parameter(name, &vec![f32::NAN; values.len()]).unwrap();
        };
        let (what, step, rows) = not_finite(&Run { spoil: &spoil, ..of(*method, folder.path(), 9) });
        let (name, generates) = (method.name(), method.needs().reward);
        assert_eq!((what.as_str(), step), (if generates { "logit of the next token" } else { "loss" }, 1), "{name:?}");
        assert!(!rows.is_empty(), "{name:?}");
        assert!(!folder.path().join("checkpoints/step-00000001").exists());
    }
}

#[test]
fn a_spoilt_reward_is_named_with_its_row() {
    for value in [f64::NAN, f64::INFINITY] {
        for method in METHODS.iter().filter(|method| method.needs().reward) {
            let folder = tempfile::tempdir().unwrap();
            // The first step goes well; the second meets it at its second answer.
            let answers = method.configure(&settings(*method)).unwrap().passes().answers.unwrap();
            let of_step = answers.at_once;
            let scorer = Spoilt(AtomicUsize::new(of_step + 1), value);
            let (what, step, rows) = not_finite(&Run { scorer: &scorer, ..of(*method, folder.path(), 9) });
            assert_eq!((what.as_str(), step, rows.len()), ("reward", 2, 1), "{:?}", method.name());
        }
    }
}

/// The last step may make a weight NaN that no further step reads: without an epsilon, the zero gradients of A for a zero B
/// are divided by zero.
#[test]
fn a_weight_that_is_spoilt_in_the_last_step_is_not_kept() {
    // At the end of the run, and at a pause.
    for (most, steps) in [(1, 9), (6, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let mut run = of(sft(), folder.path(), steps);
        run.settings.0.insert("adam_epsilon".to_owned(), SettingValue::Number(0.0));
        run.settings.0.insert("max_steps".to_owned(), SettingValue::Whole(most));
        let (what, step, _) = not_finite(&run);
        assert!(what.starts_with("weight ") && what.contains("lora_A"), "{what}");
        assert_eq!(step, 1);
        assert!(!folder.path().join("checkpoints/step-00000001").exists());
    }
}

#[test]
fn a_spoilt_value_stops_whoever_trains_a_critic_in_words() {
    for method in METHODS.iter().filter(|method| method.configure(&settings(**method)).unwrap().critic().is_some()) {
        let folder = tempfile::tempdir().unwrap();
        let spoil = |policy: &mut Policy| {
            let width = policy.parameters().unwrap()["critic/value.weight"].len();
            policy.set_parameter("critic/value.weight", &vec![f32::NAN; width]).unwrap();
        };
        let (what, step, rows) = not_finite(&Run { spoil: &spoil, ..of(*method, folder.path(), 9) });
        assert_eq!((what.as_str(), step, rows.len()), ("value", 1, 1), "{}", method.name());
    }
}

/// Log and last checkpoint of an uninterrupted run.
fn whole() -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(of(sft(), folder.path(), 5).go().0.unwrap(), End::Requested { step: 5, .. }));
    result(folder.path())
}

fn result(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let read = |path: &str| std::fs::read(folder.join(path)).unwrap();
    (read("log.jsonl"), read("checkpoints/step-00000005/state.safetensors"))
}

type Spoil<'a> = &'a dyn Fn(&mut Vec<u8>);

#[test]
fn damage_before_a_resume_changes_no_byte_of_what_comes_out() {
    let expected = whole();
    let spoilt: [(&str, Spoil); 6] = [
        ("checkpoints/step-00000004/manifest.json", &|bytes| {
            let place = bytes.windows(9).position(|part| part == b"\"step\": 4").unwrap();
            bytes[place + 8] = b'3';
        }),
        ("checkpoints/step-00000004/state.safetensors", &|bytes| *bytes.last_mut().unwrap() ^= 1),
        ("log.jsonl", &|bytes| bytes[10] = 0xff),
        ("log.jsonl", &|bytes| drop(bytes.drain(..bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1))),
        ("log.jsonl", &|bytes| bytes.truncate(100)),
        ("log.jsonl", &|bytes| bytes.extend_from_within(..)),
    ];
    for (index, (path, spoil)) in spoilt.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        of(sft(), folder.path(), 4).go().0.unwrap();
        let place = folder.path().join(path);
        let mut bytes = std::fs::read(&place).unwrap();
        spoil(&mut bytes);
        std::fs::write(&place, &bytes).unwrap();
        let checkpoint = path.starts_with("checkpoints");
        let from = resume_step(folder.path(), &PlanFacts::new(json!({"seed": 5}))).unwrap();
        assert_eq!(from, if checkpoint { 2 } else { 4 });
        let (end, warnings) = of(sft(), folder.path(), 5 - from).go();
        assert!(matches!(end.unwrap(), End::Requested { step: 5, .. }));
        assert!(result(folder.path()) == expected, "{path}, case {index}");
        // Lines that were added after the last checkpoint are written again in any case.
        let code = if checkpoint { "checkpoint_damaged" } else { "log_restored" };
        let said = warnings.iter().any(|warning| warning.starts_with(code));
        assert_eq!(said, index != 5, "{path}, case {index}: {warnings:?}");
        assert_eq!(folder.path().join("log.damaged.jsonl").exists(), said && !checkpoint);
    }
}

#[test]
fn a_folder_of_another_plan_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    of(sft(), folder.path(), 3).go().0.unwrap();
    let before = std::fs::read(folder.path().join("log.jsonl")).unwrap();
    let plan = PlanFacts::new(json!({"seed": 6}));
    let error = Run { plan, ..of(sft(), folder.path(), 9) }.go().0.unwrap_err();
    let problem = Problem::from(error);
    assert_eq!((problem.code, problem.field.as_deref()), (ProblemCode::Conflict, Some("output_dir")));
    assert!(problem.message.en.contains("step 3") && problem.message.en.contains("seed was 5, is 6"), "{problem}");
    assert_eq!(std::fs::read(folder.path().join("log.jsonl")).unwrap(), before);
    let end = of(sft(), folder.path(), 2).go().0.unwrap();
    assert!(matches!(end, End::Requested { step: 5, .. }));
    assert!(result(folder.path()) == whole());
}

/// A run whose steps all have rate 0 is refused before anything is written.
#[test]
fn a_session_without_a_moving_step_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(sft());
    settings.0.insert("max_steps".to_owned(), SettingValue::Whole(1));
    settings.0.insert("warmup_steps".to_owned(), SettingValue::Number(0.1));
    let problem = sft().configure(&settings).unwrap().check_steps(8).unwrap_err();
    assert_eq!(problem.field.as_deref(), Some("settings.warmup_steps"));
    let model = ModelFolder::open(&golden("model")).unwrap();
    let start = load_adapter(&golden("adapter_init"), &model.spec).unwrap();
    let policy = Policy::fresh(model.decoder().unwrap(), &start).unwrap();
    let options = SessionOptions {
        folder: folder.path().to_owned(),
        plan: PlanFacts::new(json!({})),
        seed: 5,
        checkpoint_every: 2,
        clock: &|| 0.0,
        sampler: None,
        rollouts: None,
    };
    let (mut warnings, stop) = (Heard::default(), After::asked(9));
    let configured = sft().configure(&settings).unwrap();
    let mut session = Session::new(policy, options, &mut warnings, &stop);
    let error = session.optimise(&[], configured.common(), &mut |_, _| panic!("no step is to be taken")).unwrap_err();
    assert!(matches!(error, TrainError::Refused(_)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
