//! Programs that a test puts where they are then run.
//!
//! # Why another process writes them
//! The tests run as threads of one process that starts children all the time. A child holds every open file of its
//! parent until it runs its own program, so a file that a thread has just written and closed may still be open for
//! writing in a child of another thread, and the kernel refuses to run such a file (`ETXTBSY`).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Puts the program under test at `to`; what runs from there already keeps its file.
pub(crate) fn copy_program(to: &Path) {
    install(Path::new(env!("CARGO_BIN_EXE_portvakt")), to, &[]);
}

/// Puts a program that is `text`, a script with its `#!` line, at `to`; what runs from there already keeps its file.
pub(crate) fn write_program(to: &Path, text: &str) {
    install(Path::new("/dev/stdin"), to, text.as_bytes());
}

/// Under another name first, so that nobody ever meets half a program.
fn install(from: &Path, to: &Path, input: &[u8]) {
    let mut child = Command::new("sh")
        .args(["-ec", r#"cat "$1" >"$2.next"; chmod 755 "$2.next"; mv -T "$2.next" "$2""#, "install"])
        .args([from, to])
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell starts");
    child.stdin.take().expect("a pipe was asked for").write_all(input).expect("the shell reads");
    assert!(child.wait().is_ok_and(|status| status.success()), "{} is not installed", to.display());
}
