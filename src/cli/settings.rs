//! `roundtrip settings` and `roundtrip restore`: what can be changed and broken while the server runs.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::remote::Remote;
use super::{CliError, DataDirFlag};
use crate::settings::runtime;

#[derive(Debug, Subcommand)]
pub enum SettingsVerb {
    /// List every setting with its value, its range and what it is for
    List {
        /// Only the faults
        #[arg(long)]
        faults: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// Show one setting's value
    Get {
        /// Such as balancer.policy
        key: String,
        #[command(flatten)]
        flags: Flags,
    },
    /// Change settings of the running server: all of them, or none if one does not fit
    Set {
        /// Such as balancer.policy=round_robin, or fault.instance.slow=300,instance=i2,for=60
        #[arg(value_name = "KEY=VALUE", required = true, value_parser = change)]
        changes: Vec<(String, Value)>,
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

/// Numbers, flags and objects are themselves; anything else is a text.
fn change(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    let plain = |value: &Value| value.is_number() || value.is_boolean() || value.is_object();
    let read = serde_json::from_str(value).ok().filter(plain);
    Ok((key.to_owned(), read.unwrap_or_else(|| json!(value))))
}

pub async fn settings(verb: SettingsVerb) -> Result<(), CliError> {
    match verb {
        SettingsVerb::List { faults, flags } => {
            let all = send(&flags.folder, &Map::new()).await?;
            let listed: Vec<Value> = all.into_iter().filter(|setting| !faults || setting["type"] == "fault").collect();
            if flags.json {
                println!("{}", json!({ "settings": listed }));
            } else {
                listed.iter().for_each(|setting| println!("{}", line(setting)));
            }
        }
        SettingsVerb::Get { key, flags } => {
            let all = send(&flags.folder, &Map::new()).await?;
            let found = all.into_iter().find(|setting| setting["key"] == key.as_str());
            let setting = found.ok_or_else(|| CliError::new(format!("{key}: {}", runtime::unknown(&key))))?;
            if flags.json { println!("{setting}") } else { println!("{}", value(&setting)) }
        }
        SettingsVerb::Set { changes, folder } => {
            let changes: Map<String, Value> = changes.into_iter().collect();
            let all = send(&folder, &changes).await?;
            let changed = |setting: &&Value| setting["key"].as_str().is_some_and(|key| changes.contains_key(key));
            all.iter().filter(changed).for_each(|setting| println!("{}", line(setting)));
        }
    }
    Ok(())
}

/// Ends every fault of the running server.
pub async fn restore(flags: &Flags) -> Result<(), CliError> {
    let answer: Value = Remote::find(&flags.folder)?.post("/api/control/restore", &json!({})).await?;
    if flags.json {
        println!("{answer}");
        return Ok(());
    }
    let ended: Vec<&str> = answer["ended"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match ended.is_empty() {
        true => println!("No fault was on."),
        false => println!("Ended in {} ms: {}.", answer["ms"], ended.join(", ")),
    }
    if answer["recorded"] == false {
        eprintln!("The console's database could not write it down; the server's log says why.");
    }
    Ok(())
}

async fn send(folder: &DataDirFlag, changes: &Map<String, Value>) -> Result<Vec<Value>, CliError> {
    let answer: Value = Remote::find(folder)?.post("/api/control/settings", changes).await?;
    let settings = answer["settings"].as_array().cloned();
    settings.ok_or_else(|| CliError::new("the server's answer holds no settings"))
}

/// `balancer.policy = p2c_peak_ewma (round_robin, …): what it is for`
fn line(setting: &Value) -> String {
    let default = plain(&setting["default"]);
    let (key, help) = (plain(&setting["key"]), plain(&setting["help"]));
    let takes = match setting["choices"].as_array() {
        Some(choices) => choices.iter().map(plain).collect::<Vec<_>>().join(", "),
        None if setting["type"] == "flag" => "true or false".to_owned(),
        None if setting["type"] == "fault" => {
            return format!("{key} = {} ({})\n    {help}", value(setting), fault_takes(setting));
        }
        None => format!("{} to {}", setting["min"], setting["max"]),
    };
    format!("{key} = {} ({takes}; default {default})\n    {help}", value(setting))
}

/// Its value as a person reads it, and as `set` takes it.
fn value(setting: &Value) -> String {
    let (value, unit) = (&setting["value"], setting["unit"].as_str());
    if setting["type"] != "fault" {
        return format!("{}{}", plain(value), unit.map(|unit| format!(" {unit}")).unwrap_or_default());
    }
    let Some(on) = value.as_object() else { return "off".to_owned() };
    let first = if setting["strength"].is_null() { "on".to_owned() } else { plain(&on["strength"]) };
    let mut parts = vec![first];
    parts.extend((on["probability"] != 100).then(|| format!("probability={}", on["probability"])));
    parts.extend((on["vary"] != 0).then(|| format!("vary={}", on["vary"])));
    let instances: Vec<&str> = on["instances"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    parts.extend((!instances.is_empty()).then(|| format!("instance={}", instances.join("+"))));
    for name in ["route", "role"] {
        parts.extend(on[name].as_str().map(|text| format!("{name}={text}")));
    }
    parts.push(format!("for={}", on["left_s"].as_f64().unwrap_or_default()));
    parts.join(",")
}

fn fault_takes(setting: &Value) -> String {
    let strength = &setting["strength"];
    let number = if strength.is_object() {
        let unit = strength["unit"].as_str().unwrap_or_default();
        format!("{} to {} {unit}", strength["min"], strength["max"])
    } else if setting["probable"] == true {
        "1 to 100 %".to_owned()
    } else {
        "on".to_owned()
    };
    let narrows = setting["narrows"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let narrows = narrows.map(|narrow| format!("{}=", narrow.trim_end_matches('s')));
    std::iter::once(format!("off, {number}")).chain(narrows).chain(["for=".to_owned()]).collect::<Vec<_>>().join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
