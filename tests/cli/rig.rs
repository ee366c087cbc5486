//! The built binary, in a folder of its own.
#![allow(dead_code, reason = "every test file uses a part of its own")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;

use roundtrip::client::{Client, ClientConfig, Resolver, Roots};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::PATIENCE;
use crate::harness::people::Person;

/// Flags that let the system choose every port.
pub const PORTS: [&str; 8] = ["--console-port", "0", "--app-port", "0", "--http-port", "0", "--dns-port", "0"];

/// Where one test's servers and commands run.
pub struct Place {
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, &'static str)>,
}

impl Place {
    pub fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a folder"), environment: Vec::new() }
    }

    /// With a variable in the environment of all that runs here.
    pub fn with(mut self, name: &'static str, value: &'static str) -> Place {
        self.environment.push((name, value));
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder, as it is by default.
    pub fn data(&self) -> PathBuf {
        self.path().join("roundtrip_data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roundtrip"));
        // Nothing of who runs the tests counts.
        command
            .env_clear()
            .envs(self.environment.iter().copied())
            .current_dir(self.path())
            .args(arguments)
            .stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.run_with("", arguments)
    }

    /// Runs a command to its end, with something to read.
    pub fn run_with(&self, input: &str, arguments: &[&str]) -> Done {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("an input");
        // Who has nothing to ask for may be gone already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        ended(child)
    }

    /// Starts a command and kills it when `patience` is over; whether it had ended by itself.
    pub fn kill_after(&self, arguments: &[&str], patience: std::time::Duration) -> bool {
        let mut child = self.command(arguments).spawn().expect("it starts");
        std::thread::sleep(patience);
        let over = child.try_wait().expect("a state").is_some();
        child.kill().expect("is killed");
        child.wait().expect("an end");
        over
    }

    /// Starts a server on free ports; returns when it says that it listens.
    pub fn serve(&self, more: &[&str]) -> Server {
        let json =
            if self.environment.iter().any(|(name, _)| *name == "ROUNDTRIP_JSON") { &[][..] } else { &["--json"] };
        let mut child = self.command(&[&["serve"], json, &PORTS[..], more].concat()).spawn().expect("it starts");
        let mut output = BufReader::new(child.stdout.take().expect("an output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        if line.is_empty() {
            panic!("{:?}", ended(child));
        }
        let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Server { child: Some(child), said, output }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Done {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn succeeded(self) -> Done {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// One line that says why, and a bad end.
    #[track_caller]
    pub fn refused(self, why: &str) -> Done {
        assert!(self.code.is_some_and(|code| code != 0), "{self:?}");
        assert_eq!(self.err.trim_end().lines().count(), 1, "{self:?}");
        assert!(self.err.contains(why), "{self:?}");
        self
    }
}

fn ended(child: Child) -> Done {
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(PATIENCE) else {
        signal(pid, Signal::KILL);
        panic!("it does not end");
    };
    let Output { status, stdout, stderr } = output.expect("an end");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    // Ended by a signal: as a shell would tell.
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    Done { code, out: text(stdout), err: text(stderr) }
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("is signalled");
}

/// A running server, and what its first line said.
pub struct Server {
    child: Option<Child>,
    pub said: Value,
    output: BufReader<std::process::ChildStdout>,
}

impl Server {
    pub fn text(&self, key: &str) -> &str {
        self.said[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", self.said))
    }

    pub fn port(&self, key: &str) -> u16 {
        self.text(key).rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port")
    }

    pub fn client(&self) -> Client {
        Client::new(ClientConfig {
            resolver: Resolver::at(self.text("dns").parse().expect("an address")),
            roots: Roots::Pem(std::fs::read(self.text("ca")).expect("the authority")),
            probe_key: None,
            ca_path: None,
            detail: false,
        })
        .expect("a client")
    }

    /// Somebody at the app.
    pub fn visitor(&self) -> Person {
        Person::at(self.client(), self.text("app").to_owned())
    }

    /// Somebody at the console.
    pub fn stranger(&self) -> Person {
        Person::at(self.client(), self.text("console").to_owned()).sending("roundtrip-console", "1")
    }

    pub fn signal(&self, what: Signal) {
        signal(self.child.as_ref().expect("it runs").id(), what);
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Done {
        let mut done = ended(self.child.take().expect("it runs"));
        self.output.read_to_string(&mut done.out).expect("text");
        done
    }

    /// An orderly stop.
    #[track_caller]
    pub fn stop(self) -> Done {
        self.signal(Signal::TERM);
        let done = self.ended().succeeded();
        assert_eq!((done.out.as_str(), done.err.as_str()), ("", ""));
        done
    }
}

impl Drop for Server {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
