//! What a backup says of itself.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Of this text's layout.
const FORMAT: u32 = 1;

/// Why a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// By the schedule: these alone are deleted by their age.
    Hourly,
    Manual,
    /// What was there before a restore.
    Safety,
    /// The same, where it could not be read: the files as they were.
    Damaged,
}

impl Reason {
    pub const fn id(self) -> &'static str {
        match self {
            Reason::Hourly => "hourly",
            Reason::Manual => "manual",
            Reason::Safety => "safety",
            Reason::Damaged => "damaged",
        }
    }
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
    /// Migrations that the database has had; None: it can't be read.
    pub schema: Option<i64>,
}

/// How much there was of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Those that were placed.
    pub orders: i64,
    pub tickets: i64,
    pub ledger_entries: i64,
    pub people: i64,
}

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Version of the program that made it.
    pub program: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    pub reason: Reason,
    pub files: Vec<FileEntry>,
    /// None without the restaurant, or where it can't be read.
    pub counts: Option<Counts>,
}

impl Manifest {
    pub fn new(reason: Reason, created_at: OffsetDateTime) -> Manifest {
        let program = env!("CARGO_PKG_VERSION").to_owned();
        // As it is written: in milliseconds, which the name has, too.
        let created_at = created_at.to_offset(time::UtcOffset::UTC);
        let created_at = created_at.replace_millisecond(created_at.millisecond()).unwrap_or(created_at);
        Manifest { format: FORMAT, program, created_at, reason, files: Vec::new(), counts: None }
    }

    /// The folder's name: its time, with no colon since not every file system takes one, and the reason.
    pub fn name(&self) -> String {
        let at = self.created_at.format(&Rfc3339).unwrap_or_default().replace(':', "-");
        format!("{at}-{}", self.reason.id())
    }

    /// None when it is of a later layout, or no manifest.
    pub fn parse(bytes: &[u8]) -> Option<Manifest> {
        serde_json::from_slice(bytes).ok().filter(|manifest: &Manifest| manifest.format == FORMAT)
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// What came of a verification, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub ok: bool,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
}
