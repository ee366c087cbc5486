//! `roundtrip data`: what a data folder holds, whether a server runs on it or not.

use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, Subcommand, ValueEnum};

use super::data_dir::DataDir;
use super::{CliError, DataDirFlag};
use crate::store::export::{self, ExportError};
use crate::store::generate;
use crate::store::verify::{self, Report, VerifyError};

/// Ends a command that was pointed at a folder that is none of ours.
const NO_DATA_FOLDER: u8 = 2;
/// Characters of the progress bar.
const BAR: u64 = 40;

#[derive(Debug, Subcommand)]
pub enum DataVerb {
    /// Check every rule against every row. Ends with 0 (all is well), 1 (something is broken) or 2 (no data folder)
    Verify {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: DataDirFlag,
    },
    /// Write the orders as text
    Export {
        /// The orders (there is nothing else to export yet)
        #[arg(long, required = true)]
        orders: bool,
        #[arg(long, value_enum, default_value_t = FormatFlag::Jsonl)]
        format: FormatFlag,
        /// Into this file, whole or not at all [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        folder: DataDirFlag,
    },
    /// Invent orders in a new folder, or in one that no server runs on
    Generate(GenerateFlags),
}

#[derive(Debug, Args)]
pub struct GenerateFlags {
    /// How many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=generate::ORDERS_MAX))]
    orders: u64,
    /// The same number invents the same orders
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    folder: DataDirFlag,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum FormatFlag {
    /// An order a line
    Jsonl,
    /// A line of an order a record
    Csv,
}

pub fn data(verb: DataVerb) -> Result<(), CliError> {
    match verb {
        DataVerb::Verify { json, folder } => verify(&folder.resolve()?, json),
        DataVerb::Export { format, output, folder, .. } => {
            let format = match format {
                FormatFlag::Jsonl => export::Format::Jsonl,
                FormatFlag::Csv => export::Format::Csv,
            };
            export(&folder.resolve()?, format, output.as_deref())
        }
        DataVerb::Generate(flags) => generate(&flags),
    }
}

fn verify(folder: &Path, json: bool) -> Result<(), CliError> {
    let report = verify::verify(folder).map_err(|error| {
        let none = matches!(error, VerifyError::NoDataFolder(_));
        CliError::new(error.to_string()).with_code(if none { NO_DATA_FOLDER } else { 1 })
    })?;
    say(&report, json)
}

/// Prints a report; one of something broken is an error, too.
pub fn say(report: &Report, json: bool) -> Result<(), CliError> {
    if json {
        println!("{}", serde_json::to_string(report).map_err(|error| CliError::new(error.to_string()))?);
    } else if report.ok {
        println!("{} orders, every rule holds (SHA-256 of their ids {})", report.orders, report.order_ids_sha256);
    }
    match report.wrong.split_first() {
        None => Ok(()),
        Some((first, [])) => Err(CliError::new(first)),
        Some((first, more)) => Err(CliError::new(format!("{first} (and {} more)", more.len()))),
    }
}

fn export(folder: &Path, format: export::Format, output: Option<&Path>) -> Result<(), CliError> {
    let Some(output) = output else {
        let written = export::export(folder, format, &mut BufWriter::new(io::stdout().lock()));
        return match written {
            // Whoever read it has seen enough.
            Err(ExportError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map(drop).map_err(refused),
        };
    };
    let bad = |error: io::Error| CliError::new(format!("{}: {error}", output.display()));
    let mut temporary = output.as_os_str().to_owned();
    temporary.push(".part");
    let temporary = PathBuf::from(temporary);
    let mut file = BufWriter::new(fs::File::create(&temporary).map_err(bad)?);
    let written = export::export(folder, format, &mut file).map_err(refused);
    let whole = written.and_then(|orders| {
        file.get_ref().sync_all().and_then(|()| fs::rename(&temporary, output)).map_err(bad)?;
        eprintln!("{orders} orders in {}", output.display());
        Ok(())
    });
    if whole.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    whole
}

fn refused(error: ExportError) -> CliError {
    let none = matches!(error, ExportError::NoDataFolder(_));
    CliError::new(error.to_string()).with_code(if none { NO_DATA_FOLDER } else { 1 })
}

fn generate(flags: &GenerateFlags) -> Result<(), CliError> {
    let folder = DataDir::open(&flags.folder.resolve()?)?;
    let (begun, bar) = (Instant::now(), io::stderr().is_terminal());
    let mut progress = |done: u64| {
        if bar {
            draw(done, flags.orders);
        }
    };
    let made = generate::generate(folder.path(), flags.orders, flags.seed, &mut progress);
    if bar {
        eprintln!();
    }
    let made = made.map_err(|error| CliError::new(error.to_string()))?;
    let (orders, deliveries, seconds) = (made.orders, made.deliveries, begun.elapsed().as_secs_f64());
    println!("{orders} orders and {deliveries} deliveries in {} ({seconds:.1} s)", folder.path().display());
    Ok(())
}

/// `[####------]  40 %  400000 of 1000000`
fn draw(done: u64, of: u64) {
    let full = usize::try_from(done * BAR / of.max(1)).unwrap_or_default();
    let empty = usize::try_from(BAR).unwrap_or_default() - full;
    let percent = done * 100 / of.max(1);
    eprint!("\r[{}{}] {percent:>3} %  {done} of {of}", "#".repeat(full), "-".repeat(empty));
    // A bar that does not show is no error.
    let _ = io::stderr().flush();
}
