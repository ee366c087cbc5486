//! A fault that is on: how strong, how often, at whom, and until when.
//!
//! As JSON it is `false` when off; `true`, a number (the strength, or percent for one that has none) or an object
//! switches it on. As text, for the command line and files: `off`, `on`, `300`, and after a comma what narrows it
//! down: `300,instance=i2+i3,probability=50,for=60`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Effect, Fault, FaultKind, Narrow};
use crate::domain::permission::Role;
use crate::observe::clock::Tick;

/// How long a fault lasts when nobody says.
pub const FOR_DEFAULT: Duration = Duration::from_secs(120);
/// How long one can last.
pub const FOR_MAX: Duration = Duration::from_secs(60 * 60);
/// Most by which a delay varies, in percent.
const VARY_MAX: u64 = 100;
const INSTANCES_MAX: usize = 16;
const NAME_CHARS_MAX: usize = 200;

/// Whom a fault strikes; what is not named is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aim {
    /// Ids of instances (`i2`), or versions of the application (`v2`); empty is all.
    pub instances: Vec<String>,
    /// The beginning of a path.
    pub route: Option<String>,
    pub role: Option<Role>,
}

impl Aim {
    /// Whether it strikes everybody.
    pub fn is_everybody(&self) -> bool {
        self.instances.is_empty() && self.route.is_none() && self.role.is_none()
    }
}

/// A fault that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// In its row's unit; 0 for one that has no strength.
    pub strength: i64,
    /// Percent of the requests that it can strike; 1 to 100.
    pub probability: u8,
    /// Percent by which a delay varies, up and down.
    pub vary: u8,
    pub aim: Aim,
    pub since: Tick,
    pub until: Tick,
}

impl Spec {
    /// As its row begins, from now on.
    pub fn of(fault: Fault) -> Spec {
        let now = Tick::now();
        Spec {
            strength: fault.kind().strength.map_or(0, |strength| strength.default),
            probability: 100,
            vary: 0,
            aim: Aim::default(),
            since: now,
            until: now + FOR_DEFAULT,
        }
    }

    /// Reads a value as a row takes it; `Ok(None)` is off. The error says what it takes.
    pub fn read(fault: Fault, value: &Value) -> Result<Option<Spec>, String> {
        let kind = fault.kind();
        match value {
            Value::Null | Value::Bool(false) => Ok(None),
            Value::Bool(true) => Ok(Some(Spec::of(fault))),
            Value::Number(_) => read_number(fault, value),
            Value::String(text) => Spec::read(fault, &parse_text(kind, text)?),
            Value::Object(fields) => read_object(fault, fields),
            Value::Array(_) => Err(format!("takes {}", kind.takes())),
        }
    }

    /// As the control API shows it.
    pub fn shown(&self, now: Tick) -> Value {
        json!({
            "strength": self.strength,
            "probability": self.probability,
            "vary": self.vary,
            "instances": self.aim.instances,
            "route": self.aim.route,
            "role": self.aim.role,
            "since_s": now.since(self.since).as_secs(),
            "left_s": self.until.since(now).as_secs_f64().ceil(),
        })
    }
}

impl Spec {
    /// Whether it does the same, whenever it began and ends.
    pub fn does_as(&self, other: &Spec) -> bool {
        let Spec { since, until, .. } = *other;
        Spec { since, until, ..self.clone() } == *other
    }

    /// In few words: `300 ms, 50 % of the requests, at i2, for 120 s`.
    pub fn words(&self, fault: Fault) -> String {
        let mut words = Vec::new();
        words.extend(fault.kind().strength.map(|strength| format!("{} {}", self.strength, strength.unit)));
        words.extend((self.vary > 0).then(|| format!("± {} %", self.vary)));
        words.extend((self.probability < 100).then(|| format!("{} % of the requests", self.probability)));
        words.extend((!self.aim.instances.is_empty()).then(|| format!("at {}", self.aim.instances.join(" and "))));
        words.extend(self.aim.route.as_ref().map(|route| format!("for {route}")));
        words.extend(self.aim.role.map(|role| format!("as {}", role.id())));
        words.push(format!("for {} s", self.until.since(self.since).as_secs()));
        words.join(", ")
    }
}

