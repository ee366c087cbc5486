//! One screen: parse, log, run one command.

fn main() {}
