//! Doing the steps.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::plan::{Step, Trouble};

/// Characters of a program's complaint that are shown.
const COMPLAINT_CHARS_MAX: usize = 200;

/// Does the steps in order and tells of each. What was written is taken back when a later step fails, so
/// that a plan that failed can be made anew.
pub fn act(steps: &[Step], mut done: impl FnMut(&Step)) -> Result<(), Trouble> {
    for (index, step) in steps.iter().enumerate() {
        if let Err(trouble) = take(step) {
            for written in steps[..index].iter().rev() {
                if let Step::Write { path, .. } = written
                    && let Err(error) = fs::remove_file(path)
                {
                    log::error!("{} could not be taken back: {error}", path.display());
                }
            }
            return Err(Trouble { reason: format!("{step}: {trouble}"), ..trouble });
        }
        done(step);
    }
    Ok(())
}

fn take(step: &Step) -> Result<(), Trouble> {
    match step {
        Step::Write { path, text } => write_new(path, text).map_err(refused),
        Step::Remove { path } => fs::remove_file(path).map_err(refused),
        Step::Run { program, arguments } => {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = output(program, &arguments)?;
            if output.status.success() {
                return Ok(());
            }
            Err(Trouble { reason: complaint(&output), wants_rights: !is_root() })
        }
    }
}

/// The plan saw no file there; one that came meanwhile is somebody else's.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    use io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    let mut file = options.open(path)?;
    // A umask must not make it root's alone: everybody's programs read it.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.write_all(text.as_bytes()).inspect_err(|_| {
        // Half a certificate would stop the next run of the gathering command.
        let _ = fs::remove_file(path);
    })
}

fn refused(error: io::Error) -> Trouble {
    let wants_rights = error.kind() == io::ErrorKind::PermissionDenied;
    Trouble { reason: error.to_string(), wants_rights }
}

/// Runs a program to its end, with nothing to read.
pub fn output(program: &Path, arguments: &[&str]) -> Result<Output, Trouble> {
    let run = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    run.map_err(|error| Trouble::new(format!("{}: {error}", program.display())))
}

/// The last line of what a program said, or how it ended.
pub fn complaint(output: &Output) -> String {
    let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let last = said.iter().find_map(|text| text.lines().map(str::trim).rfind(|line| !line.is_empty()));
    last.map_or_else(|| output.status.to_string(), |line| line.chars().take(COMPLAINT_CHARS_MAX).collect())
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    // The list of the user there needs no more rights.
    true
}
