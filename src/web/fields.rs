//! Bodies in JSON, checked field by field, so that one answer names everything that is wrong.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::problem::{FieldError, Problem};
use crate::observe::hop::Hop;

/// Nesting that a form's body may have. The deepest of ours, an order, needs three levels.
pub const DEPTH_MAX: usize = 8;

/// Unknown fields of one object that are named; more would make a long answer of a short request.
const UNKNOWN_NAMED_MAX: usize = 8;
/// Characters of an unknown field's name that are repeated.
const NAME_CHARS_MAX: usize = 64;

/// Reads a body as JSON of at most `depth_max` levels; `hop` is who refuses it.
pub fn json(hop: Option<Hop>, media_type: &str, bytes: &[u8], depth_max: usize) -> Result<Value, Problem> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let detail = "This takes a body with Content-Type: application/json.";
        return Err(Problem::new(hop, 415, "not-json", "Not JSON", detail));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(hop, 400, "bad-json", "Not valid JSON", format!("The body can't be read as JSON: {error}."))
    })?;
    if depth(&value) > depth_max {
        let detail = format!("The body nests more than {depth_max} levels.");
        return Err(Problem::new(hop, 400, "too-deep", "Nested too deeply", detail));
    }
    Ok(value)
}

/// Reads a body with `read`; `hop` is who refuses it.
pub fn parse<T>(
    hop: Option<Hop>,
    media_type: &str,
    bytes: &[u8],
    read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Result<T, Problem> {
    let value = json(hop, media_type, bytes, DEPTH_MAX)?;
    let mut errors = Vec::new();
    let value = Fields::object(&value, String::new(), &mut errors).and_then(|mut fields| fields.finish(read));
    match value {
        Some(value) if errors.is_empty() => Ok(value),
        _ => {
            let detail = "Nothing was changed. Each wrong field is listed.";
            let mut problem = Problem::new(hop, 422, "invalid-body", "The body is not valid", detail);
            problem.errors = errors;
            Err(problem)
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The members of an object, taken out one by one. What is wrong is collected, not returned.
pub struct Fields<'a> {
    members: &'a Map<String, Value>,
    pointer: String,
    taken: Vec<&'static str>,
    errors: &'a mut Vec<FieldError>,
}

impl<'a> Fields<'a> {
    fn object(value: &'a Value, pointer: String, errors: &'a mut Vec<FieldError>) -> Option<Self> {
        match value.as_object() {
            Some(members) => Some(Self { members, pointer, taken: Vec::new(), errors }),
            None => {
                errors.push(FieldError { pointer, detail: "An object is expected here.".to_owned() });
                None
            }
        }
    }

    /// Reads the members with `read`, then names those nobody asked for.
    fn finish<T>(&mut self, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Option<T> {
        let mut own = Fields {
            members: self.members,
            pointer: self.pointer.clone(),
            taken: Vec::new(),
            errors: &mut *self.errors,
        };
        let value = read(&mut own);
        let taken = std::mem::take(&mut own.taken);
        let unknown = self.members.keys().filter(|name| !taken.contains(&name.as_str()));
        for name in unknown.take(UNKNOWN_NAMED_MAX) {
            let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
            let escaped = shown.replace('~', "~0").replace('/', "~1");
            self.errors.push(FieldError {
                pointer: format!("{}/{escaped}", self.pointer),
                detail: match taken.is_empty() {
                    true => "No field is known here.".to_owned(),
                    false => format!("There is no such field here. Known: {}.", taken.join(", ")),
                },
            });
        }
        value
    }

    fn wrong<T>(&mut self, name: &str, detail: String) -> Option<T> {
        self.errors.push(FieldError { pointer: format!("{}/{name}", self.pointer), detail });
        None
    }

    fn member(&mut self, name: &'static str) -> Option<&'a Value> {
        self.taken.push(name);
        let value = self.members.get(name);
        if value.is_none() {
            self.wrong::<()>(name, "This field is missing.".to_owned());
        }
        value
    }

    /// Whether the member is there; for bodies that are one of several kinds.
    pub fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.member(name)?;
        match value.as_i64() {
            Some(number) if range.contains(&number) => Some(number),
            _ => self.wrong(name, format!("A whole number from {} to {} is expected.", range.start(), range.end())),
        }
    }

    /// A text of 1 to `chars_max` characters.
    pub fn text(&mut self, name: &'static str, chars_max: usize) -> Option<&'a str> {
        let value = self.member(name)?;
        match value.as_str() {
            Some(text) if !text.is_empty() && text.chars().count() <= chars_max => Some(text),
            _ => self.wrong(name, format!("A text of 1 to {chars_max} characters is expected.")),
        }
    }

    /// A text that `fits`; `detail` says what does.
    pub fn text_that(
        &mut self,
        name: &'static str,
        chars_max: usize,
        fits: impl FnOnce(&str) -> bool,
        detail: &str,
    ) -> Option<&'a str> {
        let text = self.text(name, chars_max)?;
        if fits(text) { Some(text) } else { self.wrong(name, detail.to_owned()) }
    }

    /// One of the texts in `choices`.
    pub fn one_of(
        &mut self,
        name: &'static str,
        choices: impl Iterator<Item = &'static str> + Clone,
    ) -> Option<&'static str> {
        let value = self.member(name)?;
        match choices.clone().find(|choice| value.as_str() == Some(choice)) {
            Some(choice) => Some(choice),
            None => self.wrong(name, format!("One of {} is expected.", choices.collect::<Vec<_>>().join(", "))),
        }
    }

    /// A list of one or several of the texts in `choices`, each at most once.
    pub fn some_of(
        &mut self,
        name: &'static str,
        choices: impl Iterator<Item = &'static str> + Clone,
    ) -> Option<Vec<&'static str>> {
        let value = self.member(name)?;
        let known = |item: &Value| choices.clone().find(|choice| item.as_str() == Some(choice));
        let chosen: Option<Vec<_>> = value.as_array().and_then(|items| items.iter().map(known).collect());
        let once = |chosen: &Vec<&str>| (1..chosen.len()).all(|at| !chosen[..at].contains(&chosen[at]));
        match chosen.filter(|chosen| !chosen.is_empty() && once(chosen)) {
            Some(chosen) => Some(chosen),
            None => {
                let choices = choices.collect::<Vec<_>>().join(", ");
                self.wrong(name, format!("A list of one or several of {choices} is expected, each once."))
            }
        }
    }

    /// True or false.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let value = self.member(name)?;
        match value.as_bool() {
            Some(flag) => Some(flag),
            None => self.wrong(name, "True or false is expected.".to_owned()),
        }
    }

    /// True, as a word of intent.
    pub fn yes(&mut self, name: &'static str) -> Option<()> {
        match self.flag(name)? {
            true => Some(()),
            false => self.wrong(name, "Only true has a meaning here.".to_owned()),
        }
    }

    /// A list of 1 to `count_max` objects, each read with `read`. None when any of them is wrong.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        count_max: usize,
        mut read: impl FnMut(&mut Fields<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.member(name)?;
        let Some(items) = value.as_array().filter(|items| (1..=count_max).contains(&items.len())) else {
            return self.wrong(name, format!("A list of 1 to {count_max} entries is expected."));
        };
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{}/{name}/{index}", self.pointer);
            let entry = Fields::object(item, pointer, self.errors).and_then(|mut fields| fields.finish(&mut read));
            values.extend(entry);
        }
        (values.len() == items.len()).then_some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<(i64, Vec<i64>), Problem> {
        parse(Some(Hop::Api), "application/json; charset=utf-8", body.as_bytes(), |fields| {
            let table = fields.integer("table", 1..=20);
            let lines = fields.list("lines", 3, |line| line.integer("quantity", 1..=9));
            Some((table?, lines?))
        })
    }

    fn pointers(body: &str) -> Vec<String> {
        read(body).map_or_else(|problem| problem.errors.into_iter().map(|e| e.pointer).collect(), |_| Vec::new())
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        assert_eq!(
            pointers(r#"{"table":0,"lines":[{"quantity":1},{"quantity":-1,"tip":1},7],"a/b":1}"#),
            ["/table", "/lines/1/quantity", "/lines/1/tip", "/lines/2", "/a~1b"]
        );
        assert_eq!(pointers("{}"), ["/table", "/lines"]);
        assert_eq!(pointers("[]"), [""]);
        assert_eq!(pointers(r#"{"table":1.5,"lines":[]}"#), ["/table", "/lines"]);
    }

    #[test]
    fn what_is_no_json_is_400_and_what_nests_without_end_too() {
        for body in ["", "{", "\u{0}", &"[".repeat(200), &format!("{}{}", "[".repeat(20), "]".repeat(20))] {
            assert_eq!(read(body).map_err(|problem| problem.status), Err(400), "{body}");
        }
        assert_eq!(parse(None, "text/plain", b"{}", |_| Some(())).map_err(|problem| problem.status), Err(415));
    }

    #[test]
    fn a_right_body_is_read() {
        assert_eq!(read(r#"{"table":4,"lines":[{"quantity":2}]}"#), Ok((4, vec![2])));
    }
}
