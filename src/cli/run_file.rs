//! `run.json`: where the running server listens. Commands find it by the data folder.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::CliError;
use super::data_dir::{DataDir, write_private};

pub const NAME: &str = "run.json";

/// What a command needs to know of the running server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunFile {
    pub console: String,
    pub app: String,
    /// The app in plain HTTP, where that was asked for.
    #[serde(default)]
    pub app_http: Option<String>,
    pub http: String,
    pub dns: SocketAddr,
    pub ca: PathBuf,
    /// Holds a token that works once, so it is printed and never written.
    #[serde(skip_deserializing)]
    pub setup_url: Option<String>,
    pub data_dir: PathBuf,
    pub pid: u32,
    /// Where commands reach the console: by the name that the embedded DNS knows, whose certificate is the
    /// local authority's.
    pub control: String,
    /// The app's address by the name that the embedded DNS knows.
    pub app_named: String,
}

impl RunFile {
    /// What `serve --json` prints, in one line: these fields and no other, since scripts rely on it.
    /// `app_http` is there if it was asked for.
    pub fn announcement(&self) -> String {
        let RunFile { console, app, app_http, http, dns, ca, setup_url, data_dir, pid, .. } = self;
        let mut fields = json!({
            "console": console, "app": app, "http": http, "dns": dns,
            "ca": ca, "setup_url": setup_url, "data_dir": data_dir, "pid": pid,
        });
        if let Some(app_http) = app_http {
            fields["app_http"] = json!(app_http);
        }
        fields.to_string()
    }

    /// Writes it, without the set-up link.
    pub fn write(&self, folder: &DataDir) -> Result<(), CliError> {
        let without_token = RunFile { setup_url: None, ..self.clone() };
        let text = serde_json::to_string_pretty(&without_token).map_err(|error| CliError::new(error.to_string()))?;
        write_private(&folder.path().join(NAME), &text)
    }

    /// The server that runs on `folder`.
    pub fn read(folder: &Path) -> Result<RunFile, CliError> {
        let path = folder.join(NAME);
        let text = fs::read_to_string(&path).map_err(|_| {
            CliError::new(format!(
                "no server runs on {}; start it, or name its folder with --data-dir",
                folder.display()
            ))
        })?;
        serde_json::from_str(&text).map_err(|error| CliError::new(format!("{}: {error}", path.display())))
    }
}