impl FaultKind {
    /// What it takes, in words.
    pub fn takes(&self) -> String {
        let number = match (self.strength, self.probable) {
            (Some(s), _) => format!(", a whole number from {} to {} {}", s.min, s.max, s.unit),
            (None, true) => ", a share from 1 to 100 %".to_owned(),
            (None, false) => String::new(),
        };
        format!("on or off{number}, or those with what narrows it down")
    }
}

/// A bare number is what the fault's slider says.
fn read_number(fault: Fault, value: &Value) -> Result<Option<Spec>, String> {
    let kind = fault.kind();
    if value.as_i64() == Some(0) {
        return Ok(None);
    }
    let name = match (kind.strength, kind.probable) {
        (Some(_), _) => "strength",
        (None, true) => "probability",
        (None, false) => return Err(format!("takes {}", kind.takes())),
    };
    read_object(fault, &Map::from_iter([(name.to_owned(), value.clone())]))
}

fn read_object(fault: Fault, fields: &Map<String, Value>) -> Result<Option<Spec>, String> {
    let kind = fault.kind();
    let mut spec = Spec::of(fault);
    for (name, value) in fields {
        match (name.as_str(), kind) {
            // What the API shows can be sent back as it is.
            ("since_s" | "left_s", _) => {}
            (_, _) if value.is_null() => {}
            ("strength", FaultKind { strength: Some(s), .. }) => {
                let fits = value.as_i64().filter(|value| (s.min..=s.max).contains(value) && *value != 0);
                spec.strength = fits
                    .ok_or_else(|| format!("strength takes a whole number from {} to {} {}", s.min, s.max, s.unit))?;
            }
            ("strength", _) if value.as_i64() == Some(0) => {}
            ("probability", FaultKind { probable: true, .. }) => {
                spec.probability =
                    within(value, 1, 100).ok_or("probability takes a whole number from 1 to 100 %")? as u8;
            }
            ("probability", _) if value.as_i64() == Some(100) => {}
            ("vary", FaultKind { effect: Effect::Delay, .. }) => {
                spec.vary = within(value, 0, VARY_MAX).ok_or("vary takes a whole number from 0 to 100 %")? as u8;
            }
            ("vary", _) if value.as_i64() == Some(0) => {}
            ("instances", FaultKind { narrows, .. }) if narrows.contains(&Narrow::Instances) => {
                spec.aim.instances =
                    names(value).ok_or("instances takes a list of ids such as i2, or of versions such as v2")?;
            }
            ("instances", _) if value.as_array().is_some_and(Vec::is_empty) => {}
            ("route", FaultKind { narrows, .. }) if narrows.contains(&Narrow::Route) => {
                let path = value.as_str().filter(|path| path.starts_with('/') && path.len() <= NAME_CHARS_MAX);
                spec.aim.route =
                    Some(path.ok_or("route takes the beginning of a path, such as /api/v1/menu")?.to_owned());
            }
            ("role", FaultKind { narrows, .. }) if narrows.contains(&Narrow::Role) => {
                let role = value.as_str().and_then(Role::from_id).filter(|role| Role::BISTRO.contains(role));
                spec.aim.role = Some(role.ok_or("role takes guest, waiter, chef or manager")?);
            }
            ("for_s", _) => {
                let max = FOR_MAX.as_secs();
                let seconds = within(value, 1, max).ok_or_else(|| format!("for_s takes 1 to {max} seconds"))?;
                spec.until = spec.since + Duration::from_secs(seconds);
            }
            (name, _) => return Err(format!("has no {name}; it takes {}", kind.takes())),
        }
    }
    Ok(Some(spec))
}

fn within(value: &Value, min: u64, max: u64) -> Option<u64> {
    value.as_u64().filter(|value| (min..=max).contains(value))
}

fn names(value: &Value) -> Option<Vec<String>> {
    let list = value.as_array().filter(|list| list.len() <= INSTANCES_MAX)?;
    let name = |value: &Value| {
        value.as_str().filter(|name| !name.is_empty() && name.len() <= NAME_CHARS_MAX).map(str::to_owned)
    };
    list.iter().map(name).collect()
}

