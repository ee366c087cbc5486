//! What the server knows, and what it answers. Pure: a question in, an answer out.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA};
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordType};

use super::DnsError;
use crate::settings::runtime::Settings;

/// The zone that holds all names beneath it; every other name is a little zone of its own.
const ZONE: &str = "roundtrip.test";
/// How long a record may be remembered, where the settings say nothing else.
const TTL_S: u32 = 30;
/// How long "there is no such name" may be remembered (RFC 2308, section 5).
const NEGATIVE_TTL_S: u32 = 10;
/// Aliases followed for one question; a longer chain is a loop or a mistake.
const ALIASES_MAX: usize = 8;

/// One address of a name. A name may have several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub name: String,
    pub ip: IpAddr,
}

/// A name that stands for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    pub name: String,
    pub target: String,
}

/// Where the server listens and what it knows.
#[derive(Debug, Clone)]
pub struct DnsConfig {
    /// Port 0 lets the system choose; UDP and TCP get the same one.
    pub bind: SocketAddr,
    pub addresses: Vec<Address>,
    pub aliases: Vec<Alias>,
    pub live: Live,
}

/// What a server follows while it runs, and whose names are whose.
#[derive(Debug, Clone, Default)]
pub struct Live {
    pub settings: Settings,
    /// Names that faults may deny, or lead astray.
    pub app: Vec<String>,
    /// Names that no fault touches.
    pub console: Vec<String>,
}

impl DnsConfig {
    pub fn new(bind: SocketAddr) -> Self {
        Self { bind, addresses: Vec::new(), aliases: Vec::new(), live: Live::default() }
    }

    /// Adds an address record: A or AAAA.
    pub fn address(mut self, name: &str, ip: IpAddr) -> Self {
        self.addresses.push(Address { name: name.to_owned(), ip });
        self
    }

    /// Adds a CNAME record.
    pub fn alias(mut self, name: &str, target: &str) -> Self {
        self.aliases.push(Alias { name: name.to_owned(), target: target.to_owned() });
        self
    }
}

/// An answer: what goes into the sections of the message.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub code: ResponseCode,
    pub authoritative: bool,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
}

impl Answer {
    /// As one that may be remembered for so long; what holds for a shorter time goes on to.
    pub fn remembered_for(mut self, ttl_s: u32) -> Self {
        self.answers.iter_mut().for_each(|record| record.ttl = ttl_s);
        self.authorities.iter_mut().for_each(|record| record.ttl = record.ttl.min(ttl_s));
        self
    }
}

#[derive(Debug)]
struct Zone {
    origin: LowerName,
    soa: Record,
    names: HashMap<LowerName, Vec<Record>>,
}

/// All zones of the server.
#[derive(Debug, Default)]
pub(super) struct Zones {
    /// Of every SOA: grows with each change.
    pub serial: u32,
    zones: Vec<Zone>,
}

impl Zones {
    pub fn build(config: &DnsConfig, serial: u32) -> Result<Self, DnsError> {
        let mut zones = Zones { serial, zones: Vec::new() };
        for Address { name, ip } in &config.addresses {
            let data = match ip {
                IpAddr::V4(ip) => RData::A(A(*ip)),
                IpAddr::V6(ip) => RData::AAAA(AAAA(*ip)),
            };
            zones.add(name, data, config.bind.ip())?;
        }
        for Alias { name, target } in &config.aliases {
            zones.add(name, RData::CNAME(CNAME(parse(target)?)), config.bind.ip())?;
        }
        Ok(zones)
    }

    fn add(&mut self, name: &str, data: RData, server: IpAddr) -> Result<(), DnsError> {
        let name = parse(name)?;
        let key = LowerName::from(&name);
        let index = match self.zones.iter().position(|zone| zone.origin.zone_of(&key)) {
            Some(index) => index,
            None => {
                let shared = parse(ZONE)?;
                let origin = if shared.zone_of(&name) { shared } else { name.clone() };
                self.zones.push(Zone::new(&origin, server, self.serial)?);
                self.zones.len() - 1
            }
        };
        let records = self.zones[index].names.entry(key).or_default();
        let alias = |record: &Record| record.record_type() == RecordType::CNAME;
        if !records.is_empty() && (matches!(data, RData::CNAME(_)) || records.iter().any(alias)) {
            return Err(DnsError::AliasAndMore { name: name.to_ascii() });
        }
        let record = Record::from_rdata(name, TTL_S, data);
        if !records.contains(&record) {
            records.push(record);
        }
        Ok(())
    }

    /// Answers a question by the algorithm of RFC 1034, section 4.3.2. `turn` rotates the records of a
    /// name that has several addresses, so that clients spread over them.
    pub fn answer(&self, name: &Name, class: DNSClass, kind: RecordType, turn: usize) -> Answer {
        let refused = Answer { code: ResponseCode::Refused, ..Answer::default() };
        let mut asked = LowerName::from(name);
        if class != DNSClass::IN || matches!(kind, RecordType::AXFR | RecordType::IXFR) || self.zone(&asked).is_none() {
            return refused;
        }
        let mut answer = Answer { authoritative: true, ..Answer::default() };
        for _ in 0..ALIASES_MAX {
            // An alias may lead out of our zones: the asker goes on elsewhere (step 3a).
            let Some(zone) = self.zone(&asked) else { return answer };
            let records = zone.names.get(&asked).map_or(&[][..], Vec::as_slice);
            if let Some(alias) = records.iter().find(|record| record.record_type() == RecordType::CNAME)
                && !matches!(kind, RecordType::CNAME | RecordType::ANY)
                && let RData::CNAME(target) = &alias.data
            {
                answer.answers.push(alias.clone());
                asked = LowerName::from(&target.0);
                continue;
            }
            let wanted = |record: &&Record| kind == RecordType::ANY || record.record_type() == kind;
            let mut found: Vec<Record> = records.iter().filter(wanted).cloned().collect();
            if found.is_empty() {
                // The SOA lets the asker remember the "no" (RFC 2308, section 2).
                answer.authorities.push(zone.soa_of_a_no());
                if !zone.exists(&asked) {
                    answer.code = ResponseCode::NXDomain;
                }
                return answer;
            }
            let first = turn % found.len();
            found.rotate_left(first);
            answer.answers.append(&mut found);
            return answer;
        }
        Answer { code: ResponseCode::ServFail, ..Answer::default() }
    }

