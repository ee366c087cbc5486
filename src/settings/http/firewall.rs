//! Who may reach the edge at all, by address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::observe::hop::Hop;
use crate::settings::row::{Field, Row};

/// Ranges in one list: they are looked at one after another, with every connection and request.
const RANGES_MAX: usize = 64;
const TEXT_CHARS_MAX: usize = 2_000;
/// Where IPv4 addresses stand in IPv6.
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// Ranges of addresses, as they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges(Arc<[IpNet]>);

impl Ranges {
    /// Addresses and CIDR ranges with commas between them; nothing is none. The error says what it takes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let ranges = parts.map(range).collect::<Result<Vec<_>, _>>()?;
        if ranges.len() > RANGES_MAX {
            return Err(format!("takes at most {RANGES_MAX} addresses and ranges"));
        }
        let ranges = Self(ranges.into());
        // What is shown can be sent back, though blanks were added to it.
        if ranges.to_string().chars().count() > TEXT_CHARS_MAX {
            return Err(format!("takes at most {TEXT_CHARS_MAX} characters, a blank after each comma included"));
        }
        Ok(ranges)
    }

    fn find(&self, address: IpAddr) -> Option<&IpNet> {
        self.0.iter().find(|range| range.contains(&address))
    }
}

fn range(part: &str) -> Result<IpNet, String> {
    let address = part.parse::<IpAddr>().map(IpNet::from);
    let range = address.or_else(|_| part.parse::<IpNet>());
    let range =
        range.map_err(|_| format!("takes addresses and ranges such as 10.0.0.0/8, fd00::/8; '{part}' is neither"))?;
    unmapped(range).ok_or_else(|| {
        format!(
            "'{part}' holds IPv4 and IPv6 addresses: write two ranges, one such as 10.0.0.0/8, one such as fd00::/8"
        )
    })
}

/// A range of IPv4 addresses mapped into IPv6 (RFC 4291, section 2.5.5.2), as addresses are compared: unmapped. None for
/// one that holds others beside all of those; `::/0` is all of IPv6 and no IPv4, as `0.0.0.0/0` is the reverse.
fn unmapped(range: IpNet) -> Option<IpNet> {
    let IpNet::V6(v6) = range else { return Some(range) };
    if !MAPPED.contains(&v6.addr()) && !v6.contains(&MAPPED) {
        return Some(range);
    }
    let length = v6.prefix_len().checked_sub(MAPPED.prefix_len());
    match (length, v6.addr().to_ipv4_mapped()) {
        (Some(length), Some(address)) => Ipv4Net::new(address, length).ok().map(IpNet::V4),
        _ => Some(range).filter(|_| v6.prefix_len() == 0),
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
    fn a_mapped_range_is_one_of_ipv4_and_a_range_of_both_kinds_is_refused() {
        let rules = rules("::ffff:10.0.0.0/104", "");
        for (address, refused) in
            [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("11.0.0.1", false), ("::ffff:11.0.0.1", false)]
        {
            assert_eq!(refuses(&rules, address), refused, "{address}");
        }
        assert_eq!(rules.deny.to_string(), "10.0.0.0/8");
        let whole = Ranges::parse("::ffff:0:0/96, ::ffff:192.168.0.7, ::/0").expect("ranges");
        assert_eq!(whole.to_string(), "0.0.0.0/0, 192.168.0.7, ::/0");
        for wide in ["::ffff:0:0/95", "::ffff:10.0.0.0/80", "::/8"] {
            assert!(Ranges::parse(wide).is_err_and(|why| why.contains("two ranges")), "{wide}");
        }
        assert!(Ranges::parse("::1, fd00::/8, ::/97").is_ok());
    }

    #[test]
    fn what_is_shown_can_be_sent_back() {
        let ranges: Vec<_> = (0..RANGES_MAX).map(|n| format!("{n:04x}:1111:2222:3333:4444:5555:6666:0/112")).collect();
        let longest = (1..=RANGES_MAX).rev().find_map(|count| Ranges::parse(&ranges[..count].join(",")).ok());
        let shown = longest.expect("one fits").to_string();
        assert!(shown.len() <= TEXT_CHARS_MAX && shown.len() > TEXT_CHARS_MAX - 50, "{}", shown.len());
        assert_eq!(Ranges::parse(&shown).expect("it was shown").to_string(), shown);
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
