//! Chats of the server: the model that speaks lives in a process of its own, which may die, hang or be killed without taking
//! anything with it; and what was shown outlives the server.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail loudly and say what it skipped")]

mod common;

use common::server::{Server, wait_for};
use common::{alidade, golden, hostile, ok, text};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn last_message(server: &Server, chat: &str) -> Value {
    server.ok("get_chat", json!({"id": chat}))["messages"].as_array().unwrap().last().unwrap().clone()
}

/// A model of random weights that takes seconds for a long answer, so that there is time to do something to it.
fn slow(server: &Server, folder: &Path) -> Value {
    let model = folder.join("slow");
    ok(&["bench", "make", "--shape", "small", "--model", text(&model)]);
    let added = add(server, &model).unwrap();
    stack_of(server, &added)
}

/// An answer of so many tokens that do not end by themselves.
fn long_chat(server: &Server, stack: &Value, tokens: usize) -> String {
    let id = server.chat(stack);
    let sampling = json!({"temperature": 5.0, "top_p": 1.0, "max_new_tokens": tokens, "seed": 3});
    let change = json!({"id": id, "title": "", "stacks": [stack], "system_prompt": "", "sampling": sampling, "precision": "f32"});
    server.ok("update_chat", change);
    id
}

fn add(server: &Server, folder: &Path) -> Result<Value, Value> {
    let (handle, _) = server.folder(folder);
    match server.call("add_model", json!({"handle": handle})) {
        (200, view) => Ok(view),
        (_, problem) => Err(problem),
    }
}

fn stack_of(server: &Server, model: &Value) -> Value {
    let stacks = server.ok("list_stacks", json!({}));
    let found = stacks.as_array().unwrap().iter().find(|view| view["stack"]["model"]["id"] == model["model"]["id"]);
    found.unwrap()["stack"].clone()
}

#[test]
fn the_same_seed_says_the_same_in_the_app_and_at_the_terminal() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let chat = server.chat(&server.starter());
    let sampling = json!({"temperature": 0.7, "top_p": 1.0, "max_new_tokens": 40, "seed": 11});
    let change = json!({"id": chat, "title": "", "stacks": [server.starter()], "system_prompt": "", "sampling": sampling, "precision": "f32"});
    server.ok("update_chat", change);
    let shown = server.ask(&chat, "What does the bakery sell?");
    let stored = last_message(&server, &chat);
    let model = golden("../../resources/starter/starter");
    let mut child = alidade(&["chat", "--model", text(&model), "--max-new-tokens", "40", "--seed", "11"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"What does the bakery sell?\n").unwrap();
    let told = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(stored["message"]["content"].as_str().unwrap(), told.trim_end_matches('\n'));
    let pieces: String = shown.iter().filter_map(|delta| delta["text"].as_str()).collect();
    assert_eq!(pieces, stored["message"]["content"].as_str().unwrap());
    assert_eq!(server.children().len(), 1, "one loaded stack is one process");
}

