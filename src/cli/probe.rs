//! `roundtrip probe`: one request, and its journey in the terminal.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::remote::{Remote, read_ca};
use super::{CliError, DataDirFlag, waterfall};
use crate::client::{Answer, Client, ClientConfig, Connection, Failure, Outgoing, Resolver, Roots};
use crate::domain::permission::Role;
use crate::observe::assemble::{self, Parts};
use crate::observe::journey::Journey;
use crate::observe::kept::Why;
use crate::observe::part::ClientPart;

/// Patience for the whole request.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub struct ProbeFlags {
    /// A path of the running server's app (/api/v1/menu), or any http or https URL
    #[arg(value_name = "URL|PATH")]
    target: String,
    /// DNS server to ask [default: the running server's for its own app, else the system's]
    #[arg(long, value_name = "IP:PORT")]
    dns: Option<SocketAddr>,
    /// Certificate authority to trust, a PEM file [default: the running server's for its own app, else the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Open a new connection. A probe always does, so that DNS and TLS show; scripts may say it all the same
    #[arg(long)]
    fresh: bool,
    /// Send it twice, on two connections, and show the second, which resumes the TLS session of the first
    #[arg(long)]
    resume: bool,
    /// Send it as guest, waiter, chef or manager
    #[arg(long = "as", value_name = "ROLE", value_parser = role)]
    role: Option<Role>,
    #[arg(long, default_value = "GET")]
    method: String,
    /// File with the body; - for standard input. JSON unless a header says otherwise
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    #[command(flatten)]
    folder: DataDirFlag,
    /// Print the journey as JSON
    #[arg(long)]
    json: bool,
}

pub fn role(id: &str) -> Result<Role, String> {
    let roles = || Role::BISTRO.into_iter();
    roles()
        .find(|role| role.id() == id)
        .ok_or_else(|| format!("the roles are {}", roles().map(Role::id).collect::<Vec<_>>().join(", ")))
}

pub async fn probe(flags: ProbeFlags) -> Result<(), CliError> {
    if flags.resume && !["GET", "HEAD"].contains(&flags.method.to_ascii_uppercase().as_str()) {
        return Err(CliError::new(format!("--resume sends it twice, which suits GET and HEAD, not {}", flags.method)));
    }
    let body = read_body(&flags)?;
    let path = flags.target.starts_with('/');
    // A URL of our own app is recognised too; without a readable folder it is any server.
    let remote = match Remote::find(&flags.folder) {
        Ok(remote) => app_url(&remote, &flags.target).map(|url| (remote, url)),
        Err(error) if path => return Err(error),
        Err(_) => None,
    };
    let (journey, failure) = match remote {
        Some((remote, url)) => through_the_app(&flags, &remote, url, body).await?,
        None => to_any_server(&flags, body).await?,
    };
    if flags.json {
        println!("{}", serde_json::to_string(&journey).map_err(|error| CliError::new(error.to_string()))?);
    } else {
        print!("{}", waterfall::text(&journey));
    }
    failure.map_or(Ok(()), |message| Err(CliError::new(message)))
}

/// An address of the app: the origin it is at, and what follows.
pub struct AppUrl {
    pub origin: String,
    pub rest: String,
}

/// None for what is not the app's.
pub fn app_url(remote: &Remote, target: &str) -> Option<AppUrl> {
    let at = |origin: &str, rest: &str| AppUrl { origin: origin.to_owned(), rest: rest.to_owned() };
    if target.starts_with('/') {
        return Some(at(&remote.run.app_named, target));
    }
    let below = |origin: &str| {
        let rest = target.strip_prefix(origin)?;
        (rest.is_empty() || rest.starts_with(['/', '?'])).then(|| at(origin, rest))
    };
    below(&remote.run.app).or_else(|| below(&remote.run.app_named))
}

/// All hops: the server merges its own spans with the ones recorded here.
async fn through_the_app(
    flags: &ProbeFlags,
    remote: &Remote,
    to: AppUrl,
    body: Vec<u8>,
) -> Result<(Journey, Option<String>), CliError> {
    // Before a session is minted that nobody would use.
    let client = remote.probing_client(flags.dns, flags.ca.as_deref())?;
    let mut headers = Vec::new();
    let role = flags.role.unwrap_or(Role::Guest);
    let session: Value = remote.post("/api/control/sessions", &json!({ "role": role.id() })).await?;
    if let Some(cookie) = session["cookie"].as_str() {
        headers.push(("cookie".to_owned(), cookie.to_owned()));
        headers.push(("origin".to_owned(), to.origin.clone()));
    }
    let url = format!("{}{}", to.origin, to.rest);
    let request = Outgoing { sent_as: Some(role.id().to_owned()), ..outgoing(flags, url, headers, body) };
    let (part, failure) = outcome(send(&client, request).await);
    let journey = remote.post("/api/control/journeys", &part).await?;
    Ok((journey, failure))
}

/// The client's spans, and what the server's `Server-Timing` tells.
async fn to_any_server(flags: &ProbeFlags, body: Vec<u8>) -> Result<(Journey, Option<String>), CliError> {
    if let Some(role) = flags.role {
        let why = "only the server of a readable data folder makes sessions";
        return Err(CliError::new(format!("--as {}: {why}; name it with --data-dir", role.id())));
    }
    let roots = match &flags.ca {
        Some(path) => Roots::Pem(read_ca(path)?),
        None => Roots::System,
    };
    let client = Client::new(ClientConfig {
        resolver: flags.dns.map_or_else(Resolver::system, Resolver::at),
        roots,
        probe_key: None,
        ca_path: flags.ca.clone(),
        detail: true,
    });
    let client = client.map_err(|error| CliError::new(error.to_string()))?;
    let sent = send(&client, outgoing(flags, flags.target.clone(), Vec::new(), body)).await;
    let timing = sent.as_ref().ok().and_then(|answer| answer.header("server-timing")).map(str::to_owned);
    let (mut part, failure) = outcome(sent);
    if let (Some(timing), Some(root)) = (timing, part.spans.first_mut()) {
        root.attributes.push((waterfall::SERVER_TIMING.into(), timing.into()));
    }
    Ok((assemble::journey(Parts { client: Some(part), ..Parts::default() }, Why::Probe), failure))
}

async fn send(client: &Client, request: Outgoing) -> Result<Answer, Failure> {
    if request.resume
        && let Err(failure) = client.send(Outgoing { probe: false, ..request.clone() }).await
    {
        // The one that is shown tells why.
        log::debug!("the request that was to earn a ticket: {failure}");
    }
    client.send(request).await
}

fn outcome(sent: Result<Answer, Failure>) -> (ClientPart, Option<String>) {
    match sent {
        Ok(answer) => (answer.part, None),
        Err(failure) => (*failure.part, Some(failure.message)),
    }
}

fn outgoing(flags: &ProbeFlags, url: String, mut headers: Vec<(String, String)>, body: Vec<u8>) -> Outgoing {
    if flags.body.is_some() {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    Outgoing {
        method: flags.method.to_ascii_uppercase(),
        headers,
        body: body.into(),
        connection: Connection::Fresh,
        resume: flags.resume,
        timeout: TIMEOUT,
        ..Outgoing::get(url)
    }
}

fn read_body(flags: &ProbeFlags) -> Result<Vec<u8>, CliError> {
    let read = match &flags.body {
        None => return Ok(Vec::new()),
        Some(path) if path.as_os_str() == "-" => {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes).map(|_| bytes)
        }
        Some(path) => std::fs::read(path),
    };
    read.map_err(|error| CliError::new(format!("--body: {error}")))
}
