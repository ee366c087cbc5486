//! `roundtrip trust`: has this system and its browsers trust the local authority, or no longer.
//!
//! Explicit, never by itself: [`store`] finds the places that hold trust and what is in them, [`plan`] says
//! what is to be done as a value, [`act`] does it step by step.

mod act;
mod plan;
mod store;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::{CliError, DataDirFlag};
use crate::tls::{CA_CERTIFICATE, CaCertificate};
use plan::Change;
use store::{Machine, Store};

#[derive(Debug, Subcommand)]
pub enum TrustVerb {
    /// Have this system and its browsers trust the authority
    Install(ChangeFlags),
    /// Undo what install did, and nothing else
    Uninstall(ChangeFlags),
    /// Write the authority's certificate (never its key) to standard output or a file
    Export {
        #[command(flatten)]
        folder: DataDirFlag,
        /// File to write
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct ChangeFlags {
    /// The authority's certificate [default: that of the data folder]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Which lists to change
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Which::All)]
    store: Which,
    /// Show the steps and take none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    folder: DataDirFlag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    All,
    /// The system's own list: curl, git, most programs
    System,
    /// The lists of Firefox and Chromium profiles
    Browsers,
}

/// The authority that is to be trusted, and the file that it was read from.
#[derive(Debug)]
struct Ca {
    path: PathBuf,
    pem: String,
    certificate: CaCertificate,
}

impl Ca {
    fn read(path: &Path) -> Result<Ca, CliError> {
        let bad = |why: &str| CliError::new(format!("{}: {why}", path.display()));
        let pem = fs::read_to_string(path)
            .map_err(|error| bad(&format!("{error}; the first start of the server makes it")))?;
        // A program that could have any authority trusted would be of use to others than its owner.
        let certificate = CaCertificate::read(&pem)
            .ok_or_else(|| bad("this is no authority of Roundtrip's, which vouch for private names alone"))?;
        Ok(Ca { path: path.canonicalize().map_err(|error| bad(&error.to_string()))?, pem, certificate })
    }

    /// What NSS lists it as.
    fn nickname(&self) -> &str {
        &self.certificate.name
    }

    /// Named by its fingerprint, so that two authorities don't get in each other's way.
    fn file_name(&self) -> String {
        let mark: String = self.certificate.fingerprint().chars().filter(|c| *c != ':').take(8).collect();
        format!("{}{}.crt", store::FILE_PREFIX, mark.to_ascii_lowercase())
    }
}

pub fn trust(verb: TrustVerb) -> Result<(), CliError> {
    match verb {
        TrustVerb::Export { folder, out } => export(&folder, out),
        TrustVerb::Install(flags) => change(Change::Install, &flags),
        TrustVerb::Uninstall(flags) => change(Change::Uninstall, &flags),
    }
}

fn export(folder: &DataDirFlag, out: Option<PathBuf>) -> Result<(), CliError> {
    let pem = Ca::read(&folder.resolve()?.join(CA_CERTIFICATE))?.pem;
    match out {
        Some(out) => fs::write(&out, pem).map_err(|error| CliError::new(format!("{}: {error}", out.display()))),
        None => {
            print!("{pem}");
            Ok(())
        }
    }
}

fn change(change: Change, flags: &ChangeFlags) -> Result<(), CliError> {
    let path = match &flags.ca {
        Some(path) => path.clone(),
        None => flags.folder.resolve()?.join(CA_CERTIFICATE),
    };
    let ca = Ca::read(&path)?;
    let machine = Machine::this();
    println!("{}\nSHA-256  {}\n", ca.certificate.name, ca.certificate.fingerprint());
    let mut stores = Vec::new();
    if flags.store != Which::Browsers {
        stores.extend(machine.system_store());
    }
    if flags.store != Which::System {
        stores.extend(machine.browser_stores());
    }
    for note in machine.notes(&ca, &stores, flags.store) {
        println!("note      {note}");
    }
    // All plans before the first step.
    let plans: Vec<_> = stores.iter().map(|store| (store, plan::plan(change, store, &ca))).collect();
    let mut failures = Vec::new();
    for (store, planned) in plans {
        let done = planned.and_then(|steps| run(change, store, &steps, flags.dry_run));
        if let Err(reason) = done {
            println!("failed    {}: {reason}", store.name);
            failures.push(advice(change, store, &ca, &reason));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(CliError::new(failures.join("; "))) }
}

fn run(change: Change, store: &Store, steps: &[plan::Step], dry_run: bool) -> Result<(), plan::Trouble> {
    if steps.is_empty() {
        let word = match change {
            Change::Install => "trusts it already",
            Change::Uninstall => "does not hold it",
        };
        println!("nothing   {} {word}", store.name);
        return Ok(());
    }
    if dry_run {
        steps.iter().for_each(|step| println!("would     {step}"));
        return Ok(());
    }
    act::act(steps, |step| println!("done      {step}"))
}

/// What went wrong, and the command that gets further, where there is one.
fn advice(change: Change, store: &Store, ca: &Ca, trouble: &plan::Trouble) -> String {
    if !trouble.wants_rights || !store.is_the_systems() {
        return format!("{}: {trouble}", store.name);
    }
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("roundtrip"));
    let verb = change.verb();
    let words = ["sudo", &program.to_string_lossy(), "trust", verb, "--store", "system", "--ca"].map(plan::quoted);
    let ca = plan::quoted(&ca.path.to_string_lossy());
    format!("changing {} takes an administrator's rights; run: {} {ca}", store.name, words.join(" "))
}
