//! Names to addresses, without blocking and without giving up what worked.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

/// The addresses of one host, resolved again every 30 s and after a failed connect.
///
/// The last answer that worked is kept while the resolver fails.
pub(super) struct Addresses {
    host: String,
    port: u16,
    known: ArcSwapOption<Known>,
    /// Moves on after a failed connect, so that the next try takes another address.
    turn: AtomicUsize,
    refreshing: Mutex<()>,
    /// The resolver gave no answer last time.
    is_failing: AtomicBool,
}

struct Known {
    addresses: Vec<SocketAddr>,
    until: Instant,
}

impl Known {
    fn at(&self, turn: usize) -> SocketAddr {
        self.addresses[turn % self.addresses.len()]
    }
}

impl Addresses {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            known: ArcSwapOption::empty(),
            turn: AtomicUsize::new(0),
            refreshing: Mutex::const_new(()),
            is_failing: AtomicBool::new(false),
        }
    }

    /// The address to connect to now.
    ///
    /// # Errors
    ///
    /// The resolver's own error, when there is no earlier answer either.
    pub(super) async fn next(self: &Arc<Self>) -> io::Result<SocketAddr> {
        match self.known.load_full() {
            Some(known) => {
                if Instant::now() >= known.until {
                    self.refresh_in_background();
                }
                Ok(self.pick(&known))
            }
            None => {
                let _one_at_a_time = self.refreshing.lock().await;
                if let Some(known) = self.known.load_full() {
                    return Ok(self.pick(&known));
                }
                let known = self.resolve().await?;
                Ok(self.pick(&known))
            }
        }
    }

    /// Tells that `address` did not answer.
    ///
    /// Only the one that is used now moves on: of several requests that fail at a time, each would skip one more, and two
    /// of them would come back to the address that failed.
    pub(super) fn failed(self: &Arc<Self>, address: SocketAddr) {
        let turn = self.turn.load(Ordering::Acquire);
        if self.known.load().as_ref().is_some_and(|known| known.at(turn) == address) {
            // Who lost the race was told the same.
            let _ = self.turn.compare_exchange(turn, turn.wrapping_add(1), Ordering::AcqRel, Ordering::Relaxed);
        }
        self.refresh_in_background();
    }

    fn pick(&self, known: &Known) -> SocketAddr {
        known.at(self.turn.load(Ordering::Acquire))
    }

    fn refresh_in_background(self: &Arc<Self>) {
        let this = self.clone();
        tokio::spawn(async move {
            let Ok(_one_at_a_time) = this.refreshing.try_lock() else { return };
            this.told(this.resolve().await.err());
        });
    }

    /// Logs a change, not every failure: there is one with each request.
    fn told(&self, error: Option<io::Error>) {
        match (error, self.is_failing.load(Ordering::Relaxed)) {
            (Some(error), false) => {
                warn!(host = self.host, %error, "cannot resolve the upstream; its last known address stays in use");
                self.is_failing.store(true, Ordering::Relaxed);
            }
            (None, true) => {
                info!(host = self.host, "the upstream can be resolved again");
                self.is_failing.store(false, Ordering::Relaxed);
            }
            (Some(_), true) | (None, false) => {}
        }
    }

    async fn resolve(&self) -> io::Result<Arc<Known>> {
        let addresses: Vec<_> = tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        let known = Arc::new(Known { addresses, until: Instant::now() + KEPT });
        self.known.store(Some(known.clone()));
        Ok(known)
    }
}

/// Short enough to follow a host that moves, long enough to cost nothing.
const KEPT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn given_an_address_when_asked_then_itself() {
        let addresses = Arc::new(Addresses::new("127.0.0.1", 81));
        assert_eq!(addresses.next().await.unwrap(), "127.0.0.1:81".parse().unwrap());
    }

    #[tokio::test]
    async fn given_an_unknown_name_when_asked_then_the_resolvers_error() {
        assert!(Arc::new(Addresses::new("nowhere.invalid", 81)).next().await.is_err());
    }

    #[tokio::test]
    async fn given_two_addresses_when_one_failed_then_the_other() {
        let addresses = Arc::new(Addresses::new("127.0.0.1", 81));
        let two = ["127.0.0.1:81".parse().unwrap(), "127.0.0.2:81".parse().unwrap()];
        addresses.known.store(Some(Arc::new(Known { addresses: two.to_vec(), until: Instant::now() + KEPT })));

        assert_eq!(addresses.next().await.unwrap(), two[0]);
        // Two requests were under way to it.
        addresses.failed(two[0]);
        addresses.failed(two[0]);
        assert_eq!(addresses.next().await.unwrap(), two[1]);
    }
}
