//! `roundtrip trust`: the certificate authority's file, for those who want to import it.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;

use super::{CliError, DataDirFlag};

#[derive(Debug, Subcommand)]
pub enum TrustVerb {
    /// Write the authority's certificate (never its key) to standard output or a file
    Export {
        #[command(flatten)]
        folder: DataDirFlag,
        /// File to write
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub fn trust(verb: TrustVerb) -> Result<(), CliError> {
    let TrustVerb::Export { folder, out } = verb;
    let path = folder.resolve()?.join(crate::tls::CA_CERTIFICATE);
    let pem = fs::read_to_string(&path).map_err(|error| {
        CliError::new(format!("{}: {error}; the first start of the server makes it", path.display()))
    })?;
    match out {
        Some(out) => fs::write(&out, pem).map_err(|error| CliError::new(format!("{}: {error}", out.display()))),
        None => {
            print!("{pem}");
            Ok(())
        }
    }
}
