//! The people who use a house.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Mutex;

use roundtrip::client::{Client, Connection, Failure, Outgoing};
use serde_json::Value;

use super::PATIENCE;
use super::reply::Reply;

/// A request about to be sent.
#[derive(Debug, Clone)]
pub struct Ask {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    pub fn new(method: &str, path: &str) -> Ask {
        Ask { method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn json(self, body: &Value) -> Ask {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Ask {
        self.body = body.into();
        self
    }
}

/// Somebody with a browser's manners: cookies are kept, and what changes something says where it is from.
#[derive(Debug)]
pub struct Person {
    client: Client,
    origin: String,
    always: Vec<(String, String)>,
    jar: Mutex<BTreeMap<String, String>>,
}

impl Person {
    pub fn at(client: Client, origin: String) -> Person {
        Person { client, origin, always: Vec::new(), jar: Mutex::default() }
    }

    /// With a header that is sent every time.
    pub fn sending(mut self, name: &str, value: &str) -> Person {
        self.always.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Name and value of each cookie, as `Cookie` carries them.
    pub fn cookies(&self) -> String {
        let jar = self.jar.lock().expect("the jar");
        jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// The same cookies in other hands.
    pub fn take_cookies_of(&self, other: &Person) {
        let cookies = other.jar.lock().expect("the jar").clone();
        *self.jar.lock().expect("the jar") = cookies;
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Ask::new("GET", path)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(self.fair("DELETE", path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.fair("POST", path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(self.fair("PUT", path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send(self.fair("PATCH", path).json(body)).await
    }

    /// A change as a page of this origin sends it.
    pub fn fair(&self, method: &str, path: &str) -> Ask {
        Ask::new(method, path).header("sec-fetch-site", "same-origin").header("origin", &self.origin)
    }

    /// Sends it with the cookies there are, and nothing else that was not asked for.
    pub async fn send(&self, ask: Ask) -> Reply {
        let mut headers = ask.headers;
        headers.extend(self.always.iter().cloned());
        self.send_bare(Ask { headers, ..ask }).await
    }

    /// As [`Person::send`], without the headers that are sent every time.
    pub async fn send_bare(&self, ask: Ask) -> Reply {
        self.try_send(ask).await.expect("an answer")
    }

    /// As [`Person::send_bare`], to a server that may be gone.
    pub async fn try_send(&self, ask: Ask) -> Result<Reply, Failure> {
        let mut headers = ask.headers;
        let cookies = self.cookies();
        if !cookies.is_empty() {
            headers.push(("cookie".to_owned(), cookies));
        }
        let outgoing = Outgoing {
            method: ask.method,
            headers,
            body: ask.body.into(),
            connection: Connection::Kept,
            timeout: PATIENCE,
            ..Outgoing::get(format!("{}{}", self.origin, ask.path))
        };
        let reply = Reply::from(self.client.send(outgoing).await?);
        self.keep_cookies(&reply);
        Ok(reply)
    }

    fn keep_cookies(&self, reply: &Reply) {
        let mut jar = self.jar.lock().expect("the jar");
        for cookie in reply.all("set-cookie") {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').expect("a cookie");
            if attributes.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// The owner at the console, signed in.
#[derive(Debug)]
pub struct Owner(pub Person);

impl Deref for Owner {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.0
    }
}
