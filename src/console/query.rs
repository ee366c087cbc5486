//! The query of an address, read parameter by parameter, so that one answer names everything that is wrong.

use actix_web::web;

use super::caller::Call;
use crate::web::problem::{FieldError, Problem};

/// Unknown parameters that are named, and characters of each.
const UNKNOWN_NAMED_MAX: usize = 8;
const NAME_CHARS_MAX: usize = 64;

/// The parameters, taken out one by one. What is wrong is collected, not returned.
pub struct Query {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Query {
    pub fn of(call: &Call) -> Query {
        let given = web::Query::<Vec<(String, String)>>::from_query(call.request.query_string());
        let (given, errors) = match given {
            Ok(given) => (given.into_inner(), Vec::new()),
            Err(error) => (Vec::new(), vec![FieldError { pointer: String::new(), detail: error.to_string() }]),
        };
        Query { given, known: Vec::new(), errors }
    }

    /// A parameter; an empty one is none. `expected` says what it may be.
    pub fn take<T>(&mut self, name: &'static str, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        self.known.push(name);
        let mut values = self.given.iter().filter(|(given, value)| given == name && !value.is_empty());
        let (_, value) = values.next()?;
        let parsed = if values.next().is_some() { None } else { parse(value) };
        if parsed.is_none() {
            let detail = format!("{expected} is expected, once at most.");
            self.errors.push(FieldError { pointer: format!("/{name}"), detail });
        }
        parsed
    }

    /// A whole number from `min` to `max`.
    pub fn number(&mut self, name: &'static str, min: u64, max: u64) -> Option<u64> {
        let expected = format!("A whole number from {min} to {max}");
        self.take(name, &expected, |text| text.parse().ok().filter(|number| (min..=max).contains(number)))
    }

    /// A text of at most `chars_max` characters.
    pub fn text(&mut self, name: &'static str, chars_max: usize) -> Option<String> {
        let expected = format!("A text of at most {chars_max} characters");
        self.take(name, &expected, |text| (text.chars().count() <= chars_max).then(|| text.to_owned()))
    }

    /// Once everything has been taken: what is wrong, if anything is.
    pub fn end(mut self) -> Result<(), Problem> {
        let unknown = self.given.iter().filter(|(name, _)| !self.known.contains(&name.as_str()));
        let unknown: Vec<String> = unknown.map(|(name, _)| name.chars().take(NAME_CHARS_MAX).collect()).collect();
        for name in unknown.iter().take(UNKNOWN_NAMED_MAX) {
            self.errors.push(FieldError {
                pointer: format!("/{}", name.replace('~', "~0").replace('/', "~1")),
                detail: format!("There is no such parameter here. Known: {}.", self.known.join(", ")),
            });
        }
        if self.errors.is_empty() {
            return Ok(());
        }
        let detail = "Each wrong parameter is listed.";
        let mut problem = Problem::new(None, 400, "bad-query", "The query is not valid", detail);
        problem.errors = self.errors;
        Err(problem)
    }
}
