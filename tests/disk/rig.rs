//! A till on a disk that does as it is told.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use roundtrip::domain::order::OrderId;
use roundtrip::store::bistro::{Bistro, Options};
use roundtrip::store::engine::unwatched;

use super::till;

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The numbers of disk/disk.c, by their place.
const FAIL_WRITE: u64 = 2;
const FAIL_SYNC: u64 = 3;
const ERROR: u64 = 4;
const REPEAT: u64 = 5;
const FAILED: u64 = 6;
const FIELDS: usize = 8;

/// What a failing operation answers (errno; one less than none for half a write).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Short = -1,
    /// EIO.
    Broken = 5,
    /// ENOSPC.
    Full = 28,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Write,
    Sync,
}

/// How much of what was never synced a power cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    Nothing,
    /// Of each sector of 512 bytes, by chance, the new or the old: what a disk does that writes in its own order.
    SomeSectors,
}

/// A folder whose files can lose what was not synced.
pub struct Disk {
    folder: tempfile::TempDir,
    control: File,
}

impl Disk {
    pub fn new() -> Outcome<Disk> {
        let folder = tempfile::tempdir()?;
        for name in ["files", "durable"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let control = File::options().read(true).write(true).create_new(true).open(folder.path().join("control"))?;
        control.write_all_at(&[0; FIELDS * 8], 0)?;
        Ok(Disk { folder, control })
    }

    pub fn database(&self) -> PathBuf {
        self.files().join("bistro.db")
    }

    pub fn till(&self, durability: &str) -> Outcome<Till> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--ignored", "--exact", "disk::till::till", "--nocapture", "--quiet"])
            .env(till::DATABASE, self.database())
            .env(till::DURABILITY, durability)
            .envs(self.environment())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stdout.take().ok_or("no output")?);
        let told = child.stdin.take().ok_or("no input")?;
        let mut till = Till { child, told, said };
        // The test runner has its say first.
        while !till.next_line()?.ok_or("it does not open")?.ends_with(till::OPEN) {}
        Ok(till)
    }

    pub fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    /// What puts a program on this disk.
    pub fn environment(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("LD_PRELOAD", layer().to_owned()),
            ("DISK_ROOT", self.files()),
            ("DISK_DURABLE", self.folder.path().join("durable")),
            ("DISK_CONTROL", self.folder.path().join("control")),
        ]
    }

    fn set(&self, field: u64, value: i64) -> Outcome {
        Ok(self.control.write_all_at(&value.to_ne_bytes(), field * 8)?)
    }

    fn get(&self, field: u64) -> Outcome<i64> {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, field * 8)?;
        Ok(i64::from_ne_bytes(bytes))
    }

    /// From now on the `n`-th operation fails; with `until_healed` every one after it, too.
    pub fn fail(&self, operation: Operation, n: i64, failure: Failure, until_healed: bool) -> Outcome {
        self.set(ERROR, failure as i64)?;
        self.set(REPEAT, until_healed.into())?;
        self.set(FAILED, 0)?;
        self.set(if operation == Operation::Write { FAIL_WRITE } else { FAIL_SYNC }, n)
    }

    /// Nothing fails any more. Returns how many operations did.
    pub fn heal(&self) -> Outcome<i64> {
        for field in [FAIL_WRITE, FAIL_SYNC, REPEAT] {
            self.set(field, 0)?;
        }
        self.get(FAILED)
    }

    /// The power goes: what was not synced is gone, or some of it. The till must be dead.
    pub fn cut_power(&self, leaves: Leaves, chance: &mut Chance) -> Outcome {
        for entry in fs::read_dir(self.files())? {
            let path = entry?.path();
            let durable = self.folder.path().join("durable").join(path.file_name().ok_or("a file has a name")?);
            match durable.exists() {
                true if leaves == Leaves::Nothing => drop(fs::copy(&durable, &path)?),
                true => {
                    let (new, old) = (fs::read(&path)?, fs::read(&durable)?);
                    fs::write(&path, mixed(&new, old, chance))?;
                }
                // Never synced; -shm is rebuilt and holds nothing that lasts.
                false => fs::remove_file(&path)?,
            }
            if durable.exists() {
                fs::copy(&path, &durable)?;
            }
        }
        Ok(())
    }

    /// Opens what is on the disk in this process: the audit must find nothing, and each of `acknowledged` must be
    /// there. Returns how many are not.
    pub async fn lost(&self, acknowledged: &[String]) -> Outcome<usize> {
        let bistro = Bistro::open(&self.database(), Options::default())?;
        let audit = bistro.audit().await?;
        assert_eq!((audit.wrong.as_slice(), audit.ledger_sum.cents()), (&[][..], 0));
        let mut lost = 0;
        for id in acknowledged {
            let id = OrderId::parse(id).ok_or("an acknowledged order has an id")?;
            lost += usize::from(bistro.order(&unwatched("look"), &id).await?.is_none());
        }
        let once: std::collections::BTreeSet<_> = acknowledged.iter().collect();
        assert_eq!(once.len(), acknowledged.len(), "no id is given twice");
        bistro.close().await?;
        Ok(lost)
    }

    /// What is on the disk now is what a power cut would leave, too: before a till goes on with files that
    /// another process has written.
    pub fn settle(&self) -> Outcome {
        let durable = self.folder.path().join("durable");
        fs::remove_dir_all(&durable)?;
        fs::create_dir(&durable)?;
        fs::copy(self.database(), durable.join("bistro.db"))?;
        Ok(())
    }
}

