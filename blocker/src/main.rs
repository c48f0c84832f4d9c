//! The `blocker` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    blocker::cli::main()
}
