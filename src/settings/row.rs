//! One row of the table of settings: its key, what values it takes, and where its value lives.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::fault::{FaultKind, Spec};
use super::runtime::Snapshot;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;

/// Stations beside the line whose settings begin with their own id, and the hop that they stand beside.
pub const SIDE_STATIONS: [(&str, Hop); 4] =
    [("supplier", Hop::Service), ("instance", Hop::Balancer), ("instance", Hop::Service), ("clock", Hop::Data)];

/// One setting.
#[derive(Debug)]
pub struct Row {
    /// Starts with the hop's id, or with that of a station beside it ([`SIDE_STATIONS`]); a fault's with `fault.` before
    /// that.
    pub key: &'static str,
    pub hop: Hop,
    pub help: &'static str,
    /// Ids of the lesson's coverage (`layer.balancer`), or `operations`.
    pub lessons: &'static [&'static str],
    pub field: Field,
}

/// Where a setting's value lives in the snapshot, and what it takes.
#[derive(Debug)]
pub enum Field {
    Choice {
        choices: &'static [&'static str],
        get: fn(&Snapshot) -> &'static str,
        set: fn(&mut Snapshot, &str),
    },
    Flag(fn(&mut Snapshot) -> &mut bool),
    Count {
        field: fn(&mut Snapshot) -> &mut u64,
        min: u64,
        max: u64,
        unit: Option<&'static str>,
    },
    Millis {
        field: fn(&mut Snapshot) -> &mut Duration,
        min: u64,
        max: u64,
    },
    Seconds {
        field: fn(&mut Snapshot) -> &mut Duration,
        min: u64,
        max: u64,
    },
    /// Of at most `max` characters; the error of `check` says what it takes.
    Text {
        get: fn(&Snapshot) -> String,
        set: fn(&mut Snapshot, &str),
        check: fn(&str) -> Result<(), String>,
        max: usize,
    },
    Fault(FaultKind),
}

/// What values a setting takes, as the control API shows it.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Kind {
    Choice {
        choices: &'static [&'static str],
    },
    Flag,
    /// In the row's unit.
    Number {
        min: u64,
        max: u64,
    },
    /// Of at most so many characters; what else it takes, its help says.
    Text {
        max: usize,
    },
    Fault(FaultKind),
}

impl Row {
    pub const fn kind(&self) -> Kind {
        match self.field {
            Field::Choice { choices, .. } => Kind::Choice { choices },
            Field::Flag(_) => Kind::Flag,
            Field::Text { max, .. } => Kind::Text { max },
            Field::Fault(kind) => Kind::Fault(kind),
            Field::Count { min, max, .. } | Field::Millis { min, max, .. } | Field::Seconds { min, max, .. } => {
                Kind::Number { min, max }
            }
        }
    }

    pub const fn unit(&self) -> Option<&'static str> {
        match self.field {
            Field::Choice { .. } | Field::Flag(_) | Field::Text { .. } => None,
            Field::Count { unit, .. } => unit,
            Field::Millis { .. } => Some("ms"),
            Field::Seconds { .. } => Some("s"),
            Field::Fault(FaultKind { strength: Some(strength), .. }) => Some(strength.unit),
            Field::Fault(FaultKind { probable: true, .. }) => Some("%"),
            Field::Fault(_) => None,
        }
    }

    /// The value of this setting in `values`.
    pub fn value(&self, values: &Snapshot) -> Value {
        let mut values = values.clone();
        match self.field {
            Field::Choice { get, .. } => json!(get(&values)),
            Field::Flag(field) => json!(*field(&mut values)),
            Field::Text { get, .. } => json!(get(&values)),
            Field::Count { field, .. } => json!(*field(&mut values)),
            Field::Millis { field, .. } => json!(field(&mut values).as_millis() as u64),
            Field::Seconds { field, .. } => json!(field(&mut values).as_secs()),
            Field::Fault(kind) => {
                let now = Tick::now();
                let on = values.faults.get(kind.fault).filter(|spec| now < spec.until);
                on.map_or(Value::Bool(false), |spec| spec.shown(now))
            }
        }
    }

    /// Whether the two hold different values of it. A fault that is switched on again begins anew.
    pub fn differs(&self, a: &Snapshot, b: &Snapshot) -> bool {
        match self.field {
            Field::Fault(kind) => a.faults.get(kind.fault) != b.faults.get(kind.fault),
            _ => self.value(a) != self.value(b),
        }
    }

    /// Sets it to a value that [`Self::check`] has accepted.
    pub fn set(&self, values: &mut Snapshot, value: &Value) {
        let number = value.as_u64().unwrap_or_default();
        match self.field {
            Field::Choice { set, .. } | Field::Text { set, .. } => set(values, value.as_str().unwrap_or_default()),
            Field::Flag(field) => *field(values) = value.as_bool().unwrap_or_default(),
            Field::Count { field, .. } => *field(values) = number,
            Field::Millis { field, .. } => *field(values) = Duration::from_millis(number),
            Field::Seconds { field, .. } => *field(values) = Duration::from_secs(number),
            Field::Fault(kind) => values.faults.set(kind.fault, Spec::read(kind.fault, value).ok().flatten()),
        }
    }

    /// What it takes, in words.
    pub fn takes(&self) -> String {
        match self.kind() {
            Kind::Choice { choices } => format!("one of {}", choices.join(", ")),
            Kind::Flag => "true or false".to_owned(),
            Kind::Text { max } => format!("text of at most {max} characters"),
            Kind::Fault(kind) => kind.takes(),
            Kind::Number { min, max } => {
                let unit = self.unit().map(|unit| format!(" {unit}")).unwrap_or_default();
                format!("a whole number from {min} to {max}{unit}")
            }
        }
    }

    /// Whether this setting takes `value`; if not, what it takes.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match self.kind() {
            Kind::Choice { choices } => value.as_str().is_some_and(|value| choices.contains(&value)),
            Kind::Flag => value.is_boolean(),
            Kind::Text { max } => match (value.as_str(), &self.field) {
                (Some(text), Field::Text { check, .. }) if text.chars().count() <= max => return check(text),
                _ => false,
            },
            Kind::Fault(kind) => return Spec::read(kind.fault, value).map(drop),
            Kind::Number { min, max } => value.as_u64().is_some_and(|value| (min..=max).contains(&value)),
        };
        if fits { Ok(()) } else { Err(format!("takes {}", self.takes())) }
    }
}
