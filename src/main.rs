//! One screen: parse, run one command.

use std::process::ExitCode;

use clap::Parser;
use roundtrip::cli::{self, Command};

/// What a shell says of a program that nobody listens to any more (128 and SIGPIPE).
const NOBODY_READS: i32 = 141;

fn main() -> ExitCode {
    // `roundtrip logs | head`: the standard library panics where other programs just end.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(|why| why.starts_with("failed printing to stdout: Broken pipe")) {
            std::process::exit(NOBODY_READS);
        }
        usual(panic);
    }));
    match cli::run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roundtrip: {error}");
            ExitCode::from(error.code())
        }
    }
}
