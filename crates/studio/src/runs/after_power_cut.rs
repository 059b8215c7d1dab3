//! Tests of data folders after a power cut, a bad disk or manual changes: each is opened and repaired, and the next run
//! starts. The states are made by hand here; real cuts are in `tests/nightly/power_cuts.py`.

use crate::runs::inputs::{HELD_OUT, PROMPTS, ROWS};
use crate::runs::queue::QueueState;
use crate::testing::{House, import, imported, queued};
use crate::views::DatasetView;
use crate::{EventLog, Studio, read_events};
use alidade_domain::{
    Artifact, EvaluatedStack, Evaluation, EventKind, Example, Message, Observer, Problem, RunState, StopReason, Words,
};
use alidade_evaluation::{Observations, Part, Snapshot};
use alidade_jobs::files::event_log::EVENTS;
use alidade_jobs::train::comparing::{AFTER, BEFORE};
use alidade_jobs::worker::PLAN;
use alidade_store::RunRecord;
use std::collections::BTreeMap;
use std::path::Path;

fn step(step: u64) -> EventKind {
    let metrics = BTreeMap::from([("loss".to_owned(), 1.0 / step as f64)]);
    EventKind::Step { step, total: 60, metrics, tokens_per_second: 1.0, seconds_left: 1.0 }
}

/// A run that was running at the power cut: its first 30 steps are in the database, ten more only in its file.
pub(crate) fn at_work(house: &House, studio: &Studio, run: &RunRecord) {
    let folder = house.run_folder(&run.id);
    studio.prepare_run(run).unwrap();
    let mut log = EventLog::open(&folder, &run.id).unwrap();
    log.observe(EventKind::Started { pid: 1, threads: 1, from_step: 0 }).unwrap();
    (1..=30).for_each(|number| log.observe(step(number)).unwrap());
    studio.ingest_events(&studio.store.run(&run.id).unwrap()).unwrap();
    (31..=40).for_each(|number| log.observe(step(number)).unwrap());
}

