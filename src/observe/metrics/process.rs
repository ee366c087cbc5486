//! What the process takes of the machine, as the system tells it.

use std::path::Path;
use std::time::Duration;

/// What is not known on this system is None.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    pub cpu: Option<Duration>,
    pub resident_bytes: Option<u64>,
    pub open_files: Option<u64>,
    pub open_files_max: Option<u64>,
    pub threads: Option<u64>,
}

/// Of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// For those who are not the superuser.
    pub free_bytes: u64,
    pub total_bytes: u64,
}

impl Process {
    pub fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_ascii_whitespace().next()?.parse::<u64>().ok()
        };
        Self {
            cpu: cpu(),
            resident_bytes: field("VmRSS").map(|kib| kib * 1_024),
            // The look itself takes one of them.
            open_files: std::fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1)),
            open_files_max: open_files_max(),
            threads: field("Threads"),
        }
    }
}

#[cfg(unix)]
fn cpu() -> Option<Duration> {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(spent.tv_sec.try_into().ok()?, spent.tv_nsec.try_into().ok()?))
}

#[cfg(unix)]
fn open_files_max() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// The file system that `folder` is on.
#[cfg(unix)]
pub fn disk(folder: &Path) -> Option<Disk> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(Disk { free_bytes: stat.f_bavail * stat.f_frsize, total_bytes: stat.f_blocks * stat.f_frsize })
}

#[cfg(not(unix))]
fn cpu() -> Option<Duration> {
    None
}

#[cfg(not(unix))]
fn open_files_max() -> Option<u64> {
    None
}

#[cfg(not(unix))]
pub fn disk(_: &Path) -> Option<Disk> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something_of_everything() {
        let process = Process::now();
        assert!(process.cpu > Some(Duration::ZERO) && process.threads >= Some(1), "{process:?}");
        assert!(process.resident_bytes > Some(1_000_000) && process.open_files >= Some(3), "{process:?}");
        assert!(process.open_files_max > process.open_files, "{process:?}");
        let disk = disk(&std::env::temp_dir()).expect("a disk");
        assert!(disk.total_bytes >= disk.free_bytes && disk.total_bytes > 0, "{disk:?}");
    }
}
