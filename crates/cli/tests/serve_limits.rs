//! The browser host against greedy or hostile programs on the same machine: without the token they shut nobody out, and what
//! they send costs neither memory nor disk.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::alidade;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

struct Server {
    process: Child,
    home: tempfile::TempDir,
    port: u16,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended by itself needs no kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    fn start_in(home: tempfile::TempDir) -> Self {
        let resources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../resources");
        let mut command = alidade(&["serve", "--port", "0"]);
        command.env("ALIDADE_HOME", home.path()).env("ALIDADE_RESOURCES", resources);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let (place, token) = address.trim().split_once("/#token=").unwrap();
        let port = place.rsplit(':').next().unwrap().parse().unwrap();
        Self { process, home, port, token: token.to_owned() }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn head(&self, target: &str, length: u64) -> String {
        let (port, token) = (self.port, &self.token);
        format!(
            "POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n"
        )
    }

    /// Status and body.
    fn send(&self, request: &[u8]) -> (u16, String) {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            // A server that does not read a body to its end may reset what it has answered.
            Err(error) if error.kind() != ErrorKind::ConnectionReset || answer.is_empty() => panic!("{error}"),
            _ => {}
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
    }

    fn call(&self, name: &str, request: &Value) -> (u16, Value) {
        let body = request.to_string();
        let head = self.head(&format!("/api/call/{name}"), body.len() as u64);
        let (status, body) = self.send(format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn works(&self) {
        let (status, info) = self.call("app_info", &json!({}));
        assert!(status == 200 && info["version"].is_string(), "{status}: {info}");
    }

    fn uploads(&self) -> usize {
        std::fs::read_dir(self.home.path().join("uploads")).map_or(0, |entries| entries.count())
    }
}

#[test]
fn requests_that_nobody_finishes_shut_no_one_out() {
    let server = Server::start();
    let mut half: Vec<TcpStream> = Vec::new();
    for round in 0..3 {
        for _ in 0..150 {
            let mut stream = server.connect();
            // A connection that had to give way already takes no more.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1");
            half.push(stream);
        }
        server.works();
        assert!(half.len() == 150 * (round + 1));
    }
    // None of them stays for good: the last were let in and end by the time that a head is given.
    for mut stream in half {
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    }
    server.works();
}

#[test]
fn only_requests_to_this_very_address_are_heard() {
    let server = Server::start();
    let port = server.port;
    // A request that is heard is asked for its token.
    let status = |target: &str, hosts: &[&str]| {
        let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        server
            .send(format!("POST {target} HTTP/1.1\r\n{hosts}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
            .0
    };
    let (own, folder) = (format!("127.0.0.1:{port}"), "/api/folder");
    assert_eq!(status(folder, &[&own]), 401);
    assert_eq!(status(folder, &[&format!("localhost:{port}")]), 401);
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:1", &format!("{own}.evil.example"), &format!("evil@{own}")] {
        assert_eq!(status(folder, &[host]), 403, "{host}");
    }
    for hosts in [&[&own[..], "evil.example"][..], &["evil.example", &own], &[&own, &own], &[]] {
        assert_eq!(status(folder, hosts), 400, "{hosts:?}");
    }
    for target in [format!("http://{own}{folder}"), format!("http://evil.example{folder}")] {
        assert_eq!(status(&target, &[&own]), 400, "{target}");
    }
}

#[test]
fn the_token_is_asked_for_before_the_body() {
    let server = Server::start();
    let port = server.port;
    for target in ["/api/upload?name=a", "/api/call/app_info", "/api/stream/follow_run", "/api/folder"] {
        let head = format!("POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 500000000\r\n\r\n");
        assert_eq!(server.send(head.as_bytes()).0, 401, "{target}");
    }
    assert_eq!(server.uploads(), 0);
}

#[cfg(target_os = "linux")]
fn peak_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap().to_owned();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn uploads_go_to_the_disk_piece_by_piece() {
    let server = Server::start();
    server.works();
    let before = peak_kib(&server);
    let (piece, pieces) = (vec![b'x'; 1 << 20], 96u64);
    let mut stream = server.connect();
    let head = server.head("/api/upload?name=large.jsonl", pieces << 20);
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    (0..pieces).for_each(|_| stream.write_all(&piece).unwrap());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("handle"), "{answer}");
    let grown = peak_kib(&server) - before;
    assert!(grown < 32 << 10, "an upload of 96 MiB took {grown} KiB");
    let size = |path: &Path| walk(path).iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();
    assert_eq!(size(&server.home.path().join("uploads")), pieces << 20);
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let server = Server::start();
    let mut stream = server.connect();
    stream.write_all(format!("{}\r\n", server.head("/api/upload?name=half.jsonl", 1 << 20)).as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; 1 << 19]).unwrap();
    let limit = Instant::now() + Duration::from_secs(30);
    while server.uploads() == 0 && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(server.uploads(), 1, "it has begun");
    drop(stream);
    while server.uploads() > 0 && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(server.uploads(), 0, "what had come is removed");
    // Two that are refused before a byte is kept: too large for us, too large for any disk.
    for length in [2u64 << 30, u64::MAX] {
        let (status, body) = server.send(format!("{}\r\n", server.head("/api/upload?name=a", length)).as_bytes());
        assert!((400..=507).contains(&status), "{length}: {status} {body}");
    }
    assert_eq!(server.uploads(), 0);
    server.works();
}

/// A run that waits is followed by more listeners than there are places.
#[test]
fn listeners_leave_commands_their_threads() {
    let home = tempfile::tempdir().unwrap();
    // Whoever holds this lock tends the queue: the run stays queued, and its followers wait.
    let queue = std::fs::File::create(home.path().join("queue.lock")).unwrap();
    queue.lock().unwrap();
    let server = Server::start_in(home);
    let (_, presets) = server.call("list_presets", &json!({}));
    let preset = presets.as_array().unwrap()[0].clone();
    let (status, made) =
        server.call("create_experiment", &json!({"title": "t", "question": "", "stages": preset["stages"]}));
    assert_eq!(status, 200, "{made}");
    let (status, started) = server.call("start_experiment", &json!({"id": made["experiment"]["id"]}));
    assert_eq!(status, 200, "{started}");
    let run = started["runs"][0]["id"].clone();
    let body = json!({"run": run, "after": 0}).to_string();
    let request = format!("{}\r\n{body}", server.head("/api/stream/follow_run", body.len() as u64));
    let mut streams: Vec<TcpStream> = (0..80)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    let statuses: Vec<u16> = streams
        .iter_mut()
        .map(|stream| {
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).unwrap();
            line.split(' ').nth(1).unwrap().parse().unwrap()
        })
        .collect();
    let (followed, refused) = (statuses.iter().filter(|s| **s == 200).count(), statuses.iter().filter(|s| **s == 409));
    assert_eq!((followed, refused.count()), (64, 16), "{statuses:?}");
    server.works();
    let (status, _) = server.call("discard_run", &json!({"run": started["runs"][0]["id"]}));
    assert_eq!(status, 200);
}
