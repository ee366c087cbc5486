//! Logs: what the process says, on standard error and in a bounded tail that the console reads.
//!
//! `env_logger` filters and writes ([`mod@format`] makes its lines); [`install`] puts a tee before it that keeps the latest
//! lines in memory ([`mod@tail`]). Requests have lines of their own ([`access`]), which belong to their stack. Nothing here
//! is on a request's way but one count of the access log.

pub mod access;
pub mod format;
pub mod line;
pub mod plain;
pub mod sampler;
pub mod tail;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};

use env_logger::Env;
use log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};
use serde::Deserialize;

use access::AccessForm;
use line::Line;
use tail::Tail;

/// The target under which standard error gets the access log.
pub const ACCESS: &str = "access";
/// What standard error gets unless told otherwise.
const FILTER: &str = "warn";
/// What the tail keeps of our own modules, whatever standard error gets; of others, warnings.
const TAIL_LEVEL: LevelFilter = LevelFilter::Info;

/// How a line looks on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How the process logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogOptions {
    pub format: LogFormat,
    /// What standard error gets, in the words of `RUST_LOG`; None: what that variable says, or warnings.
    pub filter: Option<String>,
    pub access: AccessForm,
}

/// The process has one logger, whatever stacks it runs.
static TAIL: LazyLock<Tail> = LazyLock::new(Tail::default);
/// An [`AccessForm`], as a number.
static ACCESS_FORM: AtomicU8 = AtomicU8::new(AccessForm::Off as u8);

/// The latest lines of the process.
pub fn tail() -> &'static Tail {
    &TAIL
}

/// How requests are logged on standard error.
fn access_form() -> AccessForm {
    match ACCESS_FORM.load(Ordering::Relaxed) {
        form if form == AccessForm::Common as u8 => AccessForm::Common,
        form if form == AccessForm::Json as u8 => AccessForm::Json,
        _ => AccessForm::Off,
    }
}

/// Makes the logger of the process; once.
pub fn install(options: &LogOptions) -> Result<(), SetLoggerError> {
    let mut builder = env_logger::Builder::new();
    if options.access != AccessForm::Off {
        builder.filter_module(ACCESS, LevelFilter::Info);
    }
    match &options.filter {
        Some(filter) => builder.parse_filters(filter),
        None => builder.parse_env(Env::default().default_filter_or(FILTER)),
    };
    match options.format {
        LogFormat::Text => builder.format(format::text),
        LogFormat::Json => builder.format(format::json),
    };
    let stderr = builder.build();
    let max = stderr.filter().max(TAIL_LEVEL);
    log::set_boxed_logger(Box::new(Tee { stderr }))?;
    log::set_max_level(max);
    ACCESS_FORM.store(options.access as u8, Ordering::Relaxed);
    Ok(())
}

/// Standard error, and the tail.
struct Tee {
    stderr: env_logger::Logger,
}

/// Whether the tail wants it, though standard error may not. The access log has a tail of its own.
fn is_kept(metadata: &Metadata<'_>) -> bool {
    let level = if line::is_ours(metadata.target()) { TAIL_LEVEL } else { LevelFilter::Warn };
    metadata.level() <= level && metadata.target() != ACCESS
}

impl Log for Tee {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_kept(metadata) || self.stderr.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let written = self.stderr.matches(record);
        if is_kept(record.metadata()) || (written && record.target() != ACCESS) {
            TAIL.push(Line::of(record));
        }
        if written {
            self.stderr.log(record);
        }
    }

    fn flush(&self) {
        self.stderr.flush();
    }
}

/// The name of a level, as JSON and queries say it.
pub fn level_id(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}