/// The short form in text as JSON.
fn parse_text(kind: &FaultKind, text: &str) -> Result<Value, String> {
    let mut parts = text.split(',').map(str::trim);
    let first = parts.next().unwrap_or_default();
    let mut fields = Map::new();
    match first {
        "off" | "false" => return Ok(json!(false)),
        "on" | "true" => {}
        number => {
            let value: i64 = number.parse().map_err(|_| format!("takes {}", kind.takes()))?;
            if value == 0 {
                return Ok(json!(false));
            }
            fields.insert(if kind.strength.is_some() { "strength" } else { "probability" }.to_owned(), json!(value));
        }
    }
    for part in parts {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("'{part}' must be NAME=VALUE"))?;
        let (name, value) = match name {
            "for" => ("for_s", number(value)),
            "instance" | "instances" => ("instances", json!(value.split('+').collect::<Vec<_>>())),
            "route" | "role" => (name, json!(value)),
            other => (other, number(value)),
        };
        fields.insert(name.to_owned(), value);
    }
    Ok(Value::Object(fields))
}

/// A number if it is one; what is none is refused by whoever reads it.
fn number(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fault: Fault, value: Value) -> Result<Option<Spec>, String> {
        Spec::read(fault, &value)
    }

    #[test]
    fn off_and_on_have_short_forms() {
        for off in [json!(false), json!(null), json!(0), json!("off"), json!("0")] {
            assert_eq!(read(Fault::DnsDelay, off), Ok(None));
        }
        for on in [json!(true), json!("on"), json!({})] {
            let spec = read(Fault::DnsDelay, on).expect("it fits").expect("on");
            assert_eq!(spec.strength, Fault::DnsDelay.kind().strength.expect("one").default);
            assert_eq!(spec.until.since(spec.since), FOR_DEFAULT);
        }
    }

    #[test]
    fn a_bare_number_is_what_the_slider_says() {
        assert_eq!(read(Fault::DnsDelay, json!(250)).map(|spec| spec.map(|spec| spec.strength)), Ok(Some(250)));
        assert_eq!(read(Fault::DnsServfail, json!(25)).map(|spec| spec.map(|spec| spec.probability)), Ok(Some(25)));
        assert!(read(Fault::TlsExpired, json!(25)).is_err());
    }

    #[test]
    fn text_narrows_a_fault_down() {
        let text = "640,instance=i2+v2,for=60,vary=20";
        let spec = read(Fault::InstanceSlow, json!(text)).expect("it fits").expect("on");
        assert_eq!((spec.strength, spec.vary), (640, 20));
        assert_eq!(spec.aim.instances, ["i2", "v2"]);
        assert_eq!(spec.until.since(spec.since), Duration::from_secs(60));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_does() {
        let bad = [
            (Fault::DnsDelay, json!(-1)),
            (Fault::DnsDelay, json!({ "strength": "much" })),
            (Fault::DnsDelay, json!({ "instances": ["i1"] })),
            (Fault::DnsDelay, json!({ "for_s": 0 })),
            (Fault::DnsDelay, json!({ "for_s": 1e9 })),
            (Fault::DnsServfail, json!(101)),
            (Fault::InstanceSlow, json!({ "instances": "i1" })),
            (Fault::ApiErrors, json!({ "role": "owner" })),
            (Fault::ApiErrors, json!({ "route": "menu" })),
            (Fault::TlsExpired, json!({ "surprise": 1 })),
            (Fault::TlsExpired, json!([1])),
        ];
        for (fault, value) in bad {
            assert!(read(fault, value.clone()).is_err(), "{} took {value}", fault.key());
        }
    }

    #[test]
    fn what_is_shown_can_be_sent_back() {
        for row in super::super::ROWS {
            let super::super::super::row::Field::Fault(kind) = &row.field else { continue };
            let shown = Spec::of(kind.fault).shown(Tick::now());
            let again = read(kind.fault, shown).unwrap_or_else(|why| panic!("{}: {why}", row.key)).expect("on");
            assert_eq!(again.strength, Spec::of(kind.fault).strength);
        }
    }
}
