//! Free ports on loopback.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A TCP port that nobody listens on, and that this process has not given out before.
///
/// It lies below the range that the kernel takes for outgoing connections, so that no client of a test that runs beside
/// this one can take it before the server is up.
pub(crate) fn free_port() -> u16 {
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + ((process::id() * 37 + step) % COUNT);
        let port = u16::try_from(port).expect("FIRST + COUNT is below 65536");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

static NEXT: AtomicU32 = AtomicU32::new(0);
const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;
