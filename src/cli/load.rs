//! `roundtrip load`: requests at a rate of their own, and how long they took.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::probe::{app_url, role};
use super::remote::{Remote, read_ca};
use super::{CliError, DataDirFlag};
use crate::client::lean::{Line, Origin, Reach};
use crate::client::{Client, ClientConfig, Resolver, Roots, Url};
use crate::domain::permission::Role;
use crate::lab::load::figures::Figures;
use crate::lab::load::mix::{Mix, MixFile, RequestFile};
use crate::lab::load::{self, BACKLOG_MAX, Plan, Running};
use crate::policy::arrivals::{Spacing, Stage};
use crate::settings::startup;

/// A session that is made for a role holds for five minutes.
const SESSION: Duration = Duration::from_secs(5 * 60);
/// Seconds between two lines where there is no terminal.
const LINE_EVERY: u64 = 5;
/// Characters of the progress bar.
const BAR: usize = 30;

#[derive(Debug, Args)]
pub struct LoadFlags {
    /// A path of the running server's app (/api/v1/menu), or any http or https URL of this machine
    #[arg(value_name = "URL|PATH")]
    target: String,
    /// Requests a second
    #[arg(long, value_name = "N", required_unless_present = "ramp")]
    rate: Option<f64>,
    /// For how long: 30s, 5m, 1h
    #[arg(long, value_parser = duration, requires = "rate", required_unless_present = "ramp")]
    duration: Option<Duration>,
    /// First go from one rate to another, such as 10..500/30s; several follow each other
    #[arg(long, value_name = "FROM..TO/TIME", value_parser = ramp)]
    ramp: Vec<Stage>,
    /// constant: evenly spaced. poisson: as many people come who don't know of each other
    #[arg(long, value_enum, default_value_t = ArrivalsFlag::Constant)]
    arrivals: ArrivalsFlag,
    /// Connections: requests under way at the same time, at most
    #[arg(long, value_name = "N", default_value_t = 32)]
    connections: usize,
    /// A new connection for each request
    #[arg(long)]
    fresh: bool,
    /// Threads that send: 1 or 2
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// What to send, and how often each: a TOML or JSON file (see data/docs/load.md)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "body", "headers"])]
    mix: Option<PathBuf>,
    #[arg(long, default_value = "GET")]
    method: String,
    /// File with the body. JSON unless a header says otherwise
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Patience for one request
    #[arg(long, value_parser = duration, default_value = "10s")]
    timeout: Duration,
    /// The same number sends the same requests at the same moments
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Send it as guest, waiter, chef or manager (for at most five minutes)
    #[arg(long = "as", value_name = "ROLE", value_parser = role)]
    role: Option<Role>,
    /// DNS server to ask [default: the running server's for its own app, else the system's]
    #[arg(long, value_name = "IP:PORT")]
    dns: Option<SocketAddr>,
    /// Certificate authority to trust, a PEM file [default: the running server's for its own app, else the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// text: for people. json: everything. csv: the seconds
    #[arg(long, value_enum, default_value_t = FormatFlag::Text)]
    format: FormatFlag,
    #[command(flatten)]
    folder: DataDirFlag,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ArrivalsFlag {
    Constant,
    Poisson,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatFlag {
    Text,
    Json,
    Csv,
}

/// `500ms`, `30s`, `5m`, `1h`; a number alone counts seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("'{text}' is no time; 500ms, 30s, 5m and 1h are");
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(bad()),
    };
    let seconds = number.parse::<f64>().map_err(|_| bad())? * factor;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or_else(bad)
}

fn ramp(text: &str) -> Result<Stage, String> {
    let parts = text.split_once('/').and_then(|(rates, time)| Some((rates.split_once("..")?, time)));
    let ((from, to), time) = parts.ok_or_else(|| format!("'{text}' is no ramp; 10..500/30s is"))?;
    let rate = |text: &str| text.parse::<f64>().map_err(|_| format!("'{text}' is no rate"));
    Ok(Stage { from: rate(from)?, to: rate(to)?, lasts: duration(time)? })
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::new(error.to_string())
}

