//! `roundtrip settings`: what can be changed while the server runs.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::remote::Remote;
use super::{CliError, DataDirFlag};

#[derive(Debug, Subcommand)]
pub enum SettingsVerb {
    /// List every setting with its value, its range and what it is for
    List(DataDirFlag),
    /// Change settings of the running server: all of them, or none if one does not fit
    Set {
        /// Such as balancer.policy=round_robin
        #[arg(value_name = "KEY=VALUE", required = true, value_parser = change)]
        changes: Vec<(String, Value)>,
        #[command(flatten)]
        folder: DataDirFlag,
    },
}

/// Numbers and flags are themselves; anything else is a text.
fn change(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    let value = serde_json::from_str(value).ok().filter(|value: &Value| value.is_number() || value.is_boolean());
    Ok((key.to_owned(), value.unwrap_or_else(|| json!(text[key.len() + 1..]))))
}

pub async fn settings(verb: SettingsVerb) -> Result<(), CliError> {
    match verb {
        SettingsVerb::List(folder) => {
            let answer = send(&folder, &Map::new()).await?;
            for setting in answer["settings"].as_array().into_iter().flatten() {
                println!("{}", line(setting));
            }
        }
        SettingsVerb::Set { changes, folder } => {
            let changes: Map<String, Value> = changes.into_iter().collect();
            let answer = send(&folder, &changes).await?;
            let all = answer["settings"].as_array().into_iter().flatten();
            for setting in all.filter(|setting| setting["key"].as_str().is_some_and(|key| changes.contains_key(key))) {
                println!("{}", line(setting));
            }
        }
    }
    Ok(())
}

async fn send(folder: &DataDirFlag, changes: &Map<String, Value>) -> Result<Value, CliError> {
    Remote::find(folder)?.post("/api/control/settings", changes).await
}

/// `balancer.policy = p2c_peak_ewma (round_robin, …): what it is for`
fn line(setting: &Value) -> String {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let unit = setting["unit"].as_str().map(|unit| format!(" {unit}")).unwrap_or_default();
    let takes = match setting["choices"].as_array() {
        Some(choices) => choices.iter().map(plain).collect::<Vec<_>>().join(", "),
        None if setting["type"] == "flag" => "true or false".to_owned(),
        None => format!("{} to {}", setting["min"], setting["max"]),
    };
    let default = plain(&setting["default"]);
    let (key, help) = (plain(&setting["key"]), plain(&setting["help"]));
    format!("{key} = {}{unit} ({takes}; default {default})\n    {help}", plain(&setting["value"]))
}