fn rounds(studio: &Studio, queue: &mut QueueState, times: usize) {
    for _ in 0..times {
        studio.round(queue).unwrap();
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

type Damage = (&'static str, fn(&Path, usize));

/// Possible damage to the events; the number is the offset up to which they are in the database.
const DAMAGES: &[Damage] = &[
    ("nothing", |_, _| {}),
    ("what was not taken in is cut", |path, offset| change(path, |text| text.truncate(offset))),
    ("a line is torn", |path, _| change(path, |text| text.truncate(text.len() - 9))),
    ("it ends before what was taken in", |path, offset| change(path, |text| text.truncate(offset - 1))),
    ("it ends inside an earlier line", |path, offset| change(path, |text| text.truncate(offset / 2))),
    ("one line is left", |path, _| change(path, |text| text.truncate(40))),
    ("it is empty", |path, _| change(path, Vec::clear)),
    ("zeros at the end", |path, _| change(path, |text| text.extend([0; 4096]))),
    ("zeros instead of the last lines", |path, offset| change(path, |text| text[offset - 300..].fill(0))),
    ("zeros everywhere", |path, _| change(path, |text| text.fill(0))),
    ("a bit in the last line", |path, _| change(path, |text| *text.iter_mut().rev().nth(30).unwrap() ^= 4)),
    ("a bit in a new line", |path, offset| change(path, |text| text[offset + 2] ^= 4)),
    ("a bit in an old line", |path, offset| change(path, |text| text[offset / 3] ^= 4)),
    ("the end of an old line", |path, offset| change(path, |text| text[offset - 1] = b' ')),
    ("a line twice", |path, offset| {
        change(path, |text| {
            let again = text[offset..].to_vec();
            text.extend(again);
        });
    }),
    ("nonsense at the end", |path, _| change(path, |text| text.extend(b"nonsense\n"))),
    ("the file is gone", |path, _| std::fs::remove_file(path).unwrap()),
    ("the folder is gone", |path, _| std::fs::remove_dir_all(path.parent().unwrap()).unwrap()),
];

#[test]
fn every_state_of_the_events_comes_to_rest_and_the_next_run_starts() {
    let house = House::new();
    let studio = house.open();
    let set = import(&studio).id;
    for (number, (name, damage)) in DAMAGES.iter().enumerate() {
        let (first, second) = (format!("a{number}"), format!("b{number}"));
        let run = queued(&studio, &first, &set, 1);
        at_work(&house, &studio, &run);
        let offset = studio.store.run(&first).unwrap().offset;
        queued(&studio, &second, &set, 2);
        let path = house.run_folder(&first).join(EVENTS);
        damage(&path, offset as usize);

        let studio = house.open();
        let mut queue = QueueState::default();
        rounds(&studio, &mut queue, 3);
        let run = studio.store.run(&first).unwrap();
        assert_eq!(run.state, RunState::Interrupted, "{name}");
        assert!(run.step >= 30 && run.last_sequence > 31, "{name}: {} steps are left", run.step);
        assert!(house.run_folder(&second).join("worker.log").exists(), "{name}: the next run did not start");
        let (told, end) = read_events(&house.run_folder(&first), 0).unwrap();
        let known = studio.store.events_after(&first, 0).unwrap().events;
        assert_eq!((told, end), (known.clone(), run.offset), "{name}: file and database differ");
        assert!(known.iter().enumerate().all(|(index, event)| event.sequence == index as u64 + 1), "{name}");
        let warned =
            known.iter().any(|event| matches!(&event.kind, EventKind::Warning { code, .. } if code == "events_mended"));
        let silent = ["nothing", "what was not taken in is cut", "a line is torn", "zeros at the end"].contains(name);
        assert_eq!(warned, !silent, "{name}");

        assert_eq!(studio.resume_run(&first).unwrap().state, RunState::Queued, "{name}");
        assert_eq!(studio.discard_run(&first).unwrap().state, RunState::Discarded, "{name}");
        for id in [&first, &second] {
            studio.store.delete_experiment(id).unwrap();
        }
    }
}

#[test]
fn a_request_outlives_its_worker() {
    let house = House::new();
    let studio = house.open();
    let set = import(&studio).id;
    for (name, reason, state) in
        [("d", StopReason::Discard, RunState::Discarded), ("p", StopReason::Pause, RunState::Paused)]
    {
        let run = queued(&studio, name, &set, 1);
        at_work(&house, &studio, &run);
        std::fs::remove_dir_all(house.run_folder(name)).unwrap();
        studio.request(name, reason).unwrap();
        rounds(&studio, &mut QueueState::default(), 2);
        assert_eq!(studio.store.run(name).unwrap().state, state);
    }
    studio.delete_experiment("d").unwrap();
    studio.delete_experiment("p").unwrap();
}

/// A fault of one run is shown at that run and does not affect others.
#[test]
fn a_run_that_cannot_be_tended_keeps_nothing_else_waiting() {
    let house = House::new();
    let studio = house.open();
    let set = import(&studio).id;
    let run = queued(&studio, "a", &set, 1);
    at_work(&house, &studio, &run);
    queued(&studio, "b", &set, 2);
    // A folder in the place of the file: it can be neither read nor written.
    let path = house.run_folder("a").join(EVENTS);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let mut queue = QueueState::default();
    rounds(&studio, &mut queue, 3);
    assert!(house.run_folder("b").join("worker.log").exists(), "the next run did not start");
    let said = studio.get_run("a").unwrap().problem.expect("nothing was said");
    assert!(said.message.en.contains(EVENTS), "{said}");
    std::fs::remove_dir(&path).unwrap();
    let mut queue = QueueState::default();
    rounds(&studio, &mut queue, 1);
    let run = studio.get_run("a").unwrap();
    assert_eq!((run.state, run.problem), (RunState::Interrupted, None));
}

#[test]
fn plan_and_rows_are_put_back_or_refused_at_their_field() {
    let house = House::new();
    let studio = house.open();
    let set = import(&studio).id;
    let run = queued(&studio, "a", &set, 1);
    let folder = house.run_folder("a");
    assert!(studio.prepare_run(&run).unwrap().is_empty());
    assert!(studio.prepare_run(&run).unwrap().is_empty());
    let whole = |name: &str| std::fs::read(folder.join(name)).unwrap();
    for name in [PLAN, ROWS, HELD_OUT, PROMPTS] {
        let before = whole(name);
        assert!(!before.is_empty(), "{name}");
        let damages: [fn(&Path); 4] = [
            |path| std::fs::write(path, "").unwrap(),
            |path| std::fs::remove_file(path).unwrap(),
            |path| change(path, |bytes| bytes[30] ^= 1),
            |path| change(path, |bytes| bytes.fill(0)),
        ];
        for damage in damages {
            damage(&folder.join(name));
            let told = studio.prepare_run(&run).unwrap();
            assert!(told.len() == 1 && told[0].en.contains(name), "{told:?}");
            assert_eq!(whole(name), before);
        }
    }
    // Without the data set the run needs a complete copy of its own.
    change(&house.home().join("datasets").join(&set).join("rows.jsonl"), |bytes| bytes[40] ^= 1);
    assert!(studio.prepare_run(&run).unwrap().is_empty());
    change(&folder.join(ROWS), |bytes| bytes[30] ^= 1);
    assert_eq!(studio.prepare_run(&run).unwrap_err().field.as_deref(), Some("dataset"));
    let fresh = queued(&studio, "b", &set, 2);
    assert_eq!(studio.prepare_run(&fresh).unwrap_err().field.as_deref(), Some("dataset"));
}

#[test]
fn a_changed_base_model_is_refused_at_its_field() {
    let house = House::new();
    let studio = house.open();
    let set = import(&studio).id;
    let run = queued(&studio, "a", &set, 1);
    studio.prepare_run(&run).unwrap();
    let weights = house.path().join("resources/starter/toy/model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    change(&weights, |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(studio.prepare_run(&run).unwrap_err().field.as_deref(), Some("model"));
    std::fs::write(&weights, whole).unwrap();
    studio.prepare_run(&run).unwrap();
}

#[test]
fn data_sets_repair_themselves_or_say_what_is_wrong() {
    let house = House::new();
    let studio = house.open();
    let own = import(&studio);
    let upload = studio.fresh_folder("uploads").unwrap().join("rows.jsonl");
    std::fs::write(&upload, "x").unwrap();
    let leftover = house.home().join("uploads/18b0a-7f0");
    std::fs::create_dir(&leftover).unwrap();
    studio.clear_leftovers();
    assert!(upload.exists() && !leftover.exists(), "only what was left before the start is removed");
    let (handle, elsewhere) = (studio.hand_out(upload.clone()), studio.hand_out(house.run_folder("a")));
    studio.take_back(&handle);
    studio.take_back(&elsewhere);
    assert!(!upload.parent().unwrap().exists() && studio.path_of(&handle).is_err());
    assert!(studio.path_of(&elsewhere).is_ok());
    let rows = |id: &str| house.home().join("datasets").join(id).join("rows.jsonl");
    let bundled: Vec<DatasetView> = studio.list_datasets().unwrap().into_iter().filter(|set| set.bundled).collect();
    assert_eq!(bundled.len(), 5);
    for (set, damage) in bundled.iter().zip([0, 1, 2, 0, 1]) {
        match damage {
            0 => std::fs::write(rows(&set.id), "").unwrap(),
            1 => change(&rows(&set.id), |bytes| bytes[100] ^= 1),
            _ => std::fs::remove_dir_all(rows(&set.id).parent().unwrap()).unwrap(),
        }
    }
    let before = studio.list_datasets().unwrap().into_iter().filter(|set| set.problem.is_some()).count();
    assert_eq!(before, 5);
    let studio = house.open();
    assert!(studio.list_datasets().unwrap().iter().all(|set| set.problem.is_none()));
    for set in &bundled {
        assert_eq!(studio.dataset_rows(&set.id, 0, 1).unwrap().total_rows, set.summary.kept);
    }
    std::fs::write(rows(&own.id), "").unwrap();
    let studio = house.open();
    let said = studio.list_datasets().unwrap().into_iter().find(|set| set.id == own.id).unwrap().problem.unwrap();
    assert_eq!(said.field.as_deref(), Some("dataset"));
    assert!(studio.dataset_rows(&own.id, 0, 1).is_err());
    studio.remove_dataset(&own.id).unwrap();
    assert!(studio.list_datasets().unwrap().iter().all(|set| set.id != own.id));
}

/// A finished run as its worker leaves it.
pub(crate) fn finished(house: &House, studio: &Studio, run: &RunRecord) {
    let folder = house.run_folder(&run.id);
    studio.prepare_run(run).unwrap();
    let stack = |label: &str| EvaluatedStack { label: label.to_owned(), key: String::new() };
    let part = Part {
        suite: "held_out_rows".to_owned(),
        prompts: "p".to_owned(),
        rows: "r".to_owned(),
        answers: vec!["one".to_owned(), "two".to_owned()],
        labels: vec![Some("good".to_owned()), None],
        flagged: vec![false, false],
        of_answers: Observations::default(),
        of_rows: Observations::default(),
        worst: Vec::new(),
        pairs: Vec::new(),
    };
    let snapshot = |label: &str| Snapshot { stack: stack(label), parts: vec![part.clone()] };
    for (name, stack) in [(BEFORE, "base"), (AFTER, "trained")] {
        std::fs::write(folder.join(name), serde_json::to_vec(&snapshot(stack)).unwrap()).unwrap();
    }
    std::fs::write(folder.join("run.json"), "{\"steps\": 3}\n").unwrap();
    std::fs::create_dir(folder.join("adapter")).unwrap();
    std::fs::write(folder.join("adapter/adapter_model.safetensors"), "weights").unwrap();
    let evaluation = Evaluation {
        suite: "held_out_rows".to_owned(),
        title: Words::new("held-out rows", "留出数据").into(),
        stacks: vec![stack("base"), stack("trained")],
        baseline: 0,
        temperature: 0.7,
        seed: 1,
        measures: Vec::new(),
        samples: Vec::new(),
        worst: Vec::new(),
        scores: None,
        seconds: 1.0,
        pairs: Vec::new(),
    };
    let mut log = EventLog::open(&folder, &run.id).unwrap();
    log.observe(EventKind::Started { pid: 1, threads: 1, from_step: 0 }).unwrap();
    log.observe(EventKind::Evaluated { evaluation: Box::new(evaluation) }).unwrap();
    let adapter_sha256 = alidade_store::sha256(b"weights");
    log.observe(EventKind::Finished { steps: 3, artifacts: vec![Artifact::Adapter { sha256: adapter_sha256 }] })
        .unwrap();
    rounds(studio, &mut QueueState::default(), 1);
    assert_eq!(studio.store.run(&run.id).unwrap().state, RunState::Finished);
}

#[test]
fn whoever_reads_that_a_run_has_ended_finds_its_adapter() {
    let house = House::new();
    let studio = house.open();
    let run = queued(&studio, "a", &import(&studio).id, 1);
    at_work(&house, &studio, &run);
    let ended = EventKind::Finished { steps: 40, artifacts: vec![Artifact::Adapter { sha256: "made".to_owned() }] };
    EventLog::open(&house.run_folder("a"), "a").unwrap().observe(ended).unwrap();
    let run = studio.ingest_events(&studio.store.run("a").unwrap()).unwrap();
    assert_eq!(run.state, RunState::Finished);
    assert_eq!(studio.store.adapter("a").unwrap().adapter.sha256, "made");
}

#[test]
fn results_of_finished_runs_are_put_back_and_their_reports_open() {
    let house = House::new();
    let studio = house.open();
    let set = import(&studio).id;
    finished(&house, &studio, &queued(&studio, "a", &set, 1));
    let folder = house.run_folder("a");
    let names = [BEFORE, AFTER, "run.json"];
    let whole = names.map(|name| std::fs::read(folder.join(name)).unwrap());
    std::fs::write(folder.join(BEFORE), "").unwrap();
    change(&folder.join(AFTER), |bytes| bytes[12] ^= 1);
    std::fs::remove_file(folder.join("run.json")).unwrap();
    let studio = house.open();
    studio.recover(&mut QueueState::default(), true);
    assert_eq!(names.map(|name| std::fs::read(folder.join(name)).unwrap()), whole);
    assert_eq!(studio.get_run("a").unwrap().problem, None);

    // If the answers are not in the database either, their loss is shown at the run.
    std::fs::remove_file(folder.join("adapter/adapter_model.safetensors")).unwrap();
    let studio = house.open();
    let mut queue = QueueState::default();
    studio.recover(&mut queue, true);
    rounds(&studio, &mut queue, 1);
    let said: Problem = studio.get_run("a").unwrap().problem.expect("nothing was said");
    assert!(said.message.en.contains("adapter_model.safetensors"), "{said}");
    assert!(studio.get_report("a", "en").unwrap().markdown.contains("sft"));
    assert!(studio.list_experiments().unwrap()[0].overall.len() == 1);
}

#[test]
fn what_a_person_deletes_is_in_no_file_of_the_data_folder() {
    const CANARY: &str = "canary-4407";
    let house = House::new();
    let studio = house.open();
    let set = imported(&studio, CANARY).id;
    finished(&house, &studio, &queued(&studio, "a", &set, 1));
    let chat = studio.create_chat(vec![alidade_domain::Stack::base(studio.bundled[0].model.clone())]).unwrap();
    let change = crate::ChatChange {
        title: CANARY.repeat(400),
        stacks: chat.stacks.clone(),
        system_prompt: CANARY.repeat(3_000),
        sampling: chat.sampling,
        precision: chat.precision,
    };
    studio.update_chat(&chat.id, change).unwrap();
    studio.back_up_when_due(&mut crate::home::backups::Backups::default());
    assert!(files_with(&house.home(), CANARY) > 3);
    studio.delete_chat(&chat.id).unwrap();
    studio.remove_dataset(&set).unwrap();
    studio.delete_experiment("a").unwrap();
    drop(studio);
    assert_eq!(files_with(&house.home(), CANARY), 0);
    assert_eq!(crate::list_backups(&house.home()).len(), 1);
}

fn files_with(folder: &Path, word: &str) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries
        .map(|path| {
            if path.is_dir() {
                return files_with(&path, word);
            }
            let bytes = std::fs::read(&path).unwrap();
            usize::from(bytes.windows(word.len()).any(|window| window == word.as_bytes()))
        })
        .sum()
}

#[test]
fn rows_that_cannot_be_read_cost_only_themselves_and_are_counted() {
    let house = House::new();
    let studio = house.open();
    let set = import(&studio).id;
    for (created, name) in ["a", "b", "c"].into_iter().enumerate() {
        queued(&studio, name, &set, created as u64);
    }
    let question = Example::Prompt { prompt: vec![Message::user("q")] };
    studio.store.put(alidade_store::Shelf::Chats, "nonsense", &question, 1).unwrap();
    assert!(studio.list_chats().unwrap().is_empty());
    assert_eq!(studio.list_runs().unwrap().len(), 3);
    let problems = studio.app_info().problems;
    assert!(problems.len() == 1 && problems[0].message.en.contains("1 of the stored chats"), "{problems:?}");
}
