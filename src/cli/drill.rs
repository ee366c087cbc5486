//! `roundtrip drill`.

use clap::Args;

use super::CliError;

#[derive(Debug, Args)]
pub struct DrillFlags {}

pub async fn drill(_: DrillFlags) -> Result<(), CliError> {
    Ok(())
}
