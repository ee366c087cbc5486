//! What can be broken about the name server. The console's names are always answered as they are.

use std::net::Ipv4Addr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};

use super::DnsError;
use super::zone::{Answer, Zones, parse};
use crate::faults::{self, Place, Strike};
use crate::settings::fault::Fault;
use crate::settings::runtime::Settings;

/// How long a wrong answer may be remembered (RFC 2308, section 5, for a "no"): it is over soon after its fault.
const TTL_S: u32 = 1;
/// The broadcast address of this machine's loopback: no connection can be made to it (RFC 1122, section 3.2.1.3), and
/// nobody listens there even where the edge listens everywhere.
const DEAD: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);

/// Whose names are whose.
#[derive(Debug, Default)]
pub(super) struct Owners {
    app: Vec<LowerName>,
    console: Vec<LowerName>,
}

impl Owners {
    pub fn new(app: &[String], console: &[String]) -> Result<Self, DnsError> {
        let names =
            |names: &[String]| names.iter().map(|name| parse(name).map(LowerName::from)).collect::<Result<_, _>>();
        Ok(Self { app: names(app)?, console: names(console)? })
    }
}

/// What becomes of one query.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The last that struck; to be named in the record.
    pub strike: Option<Strike>,
    /// It is never answered.
    pub lost: bool,
    pub instead: Option<Instead>,
}

/// What is answered instead of the truth.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instead {
    Failure,
    NoSuchName,
    DeadAddress,
}

/// Waits if it must, and says what becomes of the query.
pub(super) async fn of_query(settings: &Settings, owners: &Owners, name: &Name) -> Verdict {
    if settings.snapshot().faults.none() {
        return Verdict::default();
    }
    let asked = LowerName::from(name);
    if owners.console.contains(&asked) {
        return Verdict::default();
    }
    let strike = |fault| faults::strike(settings, fault, Place::ANYWHERE);
    let delay = strike(Fault::DnsDelay);
    if let Some(delay) = delay {
        faults::wait(settings, delay, Place::ANYWHERE).await;
    }
    if let Some(strike) = strike(Fault::DnsDrop) {
        return Verdict { strike: Some(strike), lost: true, instead: None };
    }
    let of_app = |fault| strike(fault).filter(|_| owners.app.contains(&asked));
    let instead = strike(Fault::DnsServfail).map(|strike| (strike, Instead::Failure));
    let instead = instead.or_else(|| of_app(Fault::DnsNxdomain).map(|strike| (strike, Instead::NoSuchName)));
    let instead = instead.or_else(|| of_app(Fault::DnsDeadAddress).map(|strike| (strike, Instead::DeadAddress)));
    match instead {
        Some((strike, instead)) => Verdict { strike: Some(strike), lost: false, instead: Some(instead) },
        None => Verdict { strike: delay, ..Verdict::default() },
    }
}

impl Instead {
    pub fn answer(self, zones: &Zones, name: &Name, kind: RecordType) -> Answer {
        let mut answer = Answer { authoritative: true, ..Answer::default() };
        match self {
            Self::Failure => return Answer { code: ResponseCode::ServFail, ..Answer::default() },
            Self::NoSuchName => answer.code = ResponseCode::NXDomain,
            Self::DeadAddress if matches!(kind, RecordType::A | RecordType::ANY) => {
                answer.answers.push(Record::from_rdata(name.clone(), TTL_S, RData::A(A(DEAD))));
                return answer;
            }
            Self::DeadAddress => {}
        }
        answer.authorities.extend(zones.soa_of_a_no(&LowerName::from(name)));
        answer.remembered_for(TTL_S)
    }
}