/// Kill -9 of the server in the middle of an answer: what was shown is in the chat after the next start, marked as broken off.
#[test]
fn words_that_were_shown_outlive_the_server() {
    let (home, made) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stack = slow(&Server::start(home.path()), made.path());
    for round in 0..3 {
        let mut server = Server::start(home.path());
        let chat = long_chat(&server, &stack, 400);
        let (mut seen, mut pieces) = (String::new(), 0);
        let id = server.id();
        let mut speaking = Vec::new();
        server.stream("send_message", json!({"id": chat, "text": "Tell me everything."}), &mut |line| {
            for delta in line["message"].as_array().into_iter().flatten() {
                seen.push_str(delta["text"].as_str().unwrap_or_default());
                pieces += 1;
            }
            if pieces > 90 + 20 * round && speaking.is_empty() {
                speaking = server.children();
                std::process::Command::new("kill").args(["-9", &id.to_string()]).status().unwrap();
            }
            true
        });
        assert!(!speaking.is_empty() && seen.len() > 100, "the answer was too short to be cut: {}", seen.len());
        server.kill();
        wait_for("the end of the orphaned process", || {
            speaking.iter().all(|id| !Path::new(&format!("/proc/{id}")).exists())
        });
        let server = Server::start(home.path());
        let message = last_message(&server, &chat);
        let kept = message["message"]["content"].as_str().unwrap();
        assert_eq!((message["pane"].as_u64(), message["end"].as_str()), (Some(0), Some("interrupted")), "{message}");
        // Either may be a moment ahead of the other.
        assert!(seen.starts_with(kept) || kept.starts_with(&seen), "what is kept is what was shown");
        assert!(kept.len() * 10 >= seen.len() * 3, "{} of {} characters were kept", kept.len(), seen.len());
        let deltas = server.ask(&chat, "And now?");
        assert!(deltas.iter().any(|delta| delta["kind"] == "text"), "the chat goes on: {deltas:?}");
    }
}

/// The process that speaks is killed: the answer ends with a problem, what was shown stays, and the next question is answered.
#[test]
fn a_killed_process_ends_its_answer_in_words() {
    let (home, made) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(home.path());
    let chat = long_chat(&server, &slow(&server, made.path()), 600);
    let (mut deltas, mut killed) = (Vec::new(), false);
    server.stream("send_message", json!({"id": chat, "text": "Tell me everything."}), &mut |line| {
        deltas.extend(line["message"].as_array().cloned().unwrap_or_default());
        if !killed && deltas.len() > 20 {
            killed = true;
            for id in server.children() {
                std::process::Command::new("kill").args(["-9", &id.to_string()]).status().unwrap();
            }
        }
        true
    });
    let last = deltas.last().unwrap();
    assert_eq!(last["kind"], "problem", "{last}");
    assert!(last["problem"]["message"]["en"].as_str().unwrap().contains("was ended"), "{last}");
    let message = last_message(&server, &chat);
    let shown: String = deltas.iter().filter_map(|delta| delta["text"].as_str()).collect();
    assert_eq!((message["message"]["content"].as_str(), message["end"].as_str()), (Some(&*shown), Some("interrupted")));
    let next = long_chat(&server, &server.starter(), 8);
    assert_eq!(server.ask(&next, "Hello").last().unwrap()["kind"], "done");
    assert_ne!(server.call("send_message", json!({})).0, 409);
}

/// *Stop* ends a good answer after the token at hand, and forgetting a model ends its process.
#[test]
fn stopping_and_forgetting_let_go() {
    let (home, made) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(home.path());
    let model = add(&server, &golden("trl/model")).unwrap();
    let stack = stack_of(&server, &model);
    let chat = long_chat(&server, &slow(&server, made.path()), 600);
    let mut stopped = None;
    let mut end = Value::Null;
    server.stream("send_message", json!({"id": chat, "text": "Tell me everything."}), &mut |line| {
        for delta in line["message"].as_array().into_iter().flatten() {
            if delta["kind"] == "text" && stopped.is_none() {
                server.ok("stop_answer", json!({"id": chat}));
                stopped = Some(Instant::now());
            }
            if delta["kind"] == "done" {
                end = delta["message"]["end"].clone();
            }
        }
        true
    });
    assert_eq!(end, "stopped");
    assert!(stopped.unwrap().elapsed() < Duration::from_secs(3));
    assert_eq!(server.children().len(), 1, "the process that stopped by itself stays loaded");
    let other = long_chat(&server, &stack, 4);
    assert_eq!(server.ask(&other, "Hello").last().unwrap()["kind"], "done");
    assert_eq!(server.children().len(), 2);
    server.ok("remove_model", json!({"id": model["model"]["id"]}));
    wait_for("the end of the forgotten model", || server.children().len() == 1);
    let deltas = server.ask(&other, "Are you there?");
    assert_eq!(deltas.last().unwrap()["kind"], "problem", "a forgotten model answers no more: {deltas:?}");
}

