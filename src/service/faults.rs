//! What faults take from the machine: memory and processor time. One of each a stack, aimed at no instance: they
//! share a process, and so does the console.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use crate::faults::Follow;
use crate::observe::clock::Tick;
use crate::settings::fault::{Fault, Spec};
use crate::settings::runtime::Settings;

const MIB: usize = 1024 * 1024;
const PAGE_BYTES: usize = 4096;
/// From so much on an allocator gives what is freed back to the system, whatever it has learnt (mallopt(3),
/// M_MMAP_THRESHOLD: 32 MiB at most). What is never touched takes no memory.
const MAPPED_BYTES_MIN: usize = 33 * MIB;
/// A leak has grown to its strength after so many steps.
const GROWS_IN: u32 = 100;
const GROWS_EVERY: Duration = Duration::from_millis(100);
/// A hog works for its share of each of these.
const SLICE: Duration = Duration::from_millis(10);

/// Does what these faults say, for as long as it is polled.
pub async fn keep(settings: &Settings) {
    tokio::join!(leak_memory(settings), burn(settings));
}

/// Takes memory, step by step, and gives it back when the fault is over.
async fn leak_memory(settings: &Settings) {
    let mut follow = Follow::new(settings, Fault::InstanceMemoryLeak);
    let mut spec = follow.next().await;
    loop {
        spec = match &spec {
            None => follow.next().await,
            Some(leak) => {
                let bytes = usize::try_from(leak.strength).unwrap_or_default() * MIB;
                let mut memory = vec![0_u8; bytes.max(MAPPED_BYTES_MIN)];
                let grow = async {
                    for step in 1..=GROWS_IN as usize {
                        let (from, to) = (bytes / GROWS_IN as usize * (step - 1), bytes / GROWS_IN as usize * step);
                        memory[from..to].iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
                        black_box(&mut memory);
                        tokio::time::sleep(GROWS_EVERY).await;
                    }
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = grow => None,
                    next = follow.next() => next,
                }
            }
        };
    }
}

/// Has a thread compute for nothing.
async fn burn(settings: &Settings) {
    let mut follow = Follow::new(settings, Fault::InstanceCpuHog);
    // Held by the thread alone beside this: dropped, it ends.
    let mut hog: Option<Arc<AtomicU32>> = None;
    loop {
        hog = match (follow.next().await, hog) {
            (None, _) => None,
            (Some(spec), Some(share)) => {
                share.store(percent(&spec), Relaxed);
                Some(share)
            }
            (Some(spec), None) => start_hog(percent(&spec)),
        };
    }
}

fn percent(spec: &Spec) -> u32 {
    u32::try_from(spec.strength).unwrap_or_default()
}

fn start_hog(percent: u32) -> Option<Arc<AtomicU32>> {
    let share = Arc::new(AtomicU32::new(percent));
    let wanted = Arc::downgrade(&share);
    let work = move || {
        while let Some(percent) = wanted.upgrade().map(|share| share.load(Relaxed)) {
            let began = Tick::now();
            let busy = SLICE * percent / 100;
            while Tick::now().since(began) < busy {
                black_box(Tick::now());
            }
            std::thread::sleep(SLICE.saturating_sub(busy));
        }
    };
    match std::thread::Builder::new().name("fault-cpu-hog".to_owned()).spawn(work) {
        Ok(_) => Some(share),
        Err(error) => {
            log::warn!("the fault {}: {error}", Fault::InstanceCpuHog.key());
            None
        }
    }
}
