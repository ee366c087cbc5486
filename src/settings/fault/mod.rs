//! What can be broken: the rows of the table whose keys begin with `fault.`, and the value of one that is on.
//!
//! Whether a fault that is on strikes one request is decided by `faults`, not here; what it then does stands
//! in the `faults.rs` of its hop.

mod rows;
mod spec;

use super::row::Field;
use crate::observe::hop::Hop;
pub use rows::ROWS;
pub use spec::{Aim, FOR_DEFAULT, FOR_MAX, Spec};

/// One thing that can be broken. Its row has the same place in [`ROWS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Fault {
    ClientSlowNetwork,
    ClientHangsUp,
    ClientHalfBody,
    DnsDelay,
    DnsServfail,
    DnsDrop,
    DnsNxdomain,
    DnsDeadAddress,
    TlsDelay,
    TlsCut,
    TlsExpired,
    TlsWrongName,
    TlsUnknownSigner,
    HttpTrickle,
    HttpReset,
    HttpTruncated,
    HttpBadLength,
    HttpBandwidth,
    BalancerDelay,
    BalancerWrongInstance,
    BalancerNoHealthChecks,
    BalancerNoRetries,
    InstanceKill,
    InstancePause,
    InstanceBlackHole,
    InstanceSlow,
    InstanceErrors,
    InstanceMemoryLeak,
    InstanceCpuHog,
    ApiDelay,
    ApiErrors,
    ApiForgetSessions,
    ApiTinyRateLimit,
    ApiTinyBodies,
    ServicePausedWorkers,
    ServicePoisonTicket,
    SupplierDelay,
    SupplierFails,
    SupplierLies,
    SupplierClosed,
    DataDelay,
    DataFails,
    DataLocked,
    DataFull,
    DataPoolOfOne,
    DataNoIndex,
    DataCacheEmpty,
    DataCacheStale,
    ClockSkew,
}

impl Fault {
    pub const COUNT: usize = Fault::ClockSkew as usize + 1;

    pub fn key(self) -> &'static str {
        ROWS[self as usize].key
    }

    pub fn hop(self) -> Hop {
        ROWS[self as usize].hop
    }

    /// What its row says of it.
    pub fn kind(self) -> &'static FaultKind {
        match &ROWS[self as usize].field {
            Field::Fault(kind) => kind,
            other => unreachable!("a row of faults that is {other:?}"),
        }
    }
}

/// In what way it breaks, and so in which column of the Break page it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Something takes longer; the strength says by how much.
    Delay,
    /// Some requests fail; the probability says how many.
    Failing,
    /// Something is broken for as long as it is on.
    Outright,
}

/// How strong a fault can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Strength {
    pub min: i64,
    pub max: i64,
    pub default: i64,
    pub unit: &'static str,
}

/// By what a fault can be narrowed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Narrow {
    Instances,
    Route,
    Role,
}

/// What a row says of its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct FaultKind {
    #[serde(skip)]
    pub fault: Fault,
    /// What its switch says: "Does not exist (NXDOMAIN)".
    pub title: &'static str,
    pub effect: Effect,
    /// None: it is on or off.
    pub strength: Option<Strength>,
    /// Whether it can strike a share of the requests only.
    pub probable: bool,
    pub narrows: &'static [Narrow],
    /// Aimed at nobody in particular, it lets no request past its hop.
    pub cuts: bool,
}

/// The faults that are on, in the order of the way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FaultSettings {
    /// A bit a fault: what is asked with every request costs one look.
    on: u64,
    specs: Vec<(Fault, Spec)>,
}

const _: () = assert!(Fault::COUNT <= 64, "a bit a fault");

impl FaultSettings {
    /// Whether none is on: so it is nearly always.
    pub const fn none(&self) -> bool {
        self.on == 0
    }

    pub fn get(&self, fault: Fault) -> Option<&Spec> {
        if self.on & (1 << fault as u8) == 0 {
            return None;
        }
        self.specs.iter().find(|(known, _)| *known == fault).map(|(_, spec)| spec)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Fault, &Spec)> {
        self.specs.iter().map(|(fault, spec)| (*fault, spec))
    }

    /// Switches off those that `stays` does not hold for.
    pub fn retain(&mut self, stays: impl Fn(&Spec) -> bool) {
        self.specs.retain(|(_, spec)| stays(spec));
        self.on = self.specs.iter().fold(0, |on, (fault, _)| on | 1 << *fault as u8);
    }

    /// Switches one on, or with None off.
    pub fn set(&mut self, fault: Fault, spec: Option<Spec>) {
        self.specs.retain(|(known, _)| *known != fault);
        self.on &= !(1 << fault as u8);
        if let Some(spec) = spec {
            self.on |= 1 << fault as u8;
            let place = self.specs.partition_point(|(known, _)| *known < fault);
            self.specs.insert(place, (fault, spec));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_own_row_in_its_own_place() {
        assert_eq!(ROWS.len(), Fault::COUNT);
        for (place, row) in ROWS.iter().enumerate() {
            let Field::Fault(kind) = &row.field else { panic!("{} is no fault", row.key) };
            assert_eq!(kind.fault as usize, place, "{}", row.key);
            assert!(row.key.starts_with("fault."), "{}", row.key);
            match kind.effect {
                Effect::Delay => assert!(kind.strength.is_some(), "{}", row.key),
                Effect::Failing => assert!(kind.probable && kind.strength.is_none(), "{}", row.key),
                Effect::Outright => {}
            }
        }
    }

    #[test]
    fn what_is_on_is_listed_in_the_order_of_the_way() {
        let mut settings = FaultSettings::default();
        for fault in [Fault::DataLocked, Fault::DnsDelay, Fault::ApiErrors, Fault::DnsDelay] {
            settings.set(fault, Some(Spec::of(fault)));
        }
        settings.set(Fault::ApiErrors, None);
        let on: Vec<_> = settings.iter().map(|(fault, _)| fault).collect();
        assert_eq!(on, [Fault::DnsDelay, Fault::DataLocked]);
        assert!(settings.get(Fault::ApiErrors).is_none() && settings.get(Fault::DnsDelay).is_some());
    }
}
