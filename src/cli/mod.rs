//! The command line.

mod backup;
mod certificates;
mod config;
mod data;
mod data_dir;
mod drill;
mod instances;
mod listen;
mod load;
mod logs;
mod metrics;
mod owner;
mod parts;
mod probe;
mod query;
mod remote;
mod run_file;
mod serve;
mod settings;
mod token;
mod traces;
mod trust;
mod waterfall;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::observe::log::{self as log_of_process, LogOptions};
use crate::settings::startup::{self, ServeFlags};

/// A whole backend in one binary that you can see through, break and measure, offline.
#[derive(Debug, Parser)]
#[command(name = "roundtrip", version, args_conflicts_with_subcommands = true)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: ServeFlags,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start the server (what happens without a command, too)
    Serve(ServeFlags),
    /// Send one request and show its journey
    Probe(probe::ProbeFlags),
    /// Send many requests at a rate of their own and show how long they took
    Load(Box<load::LoadFlags>),
    /// Make or reset the owner's account, for machines without a browser
    #[command(subcommand)]
    Owner(owner::OwnerVerb),
    /// List or change what can be changed while the server runs
    #[command(subcommand)]
    Settings(settings::SettingsVerb),
    /// End every fault of the running server
    Restore(settings::Flags),
    /// Make, list or revoke API tokens, for scripts
    #[command(subcommand)]
    Token(token::TokenVerb),
    /// List, add, empty or remove instances of the running server
    #[command(subcommand)]
    Instances(instances::InstancesVerb),
    /// Restart all instances, one after another
    Restart(instances::RestartFlags),
    /// Replace all instances by another version, and go back by itself if that proves worse
    Release(instances::ReleaseFlags),
    /// Show the metrics of the running server, or print a dashboard and alerting rules for them
    #[command(subcommand)]
    Metrics(metrics::MetricsVerb),
    /// Show the latest log lines of the running server, requests included
    Logs(logs::LogsFlags),
    /// Find requests among those whose journeys the running server has kept
    Traces(traces::TracesFlags),
    /// Check roundtrip.toml, or load it again
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Verify, export or invent the data of a folder
    #[command(subcommand)]
    Data(data::DataVerb),
    /// Make, check or restore backups, of a running server or of a stopped one's folder
    #[command(subcommand)]
    Backup(backup::BackupVerb),
    /// Lose everything in a temporary folder and get it back, and say what that cost
    Drill(drill::DrillFlags),
    /// The local certificate authority
    #[command(subcommand)]
    Trust(trust::TrustVerb),
}

/// Where a command finds the running server, or its data.
#[derive(Debug, Clone, Args)]
pub struct DataDirFlag {
    /// Folder of the server's data [default: ./roundtrip_data]
    #[arg(long, env = "ROUNDTRIP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl DataDirFlag {
    /// The folder that a server started here would use.
    fn resolve(&self) -> Result<PathBuf, CliError> {
        startup::data_dir(self.data_dir.clone(), Path::new(".")).map_err(|error| CliError::new(error.to_string()))
    }
}

/// A cause may quote a whole file.
const LINE_CHARS_MAX: usize = 600;

/// What a person reads when a command fails: one line, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{line}")]
pub struct CliError {
    line: String,
    code: u8,
}

impl CliError {
    fn new(reason: impl Into<String>) -> Self {
        // One line that a terminal only shows, whatever the cause's text holds.
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let mut line: String = reason.into().chars().map(plain).take(LINE_CHARS_MAX).collect();
        if line.chars().count() == LINE_CHARS_MAX {
            line.push('…');
        }
        Self { line, code: 1 }
    }

    /// Ends the program with another code than 1.
    fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// What the program ends with.
    pub fn code(&self) -> u8 {
        self.code
    }
}

/// Makes the process log as `options` say.
fn start_log(options: &LogOptions) -> Result<(), CliError> {
    log_of_process::install(options).map_err(|error| CliError::new(error.to_string()))
}

/// Runs one command to its end.
pub fn run(command: Command) -> Result<(), CliError> {
    if !matches!(command.verb, None | Some(Verb::Serve(_))) {
        // What a server logs is configured; it starts its log when it has read that.
        start_log(&LogOptions::default())?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(format!("the system gives no threads: {error}")))?;
    let done = runtime.block_on(async {
        match command.verb {
            None => serve::serve(command.serve).await,
            Some(Verb::Serve(flags)) => serve::serve(flags).await,
            Some(Verb::Probe(flags)) => probe::probe(flags).await,
            Some(Verb::Load(flags)) => load::load(*flags).await,
            Some(Verb::Owner(verb)) => owner::owner(verb).await,
            Some(Verb::Settings(verb)) => settings::settings(verb).await,
            Some(Verb::Restore(flags)) => settings::restore(&flags).await,
            Some(Verb::Token(verb)) => token::token(verb).await,
            Some(Verb::Instances(verb)) => instances::instances(verb).await,
            Some(Verb::Restart(flags)) => instances::restart(flags).await,
            Some(Verb::Release(flags)) => instances::release(flags).await,
            Some(Verb::Metrics(verb)) => metrics::metrics(verb).await,
            Some(Verb::Logs(flags)) => logs::logs(flags).await,
            Some(Verb::Traces(flags)) => traces::traces(flags).await,
            Some(Verb::Config(verb)) => config::config(verb).await,
            Some(Verb::Data(verb)) => data::data(verb),
            Some(Verb::Backup(verb)) => backup::backup(verb).await,
            Some(Verb::Drill(flags)) => drill::drill(flags).await,
            Some(Verb::Trust(verb)) => trust::trust(verb),
        }
    });
    // A copy that is under way on a thread of its own is not waited for: half of one is never taken for one.
    runtime.shutdown_background();
    done
}
