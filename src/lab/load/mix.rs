//! What a load sends: kinds of requests, and how often each.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::template::{Data, SourceFile, Template};
use crate::client::Url;
use crate::client::lean::{Jar, Shape, field_name, is_field_value, is_target};
use crate::policy::random::{STEP, split_mix, weighted};
use crate::web::secret;

/// Kinds of requests in a mix.
const REQUESTS_MAX: usize = 32;
const HEADERS_MAX: usize = 32;
const NAME_CHARS_MAX: usize = 64;
/// A body, before it is filled in.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Why a mix can't be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMix(pub String);

/// A mix as it is written, in TOML or JSON.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixFile {
    #[serde(default)]
    pub data: BTreeMap<String, SourceFile>,
    pub request: Vec<RequestFile>,
}

/// One kind of request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestFile {
    /// For the figures [default: method and path].
    pub name: Option<String>,
    #[serde(default = "get")]
    pub method: String,
    pub path: String,
    #[serde(default = "one")]
    pub weight: f64,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    /// The role that it is sent as [default: a guest].
    #[serde(rename = "as")]
    pub role: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

fn one() -> f64 {
    1.0
}

impl RequestFile {
    /// A request without anything special.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            name: None,
            method: method.to_owned(),
            path: path.to_owned(),
            weight: 1.0,
            headers: BTreeMap::new(),
            body: None,
            role: None,
        }
    }
}

impl MixFile {
    /// Reads a file's text: JSON if it begins with a brace, else TOML.
    pub fn parse(text: &str) -> Result<Self, BadMix> {
        let read: Result<Self, String> = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())
        } else {
            toml::from_str(text).map_err(|error| error.to_string())
        };
        read.map_err(BadMix)
    }

    /// The roles that its requests are sent as.
    pub fn roles(&self) -> Vec<&str> {
        let mut roles: Vec<&str> = self.request.iter().filter_map(|request| request.role.as_deref()).collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }
}

/// Ready to be sent to one origin.
#[derive(Debug, Clone)]
pub struct Mix {
    data: Data,
    kinds: Vec<RequestKind>,
    weights: Vec<f64>,
    /// What each caller begins with: a guest's empty jar, then one for each role.
    jars: Vec<Jar>,
    seed: u64,
}

#[derive(Debug, Clone)]
struct RequestKind {
    name: String,
    shape: Shape,
    path: Template,
    /// Only those that differ from one request to the next.
    headers: Vec<(String, Template)>,
    body: Template,
    jar: usize,
}

impl Mix {
    /// `sessions`: the cookie of each role in it. The same seed makes the same requests in the same order.
    pub fn new(file: MixFile, url: &Url, sessions: &BTreeMap<String, String>, seed: u64) -> Result<Self, BadMix> {
        if file.request.is_empty() || file.request.len() > REQUESTS_MAX {
            return Err(BadMix(format!("a mix has 1 to {REQUESTS_MAX} kinds of requests")));
        }
        let run = secret::random_bytes().map_err(|error| BadMix(error.to_string()))?;
        let data = Data::new(file.data, u64::from_ne_bytes(run)).map_err(BadMix)?;
        let mut jars = vec![Jar::default()];
        let mut places = BTreeMap::new();
        for (role, cookie) in sessions {
            places.insert(role.as_str(), jars.len());
            jars.push(Jar::with(cookie));
        }
        let weights: Vec<f64> = file.request.iter().map(|request| request.weight).collect();
        if !weights.iter().all(|weight| (0.0..=1e6).contains(weight)) || weights.iter().sum::<f64>() <= 0.0 {
            return Err(BadMix("a weight is between 0 and 1000000, and one at least is more than 0".to_owned()));
        }
        let mut kinds = Vec::with_capacity(file.request.len());
        for request in file.request {
            let name = request.name.clone().unwrap_or_else(|| format!("{} {}", request.method, request.path));
            let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
            let jar = match &request.role {
                None => 0,
                Some(role) => *places
                    .get(role.as_str())
                    .ok_or_else(|| BadMix(format!("request '{name}': there is no session of a {role}")))?,
            };
            let kind = RequestKind::new(name.clone(), request, &data, url, jar);
            kinds.push(kind.map_err(|why| BadMix(format!("request '{name}': {why}")))?);
        }
        Ok(Self { data, kinds, weights, jars, seed: split_mix(seed) })
    }

    /// The names of its kinds, by their numbers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|kind| kind.name.as_str())
    }

    /// What each caller begins with.
    pub fn jars(&self) -> Vec<Jar> {
        self.jars.clone()
    }

    /// Writes request `number`.
    pub fn write(&self, draft: &mut Draft, jars: &[Jar], number: u64) {
        // Another stream of random numbers than the one that fills templates in.
        let random = split_mix(!self.seed.wrapping_add(number.wrapping_mul(STEP)));
        let chosen = weighted(&self.weights, random).unwrap_or_default();
        let kind = &self.kinds[chosen];
        kind.path.write(&mut draft.path, &self.data, self.seed, number);
        kind.body.write(&mut draft.body, &self.data, self.seed, number);
        draft.values.resize_with(kind.headers.len(), String::new);
        for ((_, template), value) in kind.headers.iter().zip(&mut draft.values) {
            template.write(value, &self.data, self.seed, number);
        }
        let names = kind.headers.iter().map(|(name, _)| name.as_str());
        let headers = names.zip(draft.values.iter().map(String::as_str));
        kind.shape.write(&mut draft.bytes, &draft.path, headers, &jars[kind.jar], draft.body.as_bytes());
        draft.kind = chosen;
        draft.jar = kind.jar;
        draft.no_body = kind.shape.is_head();
    }
}

