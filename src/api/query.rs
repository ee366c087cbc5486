//! The query of a list: read parameter by parameter, so that one answer names everything that is wrong; and
//! where the next page is.

use actix_web::http::header::LINK;
use actix_web::{HttpResponse, web};

use super::call::Call;
use super::cursor;
use crate::domain::page::{Cut, PAGE_MAX, Position};
use crate::observe::hop::Hop;
use crate::web::problem::{FieldError, Problem};

/// Entries in a page unless the query says how many.
const LIMIT: usize = 50;

/// The parameters of an address, taken out one by one. What is wrong is collected, not returned.
pub struct Query {
    path: String,
    given: Vec<(String, String)>,
    /// Those that decide what is in the list, as they are written.
    list: Vec<(&'static str, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Query {
    pub fn of(call: &Call) -> Query {
        let request = call.request();
        let given = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        let (given, errors) = match given {
            Ok(given) => (given.into_inner(), Vec::new()),
            Err(error) => (Vec::new(), vec![FieldError { pointer: String::new(), detail: error.to_string() }]),
        };
        Query { path: request.path().to_owned(), given, list: Vec::new(), known: Vec::new(), errors }
    }

    /// A parameter that narrows or sorts the list; `expected` says what it may be.
    pub fn parameter<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.take(name)?;
        let parsed = parse(&text);
        match parsed {
            Some(_) => self.list.push((name, text)),
            None => self.wrong(name, expected),
        }
        parsed
    }

    /// `limit` and `cursor`, once everything else is read; or what is wrong.
    pub fn cut(mut self, call: &Call) -> Result<(Cut, Pages), Problem> {
        let limit = self.take("limit").map(|text| {
            let limit = text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
            limit.unwrap_or_else(|| {
                self.wrong("limit", &format!("A whole number from 1 to {PAGE_MAX} is expected."));
                LIMIT
            })
        });
        let list = self.address();
        let after = self.take("cursor").and_then(|text| {
            let after = cursor::read(&list, &text);
            if after.is_none() {
                self.wrong("cursor", "Not a cursor of this list. Take `next` as it is, with the same filters.");
            }
            after
        });
        let unknown: Vec<String> = self
            .given
            .iter()
            .map(|(name, _)| name.clone())
            .filter(|name| !self.known.contains(&name.as_str()))
            .collect();
        for name in unknown.iter().take(8) {
            let shown: String = name.chars().take(64).collect();
            self.errors.push(FieldError {
                pointer: format!("/{}", shown.replace('~', "~0").replace('/', "~1")),
                detail: format!("There is no such parameter here. Known: {}.", self.known.join(", ")),
            });
        }
        if self.errors.is_empty() {
            return Ok((Cut { limit: limit.unwrap_or(LIMIT), after }, Pages { list, limit }));
        }
        let detail = "Each wrong parameter is listed.";
        let mut problem = Problem::new(Hop::Api, 400, "bad-query", "The query is not valid", detail);
        problem.errors = self.errors;
        Err(call.refused(problem))
    }

    fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut values = self.given.iter().filter(|(given, _)| given == name);
        let value = values.next().map(|(_, value)| value.clone())?;
        if values.next().is_some() {
            self.wrong(name, "Once at most.");
        }
        Some(value)
    }

    fn wrong(&mut self, name: &str, detail: &str) {
        self.errors.push(FieldError { pointer: format!("/{name}"), detail: detail.to_owned() });
    }

    /// The list's own address: the same list has the same, however the query was written.
    fn address(&self) -> String {
        let written =
            |value: &str| percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string();
        let parameters: Vec<_> = self.list.iter().map(|(name, value)| format!("{name}={}", written(value))).collect();
        format!("{}?{}", self.path, parameters.join("&"))
    }
}

/// Knows the address of a list's next page.
pub struct Pages {
    list: String,
    limit: Option<usize>,
}

impl Pages {
    /// What the document says of it: null on the last page.
    pub fn next(&self, position: Option<Position>) -> Option<String> {
        position.map(|position| cursor::write(&self.list, position))
    }

    /// The same as a link (RFC 8288).
    pub fn link(&self, mut response: HttpResponse, next: Option<&str>) -> HttpResponse {
        if let Some(cursor) = next {
            let limit = self.limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
            let parts = if self.list.ends_with('?') { "" } else { "&" };
            let link = format!("<{}{parts}cursor={cursor}{limit}>; rel=\"next\"", self.list);
            if let Ok(value) = link.parse() {
                response.headers_mut().insert(LINK, value);
            }
        }
        response
    }
}
