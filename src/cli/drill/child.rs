//! A server of this same program, as a process that can be killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{self, Command};

use super::super::CliError;
use super::super::remote::read_ca;
use super::super::run_file::RunFile;
use super::failed;
use crate::client::{Client, ClientConfig, Outgoing, Resolver, Roots};

/// A start that takes longer has failed.
const START_MAX: Duration = Duration::from_secs(120);

/// Dies with this value.
pub struct Child {
    process: process::Child,
    data: PathBuf,
}

/// Where it takes orders.
pub struct App {
    pub client: Client,
    pub url: String,
}

impl Child {
    /// Returns when it says that it listens.
    pub async fn start(data: &Path) -> Result<Child, CliError> {
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["serve", "--json", "--console-port", "0", "--app-port", "0", "--http-port", "0"]);
        command.args(["--dns-port", "0", "--backup-every", "off", "--data-dir"]).arg(data);
        // Neither roundtrip.toml nor variables of whoever runs the drill count.
        command.env_clear().current_dir(data);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().map_err(failed)?;
        let output = process.stdout.take().ok_or_else(|| failed("the server has no output"))?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(START_MAX, lines.next_line()).await.map_err(failed)?.map_err(failed)?;
        line.ok_or_else(|| failed(format!("the server did not start on {}", data.display())))?;
        Ok(Child { process, data: data.to_owned() })
    }

    pub fn app(&self) -> Result<App, CliError> {
        let run = RunFile::read(&self.data)?;
        let client = Client::new(ClientConfig {
            resolver: Resolver::at(run.dns),
            roots: Roots::Pem(read_ca(&run.ca)?),
            probe_key: None,
            ca_path: None,
            detail: false,
        });
        Ok(App { client: client.map_err(failed)?, url: run.app_named })
    }

    /// The moment at which a request was answered.
    pub async fn first_answer(&self) -> Result<Instant, CliError> {
        let app = self.app()?;
        let answer = app.client.send(Outgoing::get(format!("{}/api/v1/menu", app.url))).await;
        let answer = answer.map_err(|failure| failed(failure.message))?;
        match answer.status {
            200 => Ok(Instant::now()),
            status => Err(failed(format!("the first request was answered {status}"))),
        }
    }

    /// kill -9; the moment of it.
    pub async fn kill(mut self) -> Result<Instant, CliError> {
        self.process.start_kill().map_err(failed)?;
        let killed = Instant::now();
        // Its sockets and locks are free once it has been waited for.
        self.process.wait().await.map_err(failed)?;
        Ok(killed)
    }
}
