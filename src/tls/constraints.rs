//! What the authority may vouch for: this machine and private networks, so that a stolen key is of no use
//! against anything else (RFC 5280, section 4.2.1.10).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};

/// Loopback, the private networks of RFC 1918, and their like of IPv6 (RFC 4193).
const SUBNETS: [(IpAddr, u8); 6] = [
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
];

/// The names beneath which the authority may certify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Permitted {
    pub names: Vec<String>,
}

impl Permitted {
    pub fn of_this_machine() -> Self {
        let mut names = vec!["localhost".to_owned(), "roundtrip.test".to_owned()];
        if let Some(host) = host_name() {
            names.push(format!("{host}.local"));
            names.push(host);
        }
        Self { names }
    }

    pub fn constraints(&self) -> NameConstraints {
        let names = self.names.iter().cloned().map(GeneralSubtree::DnsName);
        let addresses = SUBNETS.iter().map(|(ip, bits)| CidrSubnet::from_addr_prefix(*ip, *bits));
        NameConstraints {
            permitted_subtrees: names.chain(addresses.map(GeneralSubtree::IpAddress)).collect(),
            excluded_subtrees: Vec::new(),
        }
    }

    /// Whether `name` (a DNS name or an address) may stand in a certificate. One that may not would make
    /// browsers refuse the whole certificate.
    pub fn allows(&self, name: &str) -> bool {
        match name.parse::<IpAddr>() {
            Ok(ip) => is_private(ip),
            Err(_) => self
                .names
                .iter()
                .any(|own| name.strip_suffix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))),
        }
    }
}

/// Whether `ip` is of this machine or of a private network: an address that an authority of ours may vouch for.
pub fn is_private(ip: IpAddr) -> bool {
    SUBNETS.iter().any(|(network, bits)| within(ip, *network, *bits))
}

fn within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (ip, network, width) = match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => (u128::from(ip.to_bits()), u128::from(network.to_bits()), 32),
        (IpAddr::V6(ip), IpAddr::V6(network)) => (ip.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let shift = width - u32::from(bits);
    ip.checked_shr(shift) == network.checked_shr(shift)
}

/// This machine's own name, if it has one that can stand in a certificate.
pub fn host_name() -> Option<String> {
    // hostname(7): the kernel's on Linux, the configured one on other systems.
    let read = |path| std::fs::read_to_string(path).ok();
    let name = read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"))?;
    let name = name.trim().trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    let usable = name.len() <= 200 && name.split('.').all(label) && name.parse::<IpAddr>().is_err();
    // Last label all digits: an address to some readers, never a name.
    let digits = name.rsplit('.').next().is_none_or(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    (usable && !digits && name != "localhost").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_private_networks_are_permitted() {
        let permitted = Permitted { names: vec!["localhost".into(), "roundtrip.test".into()] };
        for good in
            ["localhost", "bistro.localhost", "bistro.roundtrip.test", "127.3.2.1", "192.168.7.7", "::1", "fd12::1"]
        {
            assert!(permitted.allows(good), "{good}");
        }
        for bad in
            ["example.com", "evillocalhost", "roundtrip.test.example.com", "8.8.8.8", "172.32.0.1", "2001:db8::1"]
        {
            assert!(!permitted.allows(bad), "{bad}");
        }
    }
}
