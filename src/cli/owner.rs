//! `roundtrip owner`: the owner's account without a browser.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::data_dir::DataDir;
use super::remote::Remote;
use super::{CliError, DataDirFlag};
use crate::domain::session::{Owner, name_refusal, password_refusal};
use crate::store::CONTROL_FILE;
use crate::store::control::{self, Control};
use crate::store::hasher::{Cost, Hasher};

#[derive(Debug, Subcommand)]
pub enum OwnerVerb {
    /// Make the owner's account
    Create(OwnerFlags),
    /// Give the owner a new name and password, and sign them out everywhere
    Reset(OwnerFlags),
    /// Print a new link for the set-up in the browser (of the running server)
    Link(DataDirFlag),
}

#[derive(Debug, Args)]
pub struct OwnerFlags {
    #[command(flatten)]
    folder: DataDirFlag,
    /// The owner's name
    #[arg(long, default_value = "owner")]
    name: String,
    /// Read the password from standard input (its first line)
    #[arg(long)]
    password_stdin: bool,
    /// Read the password from a file (its first line)
    #[arg(long, env = "ROUNDTRIP_OWNER_PASSWORD_FILE", value_name = "FILE", conflicts_with = "password_stdin")]
    password_file: Option<PathBuf>,
}

pub async fn owner(verb: OwnerVerb) -> Result<(), CliError> {
    match verb {
        OwnerVerb::Create(flags) => set(flags, false).await,
        OwnerVerb::Reset(flags) => set(flags, true).await,
        OwnerVerb::Link(folder) => {
            let answer: Value = Remote::find(&folder)?.post("/api/control/setup-link", &json!({})).await?;
            println!("{}", answer["url"].as_str().unwrap_or_default());
            Ok(())
        }
    }
}

async fn set(flags: OwnerFlags, reset: bool) -> Result<(), CliError> {
    if let Some(reason) = name_refusal(&flags.name) {
        return Err(CliError::new(format!("the name was not taken: {reason}")));
    }
    let password = read_password(&flags)?;
    if let Some(reason) = password_refusal(&password) {
        return Err(CliError::new(format!("the password was not taken: {reason}")));
    }
    let path = flags.folder.resolve()?;
    match DataDir::open(&path) {
        // Nobody runs on it: the folder is ours for a moment.
        Ok(folder) => set_in(&folder, &flags.name, &password, reset).await?,
        // A server holds it, so it does it for us.
        Err(held) => {
            let remote = Remote::find(&flags.folder).map_err(|_| held)?;
            let body = json!({ "name": flags.name, "password": password, "reset": reset });
            remote.post::<Value>("/api/control/owner", &body).await?;
        }
    }
    println!("The owner is {}.", flags.name);
    Ok(())
}

async fn set_in(folder: &DataDir, name: &str, password: &str, reset: bool) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::new(error.to_string());
    let path = folder.path().join(CONTROL_FILE);
    let control = Control::open(&path, control::Options::default()).map_err(|error| failed(&error))?;
    let exists = control.owner().await.map_err(|error| failed(&error))?.is_some();
    if exists != reset {
        return Err(CliError::new(if exists {
            "there is an owner already; use: roundtrip owner reset"
        } else {
            "there is no owner yet; use: roundtrip owner create"
        }));
    }
    let hasher = Hasher::start(Cost::default()).map_err(|error| failed(&error))?;
    let password_phc = hasher.hash(password).await.map_err(|error| failed(&error))?;
    let owner = Owner { name: name.to_owned(), password_phc };
    control.reset_owner(owner, "a command").await.map_err(|error| failed(&error))?;
    control.close().await.map_err(|error| failed(&error))
}

/// From a file, from standard input, or asked for twice without showing it.
fn read_password(flags: &OwnerFlags) -> Result<String, CliError> {
    if let Some(path) = &flags.password_file {
        let text =
            std::fs::read_to_string(path).map_err(|error| CliError::new(format!("{}: {error}", path.display())))?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    if flags.password_stdin {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(|error| CliError::new(error.to_string()))?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    if !std::io::stdin().is_terminal() {
        return Err(CliError::new("nobody to ask for a password; use --password-stdin or --password-file"));
    }
    let ask = |prompt: &str| rpassword::prompt_password(prompt).map_err(|error| CliError::new(error.to_string()));
    let password = ask("Password (15 characters or more): ")?;
    if ask("Once more: ")? != password {
        return Err(CliError::new("the two are not the same; nothing was changed"));
    }
    Ok(password)
}