pub async fn load(flags: LoadFlags) -> Result<(), CliError> {
    let plan = plan(&flags).await?;
    // One look before thousands are sent: a name that is wrong is told at once.
    let mut line = Line::new(Arc::clone(&plan.origin));
    let opened = tokio::time::timeout(plan.timeout, line.open()).await;
    opened.map_err(|_| CliError::new(format!("no connection within {:?}", plan.timeout)))?.map_err(failed)?;
    drop(line);
    let lasts = plan.lasts();
    let running = load::start(plan).map_err(failed)?;
    let report = follow(running, lasts).await?;
    match flags.format {
        FormatFlag::Text => print!("{}", report.text()),
        FormatFlag::Json => println!("{}", serde_json::to_string(&report).map_err(failed)?),
        FormatFlag::Csv => print!("{}", report.csv()),
    }
    let figures = &report.figures;
    match figures.why.values().next() {
        Some(why) if figures.answered == 0 => Err(CliError::new(format!("nothing was answered: {why}"))),
        _ => Ok(()),
    }
}

/// Shows how it goes. Ctrl-C ends it in order and the report tells what there is; a second one cuts it.
async fn follow(running: Running, lasts: Duration) -> Result<load::Report, CliError> {
    let (orders, mut figures, bar) = (running.orders(), running.figures(), io::stderr().is_terminal());
    let told = async {
        let mut seconds = 0_u64;
        while figures.changed().await.is_ok() {
            seconds += 1;
            let figures = figures.borrow_and_update().clone();
            if bar {
                draw(&figures, lasts);
            } else if seconds.is_multiple_of(LINE_EVERY) {
                eprintln!("{:.0} s  {}", figures.elapsed_s, figures.line());
            }
        }
    };
    let interrupts = async {
        let mut before = false;
        while tokio::signal::ctrl_c().await.is_ok() {
            if before {
                orders.abort();
            } else {
                orders.stop();
            }
            before = true;
        }
        std::future::pending::<()>().await;
    };
    let report = async {
        let (report, ()) = tokio::join!(running.report(), told);
        report
    };
    let report = tokio::select! {
        report = report => report,
        () = interrupts => None,
    };
    if bar {
        eprintln!();
    }
    report.ok_or_else(|| CliError::new("the load generator's threads ended before it did; see the log"))
}

/// `[####------]  40 %  200/s  p50 1.2 ms  …`
fn draw(figures: &Figures, lasts: Duration) {
    let share = (figures.elapsed_s / lasts.as_secs_f64()).clamp(0.0, 1.0);
    let full = (share * BAR as f64) as usize;
    let (marks, rest) = ("#".repeat(full), "-".repeat(BAR - full));
    // What is longer than this line was before is wiped out (ECMA-48, EL).
    eprint!("\r[{marks}{rest}] {:>3.0} %  {}\x1b[K", share * 100.0, figures.line());
    // A bar that does not show is no error.
    let _ = io::stderr().flush();
}

async fn plan(flags: &LoadFlags) -> Result<Plan, CliError> {
    let own = match Remote::find(&flags.folder) {
        Ok(remote) => app_url(&remote, &flags.target).map(|url| (remote, url)),
        Err(error) if flags.target.starts_with('/') => return Err(error),
        Err(_) => None,
    };
    let (origin, target, remote) = match own {
        Some((remote, to)) => {
            let client = client(flags, Some(&remote))?;
            let url = Url::parse(&format!("{}{}", to.origin, to.rest)).map_err(failed)?;
            let target = if to.rest.is_empty() { "/".to_owned() } else { to.rest };
            (Origin::new(&client, url, Reach::Anywhere, true), target, Some(remote))
        }
        None => {
            let url = Url::parse(&flags.target).map_err(failed)?;
            let allowed = startup::load_hosts(Path::new(".")).map_err(failed)?;
            let reach = if allowed.contains(&url.host) { Reach::Anywhere } else { Reach::Loopback };
            let target = url.target.clone();
            (Origin::new(&client(flags, None)?, url, reach, true), target, None)
        }
    };
    // Refused before anything but a question to DNS is sent.
    origin.addresses().await.map_err(failed)?;
    let file = requests(flags, target)?;
    let stages = flags.ramp.iter().copied();
    let steady = flags.rate.zip(flags.duration).map(|(rate, lasts)| Stage::steady(rate, lasts));
    let stages: Vec<Stage> = stages.chain(steady).collect();
    let sessions = sessions(&file, remote.as_ref(), stages.iter().map(|stage| stage.lasts).sum()).await?;
    Ok(Plan {
        mix: Mix::new(file, origin.url(), &sessions, flags.seed).map_err(failed)?,
        origin: Arc::new(origin),
        stages,
        spacing: match flags.arrivals {
            ArrivalsFlag::Constant => Spacing::Constant,
            ArrivalsFlag::Poisson => Spacing::Poisson,
        },
        seed: flags.seed,
        connections: flags.connections,
        keep_alive: !flags.fresh,
        threads: flags.threads,
        timeout: flags.timeout,
        backlog_max: BACKLOG_MAX,
    })
}

