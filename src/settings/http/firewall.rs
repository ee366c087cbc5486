//! Who may reach the edge at all, by address.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::observe::hop::Hop;
use crate::settings::row::{Field, Row};

/// Ranges in one list: they are looked at one after another, with every connection and request.
const RANGES_MAX: usize = 64;
const TEXT_CHARS_MAX: usize = 2_000;

/// Ranges of addresses, as they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges(Arc<[IpNet]>);

impl Ranges {
    /// Addresses and CIDR ranges with commas between them; nothing is none. The error says what it takes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let range = |part: &str| {
            let address = part.parse::<IpAddr>().map(IpNet::from);
            let range = address.or_else(|_| part.parse::<IpNet>());
            range.map_err(|_| format!("takes addresses and ranges such as 10.0.0.0/8, fd00::/8; '{part}' is neither"))
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let ranges = parts.map(range).collect::<Result<Vec<_>, _>>()?;
        if ranges.len() > RANGES_MAX {
            return Err(format!("takes at most {RANGES_MAX} addresses and ranges"));
        }
        Ok(Self(ranges.into()))
    }

    fn find(&self, address: IpAddr) -> Option<&IpNet> {
        self.0.iter().find(|range| range.contains(&address))
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let between = if index > 0 { ", " } else { "" };
            match range.prefix_len() == range.max_prefix_len() {
                true => write!(f, "{between}{}", range.addr())?,
                false => write!(f, "{between}{range}")?,
            }
        }
        Ok(())
    }
}

/// The address rules of the edge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FirewallSettings {
    pub deny: Ranges,
    /// Empty: everybody who is not denied.
    pub allow: Ranges,
}

impl FirewallSettings {
    /// The rule by which `address` may not come in, in words; None: it may. A denial goes before a permission.
    pub fn refuses(&self, address: IpAddr) -> Option<String> {
        let address = address.to_canonical();
        if let Some(range) = self.deny.find(address) {
            return Some(format!("http.firewall.deny names {range}"));
        }
        let stranger = !self.allow.0.is_empty() && self.allow.find(address).is_none();
        stranger.then(|| "http.firewall.allow does not name it".to_owned())
    }
}

const LESSONS: &[&str] = &["sec.network"];

fn check(text: &str) -> Result<(), String> {
    Ranges::parse(text).map(drop)
}

pub static ROWS: &[Row] = &[
    Row {
        key: "http.firewall.deny",
        hop: Hop::Http,
        help: "Addresses and ranges that the edge turns away, with commas between them. Their connections are closed \
               before TLS; requests that come by a trusted proxy get 403. The console is never closed to anybody.",
        lessons: LESSONS,
        field: Field::Text {
            get: |values| values.http.firewall.deny.to_string(),
            set: |values, text| values.http.firewall.deny = Ranges::parse(text).unwrap_or_default(),
            check,
            max: TEXT_CHARS_MAX,
        },
    },
    Row {
        key: "http.firewall.allow",
        hop: Hop::Http,
        help: "Addresses and ranges that alone may reach the edge; empty lets everybody in. Who is denied stays out. Our \
               own client comes from 127.0.0.1.",
        lessons: LESSONS,
        field: Field::Text {
            get: |values| values.http.firewall.allow.to_string(),
            set: |values, text| values.http.firewall.allow = Ranges::parse(text).unwrap_or_default(),
            check,
            max: TEXT_CHARS_MAX,
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(deny: &str, allow: &str) -> FirewallSettings {
        FirewallSettings { deny: Ranges::parse(deny).expect("ranges"), allow: Ranges::parse(allow).expect("ranges") }
    }

    fn refuses(rules: &FirewallSettings, address: &str) -> bool {
        rules.refuses(address.parse().expect("an address")).is_some()
    }

    #[test]
    fn a_denial_goes_before_a_permission_and_a_permission_shuts_the_others_out() {
        let none = rules("", " ");
        assert!(!refuses(&none, "10.1.2.3"));
        let both = rules("10.1.0.0/16", "10.0.0.0/8,::1");
        for (address, refused) in
            [("10.1.2.3", true), ("10.2.0.1", false), ("192.168.0.1", true), ("::1", false), ("::ffff:10.1.0.1", true)]
        {
            assert_eq!(refuses(&both, address), refused, "{address}");
        }
        let named = both.refuses("10.1.2.3".parse().expect("an address"));
        assert!(named.is_some_and(|rule| rule.contains("10.1.0.0/16")));
    }

    #[test]
    fn what_is_no_range_is_refused_and_what_is_reads_as_it_was_written() {
        assert!(Ranges::parse("10.0.0.0/33").is_err() && Ranges::parse("localhost").is_err());
        let many = vec!["10.0.0.1"; RANGES_MAX + 1].join(",");
        assert!(Ranges::parse(&many).is_err());
        let ranges = Ranges::parse("10.0.0.0/8,192.168.0.7 , fd00::/8").expect("ranges");
        assert_eq!(ranges.to_string(), "10.0.0.0/8, 192.168.0.7, fd00::/8");
    }
}
