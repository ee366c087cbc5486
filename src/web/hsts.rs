//! Whether a browser is told to insist on HTTPS (RFC 6797).

use super::host::covers;

/// For how long, and for which names. The default is never.
#[derive(Debug, Clone, Default)]
pub struct Hsts {
    seconds: u32,
    names: Vec<String>,
}

impl Hsts {
    /// `names`: those of a certificate that browsers trust anyway; for any other, a browser that insists could
    /// not get past the warning (RFC 6797, section 8.4).
    pub fn new(seconds: u32, names: Vec<String>) -> Self {
        Self { seconds, names }
    }

    /// `Strict-Transport-Security` of an answer to `authority` over TLS. Never for this machine itself, whose
    /// name other programs on other ports share, nor for an address (RFC 6797, section 8.1.1).
    pub fn value(&self, authority: &str) -> Option<String> {
        if self.seconds == 0 {
            return None;
        }
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_ascii_lowercase();
        let address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
        let this_machine = host == "localhost" || host.ends_with(".localhost");
        let known = self.names.iter().any(|name| covers(name, &host));
        (known && !address && !this_machine).then(|| format!("max-age={}", self.seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_certificates_own_names_are_promised_and_only_when_asked_for() {
        let names = || ["shop.example", "*.shop.example", "localhost", "a.localhost", "192.0.2.1", "2001:db8::1"];
        let names = || names().map(str::to_owned).to_vec();
        let hsts = Hsts::new(60, names());
        for host in ["shop.example", "SHOP.example:8444", "www.shop.example"] {
            assert_eq!(hsts.value(host).as_deref(), Some("max-age=60"), "{host}");
        }
        for host in
            ["localhost", "localhost:8444", "a.localhost:1", "192.0.2.1", "192.0.2.1:443", "[2001:db8::1]:443", "x", ""]
        {
            assert_eq!(hsts.value(host), None, "{host}");
        }
        assert_eq!(Hsts::new(0, names()).value("shop.example"), None);
        assert_eq!(Hsts::default().value("shop.example"), None);
    }
}
