//! `roundtrip token`: what scripts show instead of signing in.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::remote::Remote;
use super::{CliError, DataDirFlag};
use crate::domain::permission::Scope;
use crate::domain::token::DAYS_DEFAULT;

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Make a token and print it, this once
    Create {
        /// What it is for: changes made with it are written down under this name
        name: String,
        /// read, change, send: one or several, with commas between them
        #[arg(long = "scope", value_name = "SCOPES", value_delimiter = ',', default_value = "read", value_parser = scope)]
        scopes: Vec<Scope>,
        /// For how many days it works, 1 to 90
        #[arg(long, value_name = "N", default_value_t = DAYS_DEFAULT)]
        days: i64,
        #[command(flatten)]
        flags: Flags,
    },
    /// List the tokens, without what only their holders know
    List(Flags),
    /// End a token at once
    Revoke {
        /// As `token list` shows it
        id: u32,
        #[command(flatten)]
        folder: DataDirFlag,
    },
}

#[derive(Debug, Args)]
pub struct Flags {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: DataDirFlag,
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::from_id(text).ok_or_else(|| format!("it must be one of {}", Scope::ALL.map(Scope::id).join(", ")))
}

pub async fn token(verb: TokenVerb) -> Result<(), CliError> {
    match verb {
        TokenVerb::Create { name, scopes, days, flags } => {
            let body = json!({ "name": name, "scopes": scopes, "days": days });
            let made: Value = Remote::find(&flags.folder)?.post("/api/control/tokens/create", &body).await?;
            if flags.json {
                println!("{made}");
            } else {
                // The token alone, so that a script can take it from here.
                println!("{}", text(&made["token"]));
                eprintln!("It is not shown again. It works until {}.", text(&made["expires_at"]));
            }
        }
        TokenVerb::List(flags) => {
            let answer: Value = Remote::find(&flags.folder)?.post("/api/control/tokens/list", &json!({})).await?;
            let tokens: Vec<&Value> = answer["tokens"].as_array().into_iter().flatten().collect();
            if flags.json {
                println!("{answer}");
            } else if tokens.is_empty() {
                println!("There is no token.");
            }
            tokens.iter().filter(|_| !flags.json).for_each(|token| println!("{}", line(token)));
        }
        TokenVerb::Revoke { id, folder } => {
            let remote = Remote::find(&folder)?;
            remote.post::<Value>("/api/control/tokens/revoke", &json!({ "id": id })).await?;
            println!("The token {id} is revoked.");
        }
    }
    Ok(())
}

/// `3  ci  read change  until 2026-…  last used 2026-…`
fn line(token: &Value) -> String {
    let scopes: Vec<&str> = token["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let used = token["last_used_at"].as_str().map_or_else(|| "never used".to_owned(), |at| format!("last used {at}"));
    format!(
        "{}  {}  {}  until {}  {used}",
        token["id"],
        text(&token["name"]),
        scopes.join(" "),
        text(&token["expires_at"])
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
