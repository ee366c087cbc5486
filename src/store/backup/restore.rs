//! The way back: a backup is put beside the databases and checked there, what is there now is kept as a
//! backup of its own, and one rename puts the new database in the old one's place.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::bistro;
use super::super::engine::copy;
use super::super::engine::look::beside;
use super::super::verify::{self, Report};
use super::super::{BISTRO_FILE, CONTROL_FILE};
use super::{BackupError, Backups, Reason, discard, entry, files, forget_sign_ins};

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    pub name: String,
    /// The backup of what was there before; None: there was nothing.
    pub safety: Option<String>,
    pub orders: i64,
    pub order_ids_sha256: String,
}

/// A backup put back into a temporary place, which goes with this value.
#[derive(Debug)]
pub struct Staged {
    name: String,
    folder: PathBuf,
    pub report: Report,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.folder.exists() {
            discard(&self.folder);
        }
    }
}

impl Backups {
    /// Puts the backup's files back into a temporary place, compares them with the manifest, brings an
    /// older database up to date there, and looks at every row.
    pub fn stage(&self, name: &str) -> Result<Staged, BackupError> {
        self.go_on()?;
        self.sweep();
        let (from, manifest) = self.find(name)?;
        let mut staged = Staged { name: name.to_owned(), folder: self.temporary()?, report: Report::default() };
        let mut wrong = Vec::new();
        for file in &manifest.files {
            self.go_on()?;
            // The manifest names files of its own folder and no other.
            if ![BISTRO_FILE, CONTROL_FILE].contains(&file.name.as_str()) {
                wrong.push(format!("{} is no database of ours", file.name));
                continue;
            }
            match files::copy(&from.join(&file.name), &staged.folder.join(&file.name)) {
                Ok((bytes, sha256)) if bytes == file.bytes && sha256 == file.sha256 => {}
                Ok(_) => wrong.push(format!("{} is not what the manifest says (SHA-256)", file.name)),
                Err(error) => wrong.push(format!("{} can't be read: {error}", file.name)),
            }
        }
        let restaurant = staged.folder.join(BISTRO_FILE);
        if wrong.is_empty()
            && restaurant.exists()
            && let Err(error) = bistro::migrate(&restaurant)
        {
            wrong.push(error.to_string());
        }
        if wrong.is_empty() {
            // A safety backup is the file as it was, sign-ins and all.
            let forgotten =
                manifest.files.iter().map(|file| forget_sign_ins(&staged.folder.join(&file.name), &file.name));
            wrong.extend(forgotten.filter_map(Result::err).map(|error| error.to_string()));
        }
        self.go_on()?;
        let has_restaurant = manifest.files.iter().any(|file| file.name == BISTRO_FILE);
        staged.report = match (wrong.is_empty(), has_restaurant) {
            (true, true) => verify::verify(&staged.folder).unwrap_or_else(|error| Report::broken(error.to_string())),
            (true, false) => match verify::whole(&staged.folder.join(CONTROL_FILE)) {
                Ok(()) => Report::nothing_wrong(),
                Err(why) => Report::broken(format!("{CONTROL_FILE} is damaged: {why}")),
            },
            (false, _) => Report::refused(wrong),
        };
        self.go_on()?;
        Ok(staged)
    }

    /// Refuses what is not sound; nothing was touched yet.
    pub fn sound(&self, name: &str) -> Result<Staged, BackupError> {
        let staged = self.stage(name)?;
        match staged.report.wrong.first() {
            None => Ok(staged),
            Some(why) => Err(BackupError::Unsound { name: name.to_owned(), why: why.clone() }),
        }
    }

