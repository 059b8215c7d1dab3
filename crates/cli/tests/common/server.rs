//! `alidade serve` on a data folder of its own, spoken to as a browser speaks to it.
#![allow(dead_code, reason = "each test file uses its own part")]

use super::{alidade, golden};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Longer than every limit that a request of these tests can meet.
const PATIENCE: Duration = Duration::from_secs(240);

/// A running server.
pub struct Server {
    child: Child,
    port: u16,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    /// Starts a server and waits for its address.
    pub fn start(home: &Path) -> Self {
        let mut command = alidade(&["serve"]);
        command.env("ALIDADE_HOME", home).env("ALIDADE_RESOURCES", golden("../../resources"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (address, token) = line.trim().split_once("/#token=").unwrap();
        let port = address.rsplit(':').next().unwrap().parse().unwrap();
        Self { child, port, token: token.to_owned() }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        // A server that has ended needs no kill.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// True while it lives.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn request(&self, path: &str, body: &[u8]) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Of HTTP 1.0, so that the body ends with the connection.
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.port,
            self.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        BufReader::new(stream)
    }

    fn answer(&self, path: &str, body: &[u8]) -> (u16, Value) {
        let mut reader = self.request(path, body);
        let status = head(&mut reader);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A command: its status and answer.
    pub fn call(&self, name: &str, request: Value) -> (u16, Value) {
        self.answer(&format!("/api/call/{name}"), request.to_string().as_bytes())
    }

    /// A command that must succeed.
    pub fn ok(&self, name: &str, request: Value) -> Value {
        let (status, value) = self.call(name, request);
        assert_eq!(status, 200, "{name}: {value}");
        value
    }

    /// A stream, line by line as it comes, until it ends or `each` returns false.
    pub fn stream(&self, name: &str, request: Value, each: &mut dyn FnMut(Value) -> bool) {
        let mut reader = self.request(&format!("/api/stream/{name}"), request.to_string().as_bytes());
        assert_eq!(head(&mut reader), 200);
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 0 {
            if !each(serde_json::from_str(&line).unwrap_or(Value::Null)) {
                return;
            }
            line.clear();
        }
    }

    /// What a chat answers: the deltas of the whole stream.
    pub fn ask(&self, chat: &str, text: &str) -> Vec<Value> {
        let mut deltas = Vec::new();
        self.stream("send_message", json!({"id": chat, "text": text}), &mut |line| {
            deltas.extend(line["message"].as_array().cloned().unwrap_or_default());
            if line["problem"].is_object() {
                deltas.push(json!({"kind": "problem", "problem": line["problem"]}));
            }
            true
        });
        deltas
    }

    /// Uploads a data file; gives its handle.
    pub fn upload(&self, name: &str, bytes: &[u8]) -> String {
        let (status, value) = self.answer(&format!("/api/upload?name={name}"), bytes);
        assert_eq!(status, 200, "{value}");
        value["handle"].as_str().unwrap().to_owned()
    }

    /// A folder on the server's side with copies of another's files: its handle and path.
    pub fn folder(&self, from: &Path) -> (String, PathBuf) {
        let (status, made) = self.answer("/api/folder", b"");
        assert_eq!(status, 200, "{made}");
        let path = PathBuf::from(made["path"].as_str().unwrap());
        for entry in std::fs::read_dir(from).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            std::fs::copy(entry.path(), path.join(entry.file_name())).unwrap();
        }
        (made["handle"].as_str().unwrap().to_owned(), path)
    }

    /// The bundled model as a stack.
    pub fn starter(&self) -> Value {
        let stacks = self.ok("list_stacks", json!({}));
        stacks.as_array().unwrap().iter().find(|view| view["stack"]["model"]["name"] == "starter").unwrap()["stack"]
            .clone()
    }

    /// A chat with one model.
    pub fn chat(&self, stack: &Value) -> String {
        self.ok("create_chat", json!({"stacks": [stack]}))["id"].as_str().unwrap().to_owned()
    }

    /// Asks the bundled model something: the server still does what it is there for.
    pub fn still_answers(&self) {
        let deltas = self.ask(&self.chat(&self.starter()), "Hello");
        assert_eq!(deltas.last().unwrap()["kind"], "done", "{deltas:?}");
    }

    /// Memory of the server's own process, in bytes.
    pub fn memory(&self) -> u64 {
        status_of(self.id(), "VmRSS:")
    }

    /// Its child processes.
    pub fn children(&self) -> Vec<u32> {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.filter(|id| parent_of(*id) == Some(self.id())).collect()
    }
}

/// A figure of a process in bytes.
pub fn status_of(id: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}

fn parent_of(id: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let zombie = status.lines().any(|line| line.starts_with("State:") && line.contains('Z'));
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok().filter(|_| !zombie)
}

/// Waits until something holds.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn head(reader: &mut BufReader<TcpStream>) -> u16 {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    while line.trim_end() != "" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    status
}
