//! The few addresses that this client goes to.

use hyper::http::Uri;

/// An address that can't be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{url}' can't be requested: {why}")]
pub struct BadUrl {
    pub url: String,
    pub why: &'static str,
}

/// An absolute `http` or `https` address (RFC 9110, section 4.2), taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    pub https: bool,
    /// Lower case; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    /// What `Host` says: without the port where it is the scheme's own.
    pub authority: String,
    /// Path and query, as the request line carries them.
    pub target: String,
}

impl Url {
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let bad = |why| BadUrl { url: text.to_owned(), why };
        if text.contains('#') {
            return Err(bad("a fragment (#…) is never sent; leave it out"));
        }
        let uri: Uri = text.parse().map_err(|_| bad("it is no address"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("it must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("it carries a name or password, which would end up in logs"));
        }
        let host = authority.host().to_ascii_lowercase();
        let default_port = if https { 443 } else { 80 };
        let port = match (authority.port_u16(), authority.as_str().len() > authority.host().len()) {
            (Some(0), _) | (None, true) => return Err(bad("its port is not between 1 and 65535")),
            (Some(port), _) => port,
            (None, false) => default_port,
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if bare.is_empty() {
            return Err(bad("it names no host"));
        }
        let authority = if port == default_port { host } else { format!("{host}:{port}") };
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Ok(Self { https, host: bare, port, authority, target })
    }

    /// What connections are shared by (RFC 6454's origin).
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let url = Url::parse("https://Bistro.localhost:8444/api/v1/menu?q=a").expect("a url");
        assert_eq!((url.https, url.host.as_str(), url.port), (true, "bistro.localhost", 8444));
        assert_eq!((url.authority.as_str(), url.target.as_str()), ("bistro.localhost:8444", "/api/v1/menu?q=a"));
        let url = Url::parse("http://[::1]:80").expect("a url");
        assert_eq!((url.host.as_str(), url.authority.as_str(), url.target.as_str()), ("::1", "[::1]", "/"));
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        for bad in [
            "",
            "/menu",
            "bistro.localhost",
            "ftp://a/",
            "https://u:p@a/",
            "https://a/#token",
            "https://a:0/",
            "https://a:99999/",
            "https://a b/",
            "https:///x",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }
}