    /// Restores on a folder that no server runs on. The restaurant's data always; the console's (owner and
    /// passwords) when asked for, or when there is none.
    pub fn restore(&self, name: &str, with_console: bool) -> Result<Restored, BackupError> {
        let staged = self.sound(name)?;
        let control = with_console || !self.data.join(CONTROL_FILE).exists();
        // Two databases that know nothing of each other, each old or new at any moment.
        let files = [(CONTROL_FILE, control), (BISTRO_FILE, true)];
        let files = files.into_iter().filter(|(_, wanted)| *wanted).map(|(file, _)| file);
        let files: Vec<&str> = files.filter(|file| staged.folder.join(file).exists()).collect();
        let safety = self.keep_present(&files)?;
        for file in files {
            self.install(&staged, file).inspect_err(|_| self.sweep())?;
        }
        Ok(staged.restored(safety))
    }

    /// The second half of a restore of the restaurant alone, while its file is closed in this process.
    pub fn swap(&self, staged: &Staged) -> Result<Restored, BackupError> {
        let safety = self.keep_present(&[BISTRO_FILE])?;
        // The staged folder is not finished, either, but there is nothing left to do with it.
        self.install(staged, BISTRO_FILE).inspect_err(|_| self.sweep())?;
        Ok(staged.restored(safety))
    }

    fn install(&self, staged: &Staged, file: &str) -> Result<(), BackupError> {
        let target = self.data.join(file);
        files::install(&staged.folder.join(file), &target).map_err(|error| BackupError::Io(target, error))
    }

    /// Keeps what will be replaced: as a backup like any other, by a second name for the file where that
    /// can be. What can't be read is kept as it is, log and all.
    fn keep_present(&self, names: &[&str]) -> Result<Option<String>, BackupError> {
        let present: Vec<&str> = names.iter().copied().filter(|name| self.data.join(name).exists()).collect();
        let logs = names.iter().any(|name| beside(&self.data.join(name), "-wal").exists());
        if present.is_empty() && !logs {
            return Ok(None);
        }
        let mut readable = !present.is_empty();
        for name in &present {
            match copy::settle(&self.data.join(name)) {
                Ok(()) => {}
                Err(why) if verify::whole(&self.data.join(name)).is_ok() => {
                    return Err(BackupError::NotReplaced(format!("{name}: {why}")));
                }
                Err(why) => {
                    log::warn!("backup: {name} is kept as it is: {why}");
                    readable = false;
                }
            }
        }
        let kept = if readable { self.keep_readable(&present) } else { self.keep_damaged(names) };
        kept.map(Some)
    }

    fn keep_readable(&self, names: &[&str]) -> Result<String, BackupError> {
        let kept = self.make(Reason::Safety, |unfinished, manifest| {
            for name in names {
                let target = unfinished.join(name);
                files::link(&self.data.join(name), &target).map_err(|error| BackupError::Io(target.clone(), error))?;
                manifest.files.push(entry(&target, name)?);
                if *name == BISTRO_FILE {
                    manifest.counts = super::look(&target, super::counts).ok();
                }
            }
            Ok(())
        });
        kept.map(|listed| listed.name)
    }

    fn keep_damaged(&self, names: &[&str]) -> Result<String, BackupError> {
        let kept = self.make(Reason::Damaged, |unfinished, manifest| {
            for name in names {
                for suffix in ["", "-wal"] {
                    let name = format!("{name}{suffix}");
                    let (source, target) = (self.data.join(&name), unfinished.join(&name));
                    if source.exists() {
                        let io = |error| BackupError::Io(target.clone(), error);
                        let (bytes, sha256) = files::copy(&source, &target).map_err(io)?;
                        manifest.files.push(super::FileEntry { name, bytes, sha256, schema: None });
                    }
                }
            }
            Ok(())
        });
        kept.map(|listed| listed.name)
    }
}

impl Staged {
    fn restored(&self, safety: Option<String>) -> Restored {
        let Report { orders, order_ids_sha256, .. } = &self.report;
        let (orders, order_ids_sha256) = (*orders, order_ids_sha256.clone());
        Restored { name: self.name.clone(), safety, orders, order_ids_sha256 }
    }
}
