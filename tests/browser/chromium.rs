//! Chromium and its driver: found, started, and gone when the tests are.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

const DRIVERS: [&str; 1] = ["chromedriver"];
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",
    // Where /dev/shm is small, as in containers, pages crash without it.
    "--disable-dev-shm-usage",
];

/// Where the two programs are.
pub struct Programs {
    driver: PathBuf,
    browser: PathBuf,
}

impl Programs {
    pub fn find() -> Option<Programs> {
        Some(Programs { driver: on_path(&DRIVERS)?, browser: on_path(&BROWSERS)? })
    }
}

fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = environment("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file())
}

/// Whether a run without a browser is a failure.
pub fn required() -> bool {
    environment("CI").is_some_and(|value| !value.is_empty())
}

#[allow(clippy::disallowed_methods, reason = "PATH and CI are the tests' own surroundings, not settings of the server")]
fn environment(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// A running driver with one browser.
pub struct Chromium {
    driver: Child,
    browser: Option<u32>,
    pub client: Client,
    _profile: TempDir,
}

impl Chromium {
    pub async fn start(programs: &Programs) -> Chromium {
        let mut driver = Command::new(&programs.driver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let address = format!("http://127.0.0.1:{}", port(&mut driver));
        let profile = TempDir::new().expect("a folder");
        let wishes = capabilities(programs, &profile);
        let client = ClientBuilder::new(HttpConnector::new()).capabilities(wishes).connect(&address).await;
        let client = client.unwrap_or_else(|error| {
            let _ = driver.kill();
            panic!("no session with Chromium: {error}")
        });
        let told = client.capabilities().and_then(|told| told.get("goog:processID")).and_then(Value::as_u64);
        Chromium { driver, browser: told.and_then(|id| u32::try_from(id).ok()), client, _profile: profile }
    }
}

impl Drop for Chromium {
    /// A driver that is killed leaves its browser running, so both are.
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(browser) = self.browser.and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            let _ = rustix::process::kill_process(browser, rustix::process::Signal::KILL);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The driver chooses a free port and says which in a sentence.
fn port(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines();
    let found = lines.find_map(|line| {
        let line = line.expect("a line of chromedriver");
        line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
    });
    // It goes on writing, and would be stopped by a pipe that nobody reads.
    std::thread::spawn(move || lines.for_each(drop));
    found.expect("chromedriver says its port")
}

fn capabilities(programs: &Programs, profile: &TempDir) -> serde_json::Map<String, Value> {
    let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
    arguments.push(format!("--user-data-dir={}", profile.path().display()));
    let wishes = json!({
        "browserName": "chrome",
        "acceptInsecureCerts": true,
        // Console and violations of the policy; and every request that leaves the browser.
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        "goog:chromeOptions": {
            "binary": programs.browser,
            "args": arguments,
            "perfLoggingPrefs": { "enableNetwork": true, "enablePage": false },
        },
    });
    let Value::Object(wishes) = wishes else { unreachable!("an object by its braces") };
    wishes
}
