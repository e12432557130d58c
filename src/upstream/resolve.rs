//! Names to addresses, without blocking and without giving up what worked.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

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
}

struct Known {
    addresses: Vec<SocketAddr>,
    until: Instant,
}

impl Addresses {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            known: ArcSwapOption::empty(),
            turn: AtomicUsize::new(0),
            refreshing: Mutex::const_new(()),
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

    /// Tells that the address given last did not answer.
    pub(super) fn failed(self: &Arc<Self>) {
        self.turn.fetch_add(1, Ordering::Relaxed);
        self.refresh_in_background();
    }

    fn pick(&self, known: &Known) -> SocketAddr {
        known.addresses[self.turn.load(Ordering::Relaxed) % known.addresses.len()]
    }

    fn refresh_in_background(self: &Arc<Self>) {
        let this = self.clone();
        tokio::spawn(async move {
            let Ok(_one_at_a_time) = this.refreshing.try_lock() else { return };
            if let Err(error) = this.resolve().await {
                warn!(host = this.host, %error, "cannot resolve the upstream; its last known address stays in use");
            }
        });
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
        addresses.turn.fetch_add(1, Ordering::Relaxed);
        assert_eq!(addresses.next().await.unwrap(), two[1]);
    }
}
