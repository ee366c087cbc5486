//! How much memory bodies take besides those in the store: on their way, or gone from it while somebody still
//! reads them. All of them together get as much as the store itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    promised: AtomicU64,
    /// Bodies that were stored and are still there, in the store or with a reader.
    alive: AtomicU64,
}

/// Room for one body on its way, given back when dropped.
#[derive(Debug)]
pub struct Promise {
    room: Room,
    bytes: u64,
}

impl Room {
    /// Room for `bytes` more beside what others take, if there is any. `stored`: what is in the store.
    pub fn promise(&self, bytes: u64, stored: u64, bytes_max: u64) -> Option<Promise> {
        let lent = self.0.alive.load(Ordering::Relaxed).saturating_sub(stored);
        let with_this = |promised: u64| {
            let next = promised.saturating_add(bytes);
            (next.saturating_add(lent) <= bytes_max).then_some(next)
        };
        let promised = self.0.promised.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_this);
        promised.ok().map(|_| Promise { room: self.clone(), bytes })
    }

    /// `body`, counted until nobody has it any more.
    pub fn count(&self, body: Bytes) -> Bytes {
        self.0.alive.fetch_add(body.len() as u64, Ordering::Relaxed);
        Bytes::from_owner(Counted { room: self.clone(), body })
    }
}

impl Promise {
    /// It turned out to be less.
    pub fn shrink(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.room.0.promised.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.room.0.promised.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Counted {
    room: Room,
    body: Bytes,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.room.0.alive.fetch_sub(self.body.len() as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_and_what_is_lent_share_the_room() {
        let room = Room::default();
        let mut first = room.promise(6, 0, 10).expect("it is empty");
        assert!(room.promise(5, 0, 10).is_none());
        first.shrink(4);
        drop(room.promise(6, 0, 10).expect("there are six"));
        let body = room.count(Bytes::from_static(b"abc"));
        assert!(room.promise(6, 3, 10).is_some(), "it is in the store");
        let slice = body.slice(1..);
        drop(body);
        assert!(room.promise(6, 0, 10).is_none(), "a part of it is read yet");
        drop((first, slice));
        assert!(room.promise(10, 0, 10).is_some());
    }
}
