//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::settings::http::bounds::Bounds;

#[derive(Debug, Clone, Default)]
pub struct Admission(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    total: u64,
    refused: u64,
    by_address: HashMap<IpAddr, u64>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    admission: Admission,
    address: IpAddr,
}

impl Admission {
    /// A place for a connection from `address`; None when there is none left. `shared`: many clients come from
    /// there, by a proxy that is trusted, so that only the bound on all counts.
    pub fn admit(&self, address: IpAddr, shared: bool, bounds: &Bounds) -> Option<Place> {
        let mut counts = self.counts();
        let from_here = counts.by_address.get(&address).copied().unwrap_or(0);
        let most = match address.to_canonical() {
            _ if shared => bounds.connections_max,
            address if address.is_loopback() => bounds.connections_of_loopback_max,
            _ => bounds.connections_per_address_max,
        };
        if counts.total >= bounds.connections_max || from_here >= most {
            counts.refused += 1;
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address, from_here + 1);
        Some(Place { admission: self.clone(), address })
    }

    /// Connections now, and how many were refused since the start.
    pub fn figures(&self) -> (u64, u64) {
        let counts = self.counts();
        (counts.total, counts.refused)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.total -= 1;
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_share_and_gives_it_back() {
        let bounds = Bounds { connections_max: 3, connections_per_address_max: 2, ..Bounds::default() };
        let (admission, a, b) = (Admission::default(), IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let admit = |address| admission.admit(address, false, &bounds);
        let (first, second) = (admit(a), admit(a));
        assert!(first.is_some() && second.is_some() && admit(a).is_none());
        let third = admit(b);
        assert!(third.is_some() && admit(b).is_none(), "three in all");
        drop(first);
        assert!(admit(a).is_some());
    }

    #[test]
    fn this_machine_may_send_itself_more_load_than_another() {
        let bounds = Bounds { connections_of_loopback_max: 3, connections_per_address_max: 2, ..Bounds::default() };
        let admission = Admission::default();
        let admitted = |address: IpAddr| {
            let places: Vec<_> = (0..5).filter_map(|_| admission.admit(address, false, &bounds)).collect();
            places.len()
        };
        assert_eq!(admitted(IpAddr::from([127, 0, 0, 1])), 3);
        assert_eq!(admitted(IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1])), 3);
        assert_eq!(admitted(IpAddr::from([10, 0, 0, 1])), 2);
    }

    #[test]
    fn a_trusted_proxy_may_have_as_many_connections_as_there_are_in_all() {
        let bounds = Bounds { connections_max: 3, connections_per_address_max: 1, ..Bounds::default() };
        let (admission, proxy) = (Admission::default(), IpAddr::from([127, 0, 0, 1]));
        let places: Vec<_> = (0..4).map(|_| admission.admit(proxy, true, &bounds)).collect();
        assert_eq!(places.iter().filter(|place| place.is_some()).count(), 3);
    }
}
