//! The cookie that brings a browser back to the same upstream. Ours alone: the upstream never sees it.

use hyper::HeaderMap;
use hyper::header::{COOKIE, HeaderValue};

/// `__Host-` where there is TLS: no other host of the domain can set it (RFC 6265bis, section 4.1.3.2).
const SECURE: &str = "__Host-rt_upstream";
const PLAIN: &str = "rt_upstream";

const fn name(secure: bool) -> &'static str {
    if secure { SECURE } else { PLAIN }
}

/// Takes the cookie out of a request's head; what it says. There twice, it is nobody's. Expects `Cookie` to be
/// one field.
pub fn take(headers: &mut HeaderMap, secure: bool) -> Option<String> {
    let header = headers.get(COOKIE)?.to_str().ok()?;
    if !header.contains(PLAIN) {
        return None;
    }
    let is_ours = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| name == SECURE || name == PLAIN);
    let (ours, others): (Vec<&str>, Vec<&str>) = header.split(';').map(str::trim).partition(is_ours);
    let mut said = ours.iter().filter_map(|pair| pair.split_once('=')).filter(|(other, _)| *other == name(secure));
    let token = said.next().map(|(_, token)| token.to_owned()).filter(|_| said.next().is_none());
    let rest = HeaderValue::try_from(others.join("; ")).ok();
    match rest.filter(|_| !others.is_empty()) {
        Some(rest) => headers.insert(COOKIE, rest),
        None => headers.remove(COOKIE),
    };
    token
}

/// `Set-Cookie` for `token`, until the browser is closed. Lax: a link from elsewhere leads to the same
/// upstream too.
pub fn set(token: &str, secure: bool) -> Option<HeaderValue> {
    let attributes = if secure { "; Secure" } else { "" };
    HeaderValue::try_from(format!("{}={token}; Path=/; HttpOnly; SameSite=Lax{attributes}", name(secure))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(cookie: &'static str, secure: bool) -> (Option<String>, Option<String>) {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static(cookie));
        let token = take(&mut headers, secure);
        (token, headers.get(COOKIE).map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn it_is_taken_out_and_the_others_stay() {
        assert_eq!(taken("a=1; rt_upstream=x; b=2", false), (Some("x".into()), Some("a=1; b=2".into())));
        assert_eq!(taken("__Host-rt_upstream=x", true), (Some("x".into()), None));
        assert_eq!(taken("a=1", true), (None, Some("a=1".into())));
    }

    #[test]
    fn one_that_comes_twice_or_over_the_other_protocol_is_nobody_s() {
        assert_eq!(taken("rt_upstream=x; rt_upstream=y", false), (None, None));
        assert_eq!(taken("rt_upstream=x", true), (None, None));
    }
}
