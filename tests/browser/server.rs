//! The real binary, on ports and in a folder of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const LOG_LINES: usize = 30;

pub struct Server {
    child: Child,
    folder: TempDir,
    pub console: String,
    pub app: String,
    pub http: String,
    /// The link that the server prints while it has no owner.
    pub setup_url: Option<String>,
}

impl Server {
    /// As on the first start, in an empty folder.
    pub fn new() -> Server {
        Server::start(TempDir::new().expect("a folder"), &[])
    }

    /// As on a later start: the owner's account is there.
    pub fn with_owner(name: &str, password: &str) -> Server {
        Server::before(name, password, &[])
    }

    /// The same, with somebody's own service behind it; without any upstream, the restaurant.
    pub fn before(name: &str, password: &str, upstreams: &[SocketAddr]) -> Server {
        let folder = TempDir::new().expect("a folder");
        let mut making = program(&folder, &["owner", "create", "--name", name, "--password-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary starts");
        writeln!(making.stdin.take().expect("its input"), "{password}").expect("it reads the password");
        assert!(making.wait().expect("it ends").success(), "the owner is made");
        Server::start(folder, upstreams)
    }

    fn start(folder: TempDir, upstreams: &[SocketAddr]) -> Server {
        let log = File::create(folder.path().join("log")).expect("a log file");
        let ports = ["--console-port", "0", "--app-port", "0", "--http-port", "0", "--dns-port", "0"];
        let mut child = program(&folder, &["serve", "--json"])
            .args(ports)
            .args(upstreams.iter().map(|address| format!("--upstream=http://{address}")))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
        let text = |key: &str| ready[key].as_str().map(str::to_owned);
        let known = |key: &str| text(key).unwrap_or_else(|| panic!("no {key} in {line}"));
        let (console, app, http) = (known("console"), known("app"), known("http"));
        Server { child, folder, console, app, http, setup_url: text("setup_url") }
    }

    /// Writes the configuration that it finds when it is told to load it again; None takes it away.
    pub fn configure(&self, text: Option<&str>) {
        let file = self.folder.path().join("roundtrip.toml");
        match text {
            Some(text) => fs::write(file, text).expect("a file"),
            None => fs::remove_file(file).expect("a file less"),
        }
    }

    /// The end of what the server wrote to its standard error.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for Server {
    /// Nothing in the folder outlives the test, so an orderly stop would only take time.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without the environment of whoever runs the tests, whose settings the binary would take for its own.
fn program(folder: &TempDir, arguments: &[&str]) -> Command {
    let data: PathBuf = folder.path().join("data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_roundtrip"));
    command.args(arguments).arg("--data-dir").arg(data).current_dir(folder.path()).env_clear();
    command
}