/// A process that nobody asks anything goes by itself.
#[test]
fn an_idle_process_goes() {
    let model = golden("../../resources/starter/starter");
    let sha256 = {
        let home = tempfile::tempdir().unwrap();
        let server = Server::start(home.path());
        server.starter()["model"]["sha256"].as_str().unwrap().to_owned()
    };
    let mut child =
        alidade(&["worker", "--task", "speak"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let request = json!({"model": {"folder": model, "name": "starter", "sha256": sha256}, "adapter": null, "precision": "f32", "idle_seconds": 1});
    let order = json!({"limits": {"memory_bytes": 1u64 << 30, "seconds": 60}, "request": request});
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{order}").unwrap();
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    assert!(lines.iter().any(|line| line.contains("ready")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("idle")), "{lines:?}");
    assert!(child.wait().unwrap().success());
    drop(input);
}

fn kill_children(server: &Server) {
    for id in server.children() {
        std::process::Command::new("kill").args(["-9", &id.to_string()]).status().unwrap();
    }
    wait_for("the end of the processes", || server.children().is_empty());
}

/// A template that turns bad after the model was added: the message ends in words, and a good one is answered again.
#[test]
fn templates_that_turn_bad_end_one_answer() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start(home.path());
    let (handle, path) = server.folder(&golden("trl/model"));
    let model = server.ok("add_model", json!({"handle": handle}));
    let stack = stack_of(&server, &model);
    for (name, template) in hostile::deep().into_iter().chain(hostile::odd()) {
        let chat = long_chat(&server, &stack, 4);
        std::fs::write(path.join("chat_template.jinja"), template).unwrap();
        kill_children(&server);
        let began = Instant::now();
        let last = server.ask(&chat, "Hello").pop().unwrap();
        eprintln!(
            "{name}: {} {} in {:.1} s",
            last["kind"],
            last["problem"]["message"]["en"],
            began.elapsed().as_secs_f64()
        );
        assert!(server.lives(), "{name}");
        assert!(last["kind"] == "done" || last["problem"]["code"] == "input", "{name}: {last}");
        std::fs::copy(golden("trl/model/chat_template.jinja"), path.join("chat_template.jinja")).unwrap();
        kill_children(&server);
        let last = server.ask(&chat, "Hello").pop().unwrap();
        assert_eq!(last["kind"], "done", "{name}: {last}");
    }
    server.still_answers();
}

/// *Stop* ends what would never end by itself, and the chat can be asked again.
#[test]
fn stop_ends_a_process_that_does_not_react() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let (handle, path) = server.folder(&golden("trl/model"));
    let model = server.ok("add_model", json!({"handle": handle}));
    let chat = long_chat(&server, &stack_of(&server, &model), 4);
    for (name, template) in hostile::wide() {
        std::fs::write(path.join("chat_template.jinja"), template).unwrap();
        kill_children(&server);
        let (mut asked, mut stopped) = (Instant::now(), false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| server.ask(&chat, "Hello"));
            std::thread::sleep(Duration::from_millis(700));
            if !asking.is_finished() {
                server.ok("stop_answer", json!({"id": chat}));
                (asked, stopped) = (Instant::now(), true);
            }
            let deltas = asking.join().unwrap();
            assert!(!deltas.is_empty(), "{name}");
        });
        eprintln!(
            "{name}: {} {:.1} s",
            if stopped { "stopped, ended after" } else { "ended by itself," },
            asked.elapsed().as_secs_f64()
        );
        assert!(asked.elapsed() < Duration::from_secs(4), "{name}");
    }
    std::fs::copy(golden("trl/model/chat_template.jinja"), path.join("chat_template.jinja")).unwrap();
    kill_children(&server);
    assert_eq!(server.ask(&chat, "Hello").last().unwrap()["kind"], "done");
}
