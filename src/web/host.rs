//! The Host allow-list: the answer to DNS rebinding is 421 (RFC 9110, section 15.5.20).

use hyper::http::uri::Authority;

use super::hsts::Hsts;

/// The authorities that a listener answers to, `name:port`, lower case; a name may begin with `*.`.
#[derive(Debug, Clone, Default)]
pub struct HostList {
    authorities: Vec<String>,
    /// Hosts that somebody named on purpose: on any port, since the one a client sees may be another's.
    anywhere: Vec<String>,
    hsts: Hsts,
}

impl HostList {
    /// `default_port`: the port that `Host` may leave out (80 or 443).
    pub fn new(names: &[String], port: u16, default_port: u16) -> Self {
        let mut authorities: Vec<String> =
            names.iter().map(|name| format!("{}:{port}", bracketed(&name.to_ascii_lowercase()))).collect();
        if port == default_port {
            authorities.extend(names.iter().map(|name| bracketed(&name.to_ascii_lowercase())));
        }
        Self { authorities, anywhere: Vec::new(), hsts: Hsts::default() }
    }

    /// These and those, as for one server on two ports.
    pub fn and(mut self, other: HostList) -> Self {
        self.authorities.extend(other.authorities);
        self.anywhere.extend(other.anywhere);
        self
    }

    /// Also answers to `hosts` (names or addresses), whatever the port.
    pub fn and_anywhere(mut self, hosts: &[String]) -> Self {
        self.anywhere.extend(hosts.iter().map(|host| bracketed(&host.to_ascii_lowercase())));
        self
    }

    /// Some of these names may be promised to browsers as always HTTPS.
    pub fn with_hsts(self, hsts: Hsts) -> Self {
        Self { hsts, ..self }
    }

    /// `Strict-Transport-Security` of an answer to `authority` over TLS.
    pub fn hsts(&self, authority: &str) -> Option<String> {
        self.hsts.value(authority)
    }

    /// Whether `authority` (the value of Host or `:authority`) is one of ours. A trailing dot is not.
    pub fn allows(&self, authority: &str) -> bool {
        self.authorities.iter().any(|own| covers(own, authority))
            || self.anywhere.iter().any(|own| own.eq_ignore_ascii_case(host(authority)))
    }

    /// All of them, as they are to be read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.authorities.iter().chain(&self.anywhere).map(String::as_str)
    }

    /// For the error's text: the first, canonical one.
    pub fn canonical(&self) -> &str {
        self.authorities.first().map_or("localhost", String::as_str)
    }
}

/// An authority without its port.
pub fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// RFC 9110, section 7.2: `uri-host [ ":" port ]`, without user information.
pub fn is_authority(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let port = text.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map(|(_, port)| port);
    let port_is_one = port.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok());
    !authority.host().is_empty() && !text.contains('@') && port_is_one
}

/// Whether `name` is `pattern`, or one label beneath it where that begins with `*.` (RFC 9525, section 6.3).
pub fn covers(pattern: &str, name: &str) -> bool {
    let plain = |label: &str| label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let beneath = || {
        let (above, (label, rest)) = (pattern.strip_prefix("*.")?, name.split_once('.')?);
        Some(!label.is_empty() && plain(label) && rest.eq_ignore_ascii_case(above))
    };
    pattern.eq_ignore_ascii_case(name) || beneath().unwrap_or(false)
}

/// IPv6 addresses stand in brackets in an authority (RFC 3986, section 3.2.2).
fn bracketed(name: &str) -> String {
    if name.contains(':') && !name.starts_with('[') { format!("[{name}]") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_no_part_of_the_host() {
        assert_eq!(["a:1", "a", "[::1]:8", "[::1]", "a:"].map(host), ["a", "a", "[::1]", "[::1]", "a:"]);
    }

    #[test]
    fn a_host_that_was_named_on_purpose_may_have_any_port() {
        let hosts = HostList::default().and_anywhere(&["Shop.example".into(), "::2".into()]);
        assert!(hosts.allows("shop.example") && hosts.allows("SHOP.example:81") && hosts.allows("[::2]:1"));
        assert!(!hosts.allows("shop.example.") && !hosts.allows("shop.example:") && !hosts.allows("x.shop.example"));
    }

    #[test]
    fn only_exact_authorities_with_the_port_pass() {
        let hosts = HostList::new(&["localhost".into(), "::1".into()], 8443, 443);
        assert!(hosts.allows("localhost:8443") && hosts.allows("LOCALHOST:8443") && hosts.allows("[::1]:8443"));
        for bad in ["localhost", "localhost:8444", "evil.example:8443", "localhost.:8443", "a localhost:8443", ""] {
            assert!(!hosts.allows(bad), "{bad}");
        }
        assert!(HostList::new(&["localhost".into()], 443, 443).allows("localhost"));
    }

    #[test]
    fn a_wildcard_is_for_one_label_and_no_more() {
        let hosts = HostList::new(&["*.shop.example".into()], 8443, 443);
        assert!(hosts.allows("www.shop.example:8443") && hosts.allows("WWW.Shop.Example:8443"));
        for bad in [
            "shop.example:8443",
            ".shop.example:8443",
            "a.b.shop.example:8443",
            "a@b.shop.example:8443",
            "www.shop.example",
        ] {
            assert!(!hosts.allows(bad), "{bad}");
        }
    }
}