fn client(flags: &LoadFlags, remote: Option<&Remote>) -> Result<Client, CliError> {
    let roots = match (&flags.ca, remote) {
        (Some(path), _) => Roots::Pem(read_ca(path)?),
        (None, Some(remote)) => Roots::Pem(read_ca(&remote.run.ca)?),
        (None, None) => Roots::System,
    };
    let dns = flags.dns.or(remote.map(|remote| remote.run.dns));
    let resolver = dns.map_or_else(Resolver::system, Resolver::at);
    Client::new(ClientConfig { resolver, roots, probe_key: None, ca_path: None, detail: false }).map_err(failed)
}

/// The mix of the file, or the one request that the flags say.
fn requests(flags: &LoadFlags, target: String) -> Result<MixFile, CliError> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| CliError::new(format!("{}: {error}", path.display())))
    };
    let role = flags.role.filter(|role| *role != Role::Guest).map(|role| role.id().to_owned());
    if let Some(path) = &flags.mix {
        if target != "/" {
            return Err(CliError::new("a mix brings its own paths: give only the origin, or / for the running server"));
        }
        let file = MixFile::parse(&read(path)?);
        let mut file = file.map_err(|bad| CliError::new(format!("{}: {bad}", path.display())))?;
        for request in &mut file.request {
            request.role = request.role.take().or_else(|| role.clone());
        }
        return Ok(file);
    }
    let body = flags.body.as_deref().map(read).transpose()?;
    let headers = flags.headers.iter().cloned().collect();
    let request = RequestFile { headers, body, role, ..RequestFile::new(&flags.method.to_ascii_uppercase(), &target) };
    Ok(MixFile { request: vec![request], ..MixFile::default() })
}

/// A real session for each role that the requests are sent as.
async fn sessions(
    file: &MixFile,
    remote: Option<&Remote>,
    lasts: Duration,
) -> Result<BTreeMap<String, String>, CliError> {
    let mut sessions = BTreeMap::new();
    for role in file.roles() {
        let Some(remote) = remote else {
            let why = "only the server of a readable data folder makes sessions; name it with --data-dir";
            return Err(CliError::new(format!("as {role}: {why}")));
        };
        if lasts > SESSION {
            return Err(CliError::new(format!("as {role}: a session holds for {SESSION:?}; send for no longer")));
        }
        let session: Value = remote.post("/api/control/sessions", &json!({ "role": role })).await?;
        sessions.extend(session["cookie"].as_str().map(|cookie| (role.to_owned(), cookie.to_owned())));
    }
    Ok(sessions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ramps_are_read_as_people_write_them() {
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("30", 30_000), ("1.5m", 90_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "s", "0s", "-1s", "1d", "1e400", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(ramp("10..500/30s"), Ok(Stage { from: 10.0, to: 500.0, lasts: Duration::from_secs(30) }));
        for wrong in ["10", "10..20", "10/30s", "a..b/1s", "1..2/0s"] {
            assert!(ramp(wrong).is_err(), "{wrong}");
        }
    }
}
