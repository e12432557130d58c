//! The `portvakt` program; everything lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    portvakt::cli::main()
}
