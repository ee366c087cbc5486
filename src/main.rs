//! One screen: parse, log, run one command.

use std::process::ExitCode;

use clap::Parser;
use roundtrip::cli::{self, Command};

fn main() -> ExitCode {
    let command = Command::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match cli::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roundtrip: {error}");
            ExitCode::from(error.code())
        }
    }
}