fn mixed(new: &[u8], mut old: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    // The length is part of what may or may not have been written.
    if chance.one_in(2) {
        old.resize(new.len(), 0);
    }
    for (new, old) in new.chunks(512).zip(old.chunks_mut(512)) {
        if chance.one_in(2) {
            let both = new.len().min(old.len());
            old[..both].copy_from_slice(&new[..both]);
        }
    }
    old
}

/// A running till.
pub struct Till {
    child: Child,
    told: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Till {
    pub fn tell(&mut self, command: &str) -> Outcome {
        Ok(self.told.write_all(format!("{command}\n").as_bytes())?)
    }

    /// Its next line; None when it is gone.
    fn next_line(&mut self) -> Outcome<Option<String>> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        // A line that the kill cut short was not said.
        Ok(line.strip_suffix('\n').map(str::to_owned))
    }

    pub fn line(&mut self) -> Outcome<String> {
        self.next_line()?.ok_or_else(|| "the till is gone".into())
    }

    pub fn ask(&mut self, command: &str) -> Outcome<String> {
        self.tell(command)?;
        self.line()
    }

    /// Kills it and returns what it had said.
    pub fn kill(mut self) -> Outcome<Vec<String>> {
        self.child.kill()?;
        let mut rest = Vec::new();
        while let Some(line) = self.next_line()? {
            rest.push(line);
        }
        self.child.wait()?;
        Ok(rest)
    }
}

impl Drop for Till {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The id of an acknowledged order.
pub fn acknowledged(line: &str) -> Option<String> {
    line.strip_prefix("ok ").map(str::to_owned)
}

/// Chance that can be had again (xorshift64*, Vigna 2016).
pub struct Chance(u64);

impl Chance {
    pub fn seeded(seed: u64) -> Chance {
        Chance(seed | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// A count from the environment.
#[allow(clippy::disallowed_methods, reason = "how long to test is no setting of the program")]
pub fn count(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The compiled layer, once a process.
fn layer() -> &'static Path {
    static LAYER: OnceLock<PathBuf> = OnceLock::new();
    LAYER.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk/disk.c");
        let object = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("disk-{}.so", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([object.as_os_str(), source.as_os_str()])
            .args(["-ldl", "-lpthread"])
            .status()
            .expect("cc compiles the bundled SQLite: it is there");
        assert!(compiled.success(), "disk.c compiles");
        object
    })
}
