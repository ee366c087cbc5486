//! Talking to the running server: found by its data folder, proved by the key in it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::data_dir::read_control_key;
use super::run_file::RunFile;
use super::{CliError, DataDirFlag};
use crate::client::{Client, ClientConfig, Outgoing, Resolver, Roots};
use crate::web::probe::ProbeKey;
use crate::web::secret;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running server, as a command reaches it.
pub struct Remote {
    pub run: RunFile,
    client: Client,
    control_key: [u8; 32],
}

impl Remote {
    /// Finds the server that runs on the folder. Its certificate is checked against the folder's
    /// authority before the key is sent.
    pub fn find(folder: &DataDirFlag) -> Result<Remote, CliError> {
        let folder = folder.resolve()?;
        let run = RunFile::read(&folder)?;
        let control_key = read_control_key(&folder)?;
        let client = Client::new(ClientConfig {
            resolver: Resolver::at(run.dns),
            roots: Roots::Pem(read_ca(&run.ca)?),
            probe_key: None,
            ca_path: None,
            detail: false,
        })
        .map_err(|error| CliError::new(error.to_string()))?;
        Ok(Remote { run, client, control_key })
    }

    /// A client whose requests to the app are recorded in full. Who names no DNS server and no authority
    /// gets the server's own.
    pub fn probing_client(&self, dns: Option<SocketAddr>, ca: Option<&Path>) -> Result<Client, CliError> {
        let ca = ca.unwrap_or(&self.run.ca);
        let client = Client::new(ClientConfig {
            resolver: Resolver::at(dns.unwrap_or(self.run.dns)),
            roots: Roots::Pem(read_ca(ca)?),
            probe_key: Some(ProbeKey::new(&self.control_key)),
            ca_path: Some(ca.to_owned()),
            detail: true,
        });
        client.map_err(|error| CliError::new(error.to_string()))
    }

    /// POSTs `body` to a control address. What the server refuses becomes the error's text.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CliError> {
        self.post_within(PATIENCE, path, body).await
    }

    /// The same for what takes as long as there is data.
    pub async fn post_within<T: DeserializeOwned>(
        &self,
        patience: Duration,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CliError> {
        let body = serde_json::to_vec(body).map_err(|error| CliError::new(error.to_string()))?;
        let request = Outgoing {
            method: "POST".to_owned(),
            headers: vec![
                ("content-type".to_owned(), "application/json".to_owned()),
                ("authorization".to_owned(), format!("Roundtrip-Control {}", secret::hex(&self.control_key))),
                ("roundtrip-console".to_owned(), "1".to_owned()),
            ],
            body: body.into(),
            timeout: patience,
            ..Outgoing::get(format!("{}{path}", self.run.control))
        };
        let answer = self.client.send(request).await.map_err(|failure| {
            let place = self.run.data_dir.display();
            CliError::new(format!("the server of {place} can't be reached: {}", failure.message))
        })?;
        let text = if answer.body.is_empty() { &b"null"[..] } else { &answer.body[..] };
        let value: Value = serde_json::from_slice(text).map_err(|error| CliError::new(error.to_string()))?;
        if !(200..300).contains(&answer.status) {
            return Err(CliError::new(refusal(&value, answer.status)));
        }
        serde_json::from_value(value).map_err(|error| CliError::new(format!("the server's answer: {error}")))
    }
}

pub fn read_ca(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|error| CliError::new(format!("{}: {error}", path.display())))
}

/// A problem document in one line.
fn refusal(problem: &Value, status: u16) -> String {
    let fields = problem["errors"].as_array().into_iter().flatten().filter_map(|error| error["detail"].as_str());
    let fields: Vec<&str> = fields.collect();
    let detail = problem["detail"].as_str().unwrap_or("the server gave no reason");
    if fields.is_empty() { format!("{detail} ({status})") } else { format!("{detail} {} ({status})", fields.join(" ")) }
}
