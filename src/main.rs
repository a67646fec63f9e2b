//! Vestibule's binary: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    vestibule::cli::main()
}
