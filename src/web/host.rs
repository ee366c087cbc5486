//! The Host allow-list: the answer to DNS rebinding is 421 (RFC 9110, section 15.5.20).

/// The exact authorities that a listener answers to, `name:port`, lower case.
#[derive(Debug, Clone, Default)]
pub struct HostList {
    authorities: Vec<String>,
}

impl HostList {
    /// `default_port`: the port that `Host` may leave out (80 or 443).
    pub fn new(names: &[String], port: u16, default_port: u16) -> Self {
        let mut authorities: Vec<String> =
            names.iter().map(|name| format!("{}:{port}", bracketed(&name.to_ascii_lowercase()))).collect();
        if port == default_port {
            authorities.extend(names.iter().map(|name| bracketed(&name.to_ascii_lowercase())));
        }
        Self { authorities }
    }

    /// Whether `authority` (the value of Host or `:authority`) is one of ours. A trailing dot is not.
    pub fn allows(&self, authority: &str) -> bool {
        self.authorities.iter().any(|own| own.eq_ignore_ascii_case(authority))
    }

    /// For the error's text: the first, canonical one.
    pub fn canonical(&self) -> &str {
        self.authorities.first().map_or("localhost", String::as_str)
    }
}

/// IPv6 addresses stand in brackets in an authority (RFC 3986, section 3.2.2).
fn bracketed(name: &str) -> String {
    if name.contains(':') && !name.starts_with('[') { format!("[{name}]") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_authorities_with_the_port_pass() {
        let hosts = HostList::new(&["localhost".into(), "::1".into()], 8443, 443);
        assert!(hosts.allows("localhost:8443") && hosts.allows("LOCALHOST:8443") && hosts.allows("[::1]:8443"));
        for bad in ["localhost", "localhost:8444", "evil.example:8443", "localhost.:8443", "a localhost:8443", ""] {
            assert!(!hosts.allows(bad), "{bad}");
        }
        assert!(HostList::new(&["localhost".into()], 443, 443).allows("localhost"));
    }
}
