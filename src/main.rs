//! One screen: parse, run one command.

use std::process::ExitCode;

use clap::Parser;
use roundtrip::cli::{self, Command};

fn main() -> ExitCode {
    match cli::run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roundtrip: {error}");
            ExitCode::from(error.code())
        }
    }
}
