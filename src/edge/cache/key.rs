//! What a stored response is found by: its address, and the request's fields that `Vary` names (RFC 9111,
//! sections 2 and 4.1).

use std::sync::Arc;

use hyper::header::{ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HOST, HeaderName, VARY};
use hyper::{HeaderMap, Uri};

use crate::web::list;

/// The address of a request whose head is made for an upstream: origin-form, its authority in `Host`.
pub fn of_request(headers: &HeaderMap, uri: &Uri, secure: bool) -> Arc<str> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    of(secure, host, target)
}

fn of(secure: bool, authority: &str, target: &str) -> Arc<str> {
    let mut key = String::with_capacity(8 + authority.len() + target.len());
    key.push_str(if secure { "https://" } else { "http://" });
    key.push_str(authority);
    key.make_ascii_lowercase();
    key.push_str(target);
    key.into()
}

/// The address as somebody wrote it; None where it is no absolute http address.
pub fn of_url(url: &str) -> Option<Arc<str>> {
    let uri: Uri = url.parse().ok()?;
    let secure = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    Some(of(secure, uri.authority()?.as_str(), uri.path_and_query().map_or("/", |target| target.as_str())))
}

/// Path and query of a key.
pub fn target(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once("://")?;
    rest.find('/').map(|at| &rest[at..])
}

/// The address that a `Location` in the answer to `key` means, if it has the same origin.
pub fn of_reference(key: &str, reference: &str) -> Option<Arc<str>> {
    let target = key.find("://").and_then(|at| key[at + 3..].find('/').map(|slash| at + 3 + slash))?;
    let origin = &key[..target];
    if reference.starts_with('/') && !reference.starts_with("//") {
        return of_url(&format!("{origin}{reference}"));
    }
    of_url(reference).filter(|other| other.strip_prefix(origin).is_some_and(|rest| rest.starts_with('/')))
}

/// The fields that a response was chosen by, and what the request had in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection(Vec<(HeaderName, Option<Vec<u8>>)>);

impl Selection {
    /// By what `response` says about `request`; None for `Vary: *`, which nothing matches.
    pub fn new(request: &HeaderMap, response: &HeaderMap) -> Option<Self> {
        let mut fields = Vec::new();
        for line in response.get_all(VARY) {
            for name in list::tokens(line.as_bytes()) {
                match name {
                    b"" => {}
                    b"*" => return None,
                    name => {
                        let name = HeaderName::from_bytes(name).ok()?;
                        let value = normal(request, &name);
                        fields.push((name, value));
                    }
                }
            }
        }
        Some(Self(fields))
    }

    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|(name, value)| normal(request, name) == *value)
    }

    /// The same fields of another request.
    pub fn of(&self, request: &HeaderMap) -> Self {
        Self(self.0.iter().map(|(name, _)| (name.clone(), normal(request, name))).collect())
    }

    /// What it takes in memory, roughly.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(_, value)| 64 + value.as_ref().map_or(0, Vec::len)).sum()
    }
}

/// A field's value in a form that two requests which mean the same share: its lines joined, no space around
/// commas, and for fields whose members have no order (weights say what is preferred) sorted in lower case.
fn normal(request: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let mut lines = request.get_all(name).iter().peekable();
    lines.peek()?;
    let joined = lines.map(|line| line.as_bytes()).collect::<Vec<_>>().join(&b","[..]);
    if joined.contains(&b'"') {
        // A comma may be part of a quoted string: taken as it stands.
        return Some(joined);
    }
    let mut members: Vec<&[u8]> = list::tokens(&joined).collect();
    if [ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE].contains(name) {
        let plain = |member: &&[u8]| member.to_ascii_lowercase().into_iter().filter(|byte| *byte != b' ').collect();
        let mut plain: Vec<Vec<u8>> = members.iter().filter(|member| !member.is_empty()).map(plain).collect();
        plain.sort_unstable();
        return Some(plain.join(&b","[..]));
    }
    members.retain(|member| !member.is_empty());
    Some(members.join(&b","[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn an_address_is_the_same_in_whatever_case_its_host_is_written() {
        assert_eq!(of_url("https://A.example:1/B?c").as_deref(), Some("https://a.example:1/B?c"));
        assert_eq!(of_url("http://a").as_deref(), Some("http://a/"));
        assert_eq!((of_url("/a"), of_url("ftp://a/")), (None, None));
    }

    #[test]
    fn a_reference_counts_only_within_its_origin() {
        let key = "https://a:1/x?y";
        assert_eq!(of_reference(key, "/z").as_deref(), Some("https://a:1/z"));
        assert_eq!(of_reference(key, "https://A:1/z?q").as_deref(), Some("https://a:1/z?q"));
        for other in ["https://b:1/z", "http://a:1/z", "https://a:11/z", "//b/z", "z"] {
            assert_eq!(of_reference(key, other), None, "{other}");
        }
    }

    #[test]
    fn requests_that_mean_the_same_have_the_same_selection() {
        let languages =
            Selection::new(&head(&[("accept-language", "en, de;q=0.5")]), &head(&[("vary", "accept-language")]));
        let languages = languages.expect("no star");
        assert!(languages.matches(&head(&[("accept-language", "DE;q=0.5,en")])));
        assert!(!languages.matches(&head(&[("accept-language", "de, en;q=0.5")])) && !languages.matches(&head(&[])));
        let other = Selection::new(&head(&[("foo", "1, 2")]), &head(&[("vary", "Foo")])).expect("no star");
        assert!(other.matches(&head(&[("foo", "1,2")])) && !other.matches(&head(&[("foo", "2, 1")])));
        assert_eq!(Selection::new(&head(&[]), &head(&[("vary", "foo, *")])), None);
    }
}
