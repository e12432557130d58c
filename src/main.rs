//! The `portvakt` program; everything lives in the library.

use std::process::ExitCode;

/// # Why
///
/// glibc gives memory back to the kernel after each large buffer and fetches it anew for the next: a quarter of the work
/// on an answer of 1 MiB (`benches/RESULTS.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portvakt::cli::main()
}