/// A request in the making; its memory is used again for the next.
#[derive(Debug, Default)]
pub struct Draft {
    pub bytes: Vec<u8>,
    pub kind: usize,
    pub jar: usize,
    /// The answer has none.
    pub no_body: bool,
    path: String,
    body: String,
    values: Vec<String>,
}

impl RequestKind {
    fn new(name: String, request: RequestFile, data: &Data, url: &Url, jar: usize) -> Result<Self, String> {
        let path = Template::new(&request.path, data)?;
        // A part may be anything that can follow the slash.
        if !request.path.starts_with('/') || !path.all(data, |part| is_target(&format!("/{part}"))) {
            return Err(format!("the path '{}' must begin with / and have no spaces and no #", request.path));
        }
        if request.headers.len() > HEADERS_MAX {
            return Err(format!("at most {HEADERS_MAX} headers are possible"));
        }
        let (mut fixed, mut changing) = (Vec::new(), Vec::new());
        for (header, value) in &request.headers {
            let template = Template::new(value, data)?;
            if !template.all(data, is_field_value) {
                return Err(format!("the header '{header}' can't be sent; check it for stray characters"));
            }
            match template.fixed() {
                Some(text) => fixed.push((header.clone(), text.to_owned())),
                None => changing.push((field_name(header).map_err(|bad| bad.to_string())?, template)),
            }
        }
        let body = request.body.unwrap_or_default();
        if body.len() > BODY_BYTES_MAX {
            return Err(format!("a body has at most {BODY_BYTES_MAX} bytes"));
        }
        let typed = request.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        if !body.is_empty() && !typed {
            fixed.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let shape = Shape::new(&request.method, url, &fixed).map_err(|bad| bad.to_string())?;
        Ok(Self { name, shape, path, headers: changing, body: Template::new(&body, data)?, jar })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(text: &str) -> Result<Mix, BadMix> {
        let url = Url::parse("http://localhost:1/").expect("a url");
        Mix::new(MixFile::parse(text)?, &url, &BTreeMap::new(), 3)
    }

    fn paths(mix: &Mix, count: u64) -> Vec<String> {
        let (mut draft, jars) = (Draft::default(), mix.jars());
        let path = |number| {
            mix.write(&mut draft, &jars, number);
            draft.path.clone()
        };
        (0..count).map(path).collect()
    }

    #[test]
    fn kinds_come_as_often_as_their_weights_say_and_the_same_for_a_seed() {
        let text = "[[request]]\npath = '/a'\nweight = 9\n[[request]]\npath = '/b/{seq}'\n[[request]]\npath = '/c'\nweight = 0";
        let mix = mix(text).expect("a mix");
        let all = paths(&mix, 10_000);
        let share = |prefix: &str| all.iter().filter(|path| path.starts_with(prefix)).count();
        assert!((8_850..9_150).contains(&share("/a")), "{}", share("/a"));
        assert_eq!((share("/a") + share("/b"), share("/c")), (10_000, 0));
        assert_eq!(all, paths(&mix, 10_000));
    }

    #[test]
    fn json_says_the_same_as_toml() {
        let toml =
            "[data]\nn = { from = 1, to = 3 }\n[[request]]\nname = 'x'\npath = '/{n}'\nheaders = { accept = 'a' }";
        let json =
            r#"{"data":{"n":{"from":1,"to":3}},"request":[{"name":"x","path":"/{n}","headers":{"accept":"a"}}]}"#;
        let (toml, json) = (mix(toml).expect("TOML"), mix(json).expect("JSON"));
        assert_eq!(paths(&toml, 50), paths(&json, 50));
        assert_eq!(toml.names().collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn what_can_not_be_sent_is_refused_before_anything_is() {
        for (text, why) in [
            ("request = []", "1 to 32"),
            ("[[request]]\npath = 'a'", "must begin with /"),
            ("[[request]]\npath = '/a b'", "no spaces"),
            ("[data]\nw = ['a b']\n[[request]]\npath = '/{w}'", "no spaces"),
            ("[[request]]\npath = '/{nobody}'", "no data named 'nobody'"),
            ("[[request]]\npath = '/'\nweight = -1", "a weight"),
            ("[[request]]\npath = '/'\nweight = 0", "a weight"),
            ("[[request]]\npath = '/'\nas = 'waiter'", "no session of a waiter"),
            ("[[request]]\npath = '/'\nheaders = { host = 'other' }", "the client's own"),
            ("[[request]]\npath = '/'\nmethod = 'GET /'", "the method"),
            ("[[request]]\npath = '/'\nspeed = 3", "speed"),
            ("", "request"),
        ] {
            let refused = mix(text).expect_err(text);
            assert!(refused.to_string().contains(why), "{text}: {refused}");
        }
        let broken = r#"{"data":{"w":["a\r\nb"]},"request":[{"path":"/","headers":{"x":"{w}"}}]}"#;
        assert!(mix(broken).expect_err("is refused").to_string().contains("stray characters"));
    }
}