    /// What lets the asker remember that `name` is not there.
    pub fn soa_of_a_no(&self, name: &LowerName) -> Option<Record> {
        self.zone(name).map(Zone::soa_of_a_no)
    }

    fn zone(&self, name: &LowerName) -> Option<&Zone> {
        self.zones.iter().filter(|zone| zone.origin.zone_of(name)).max_by_key(|zone| zone.origin.num_labels())
    }
}

impl Zone {
    fn new(origin: &Name, server: IpAddr, serial: u32) -> Result<Self, DnsError> {
        let label = |label: &str| origin.prepend_label(label).map_err(|why| bad_name(&origin.to_ascii(), &why));
        let (ns, person) = (label("ns")?, label("hostmaster")?);
        let soa = SOA::new(ns.clone(), person, serial, 3_600, 600, 86_400, NEGATIVE_TTL_S);
        let soa = Record::from_rdata(origin.clone(), TTL_S, RData::SOA(soa));
        let of_origin = vec![soa.clone(), Record::from_rdata(origin.clone(), TTL_S, RData::NS(NS(ns.clone())))];
        let mut names = HashMap::from([(LowerName::from(origin), of_origin)]);
        // Whoever listens everywhere has no one address to name.
        if !server.is_unspecified() {
            let data = match server {
                IpAddr::V4(ip) => RData::A(A(ip)),
                IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
            };
            names.insert(LowerName::from(&ns), vec![Record::from_rdata(ns, TTL_S, data)]);
        }
        Ok(Self { origin: LowerName::from(origin), soa, names })
    }

    /// A name exists too when only names beneath it do (RFC 8020, section 2).
    fn exists(&self, name: &LowerName) -> bool {
        self.names.keys().any(|known| name.zone_of(known))
    }

    /// The SOA with the time that a "no" may be remembered: the smaller of the two (RFC 2308, section 3).
    fn soa_of_a_no(&self) -> Record {
        let mut soa = self.soa.clone();
        soa.ttl = soa.ttl.min(NEGATIVE_TTL_S);
        soa
    }
}

pub(super) fn parse(text: &str) -> Result<Name, DnsError> {
    let mut name = Name::from_ascii(text).map_err(|why| bad_name(text, &why))?;
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

fn bad_name(name: &str, why: &dyn std::fmt::Display) -> DnsError {
    DnsError::BadName { name: name.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, kind: RecordType) -> Answer {
        let ip = |last| IpAddr::from([127, 0, 0, last]);
        let config = DnsConfig::new("127.0.0.1:0".parse().expect("an address"))
            .address("i1.deep.roundtrip.test", ip(1))
            .address("bistro.localhost", ip(1))
            .alias("a.roundtrip.test", "b.roundtrip.test")
            .alias("b.roundtrip.test", "a.roundtrip.test")
            .alias("out.roundtrip.test", "example.com");
        let zones = Zones::build(&config, 1).expect("zones");
        zones.answer(&parse(name).expect("a name"), DNSClass::IN, kind, 0)
    }

    #[test]
    fn a_name_between_two_names_exists_without_records() {
        let answer = ask("deep.roundtrip.test", RecordType::A);
        assert_eq!((answer.code, answer.answers.len(), answer.authorities.len()), (ResponseCode::NoError, 0, 1));
    }

    #[test]
    fn aliases_in_a_circle_end_in_a_server_failure() {
        assert_eq!(ask("a.roundtrip.test", RecordType::A).code, ResponseCode::ServFail);
    }

    #[test]
    fn an_alias_that_leads_out_is_given_alone() {
        let answer = ask("out.roundtrip.test", RecordType::A);
        assert_eq!((answer.code, answer.answers.len()), (ResponseCode::NoError, 1));
    }

    #[test]
    fn a_zone_transfer_is_refused() {
        assert_eq!(ask("roundtrip.test", RecordType::AXFR).code, ResponseCode::Refused);
    }

    #[test]
    fn a_name_of_localhost_has_a_zone_of_its_own() {
        assert_eq!(ask("bistro.localhost", RecordType::SOA).answers.len(), 1);
        assert_eq!(ask("other.localhost", RecordType::A).code, ResponseCode::Refused);
    }

    #[test]
    fn an_alias_beside_an_address_is_a_mistake() {
        let config = DnsConfig::new("127.0.0.1:0".parse().expect("an address"))
            .address("a.roundtrip.test", IpAddr::from([127, 0, 0, 1]))
            .alias("a.roundtrip.test", "b.roundtrip.test");
        assert!(matches!(Zones::build(&config, 1), Err(DnsError::AliasAndMore { .. })));
    }
}
