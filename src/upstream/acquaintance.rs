//! Servers that are believed by what they showed at first use.
//!
//! # Promises
//!
//! The first certificate is on the disk before it is believed; another one is refused until an operator accepts it, over
//! restarts and reloads; what is known in memory is known to every peer of that address at once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;
use tracing::{info, warn};

use super::ProbeError;
use crate::causes::with_causes;
use crate::pki::{CertificateChain, Fingerprint, LeafFacts};
use crate::store::{KnownBy, KnownPeer, RefusedPeer, Replaced, Store, StoreError};
use crate::time::{Clock, SystemClock, Timestamp};

/// Address and server name.
type Place = (String, String);

/// All of them. Clones share it; the default knows nobody, and has nowhere to keep what it learns.
#[derive(Clone, Default)]
pub struct Acquaintances {
    store: Option<Store>,
    known: Arc<Mutex<HashMap<Place, Arc<Acquaintance>>>>,
}

/// One server: an address, and the name that it is asked by.
pub(super) struct Acquaintance {
    store: Option<Store>,
    address: String,
    server_name: String,
    /// Read once, and replaced when an operator accepts another.
    known: ArcSwapOption<Known>,
    /// When another certificate was written down last.
    noted: Mutex<Option<Instant>>,
}

/// A certificate that is believed.
#[derive(Clone, Debug)]
pub struct Known {
    /// What it says.
    pub leaf: LeafFacts,
    /// From when on, and why.
    pub record: KnownPeer,
}

/// What a certificate is, seen beside the one that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing is known yet.
    First,
    /// The known one.
    Same,
    /// Another one.
    Changed,
}

impl Acquaintances {
    /// Those that are kept in `store`.
    pub fn new(store: Store) -> Self {
        Self { store: Some(store), known: Arc::default() }
    }

    /// The server at `address` (`host:port`), asked by `server_name`.
    pub(super) fn of(&self, address: &str, server_name: &str) -> Arc<Acquaintance> {
        let key = (address.to_owned(), server_name.to_owned());
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            Arc::new(Acquaintance {
                store: self.store.clone(),
                address: key.0.clone(),
                server_name: key.1.clone(),
                known: ArcSwapOption::empty(),
                noted: Mutex::default(),
            })
        };
        all.entry(key.clone()).or_insert_with(made).clone()
    }
}

impl Acquaintance {
    /// The certificate that is believed, as far as it was needed by now.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.known.load().as_ref().map(|known| known.leaf.fingerprint)
    }

    /// Whether what was shown at `address` is what was shown first; from now on it is, when it was the first.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Changed`], and [`ProbeError::Forgetful`] when nothing can be read or kept.
    pub(super) async fn judge(
        self: &Arc<Self>,
        upstream: &str,
        address: SocketAddr,
        chain: &CertificateChain,
    ) -> Result<(), ProbeError> {
        let shown = chain.leaf();
        let forgetful = |source| ProbeError::Forgetful { address, source };
        let known = self.known().await.map_err(forgetful)?;
        let known = match (Verdict::of(known.as_ref().map(|known| &known.leaf), shown), known) {
            (Verdict::Same, _) => return Ok(()),
            (Verdict::Changed, Some(known)) => known,
            (Verdict::First | Verdict::Changed, _) => {
                let met = self.meet(upstream, chain).await.map_err(forgetful)?;
                // Another process may have met another one.
                if Verdict::of(Some(&met.leaf), shown) == Verdict::Same {
                    return Ok(());
                }
                met
            }
        };
        self.note_refused(chain).await;
        Err(ProbeError::Changed {
            address,
            since: known.record.since,
            known: Box::new(known.leaf.clone()),
            shown: Box::new(shown.clone()),
        })
    }

    /// Believes `chain` from now on, because an operator has named it.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the one before is believed then.
    pub(super) async fn accept(self: &Arc<Self>, upstream: &str, chain: &CertificateChain) -> Result<(), StoreError> {
        let (name, leaf) = (upstream.to_owned(), chain.clone());
        let record = self
            .with_store(move |store, acquaintance| accept(store, acquaintance.key(), &name, &leaf, SystemClock.now()))
            .await?;
        self.known.store(Some(Arc::new(Known { leaf: chain.leaf().clone(), record })));
        Ok(())
    }

    fn key(&self) -> (&str, &str) {
        (&self.address, &self.server_name)
    }

    async fn known(self: &Arc<Self>) -> Result<Option<Arc<Known>>, StoreError> {
        if let Some(known) = self.known.load_full() {
            return Ok(Some(known));
        }
        let read = self.with_store(|store, own| store.known_peer(&own.address, &own.server_name)).await?;
        self.learn(read).map(|()| self.known.load_full())
    }

    async fn meet(self: &Arc<Self>, upstream: &str, chain: &CertificateChain) -> Result<Arc<Known>, StoreError> {
        let first = KnownPeer {
            upstream: upstream.to_owned(),
            certificate: leaf_pem(chain),
            since: SystemClock.now(),
            by: KnownBy::FirstUse,
            before: None,
            refused: None,
        };
        let asked = first.clone();
        let kept = self.with_store(move |store, own| store.meet_peer(&own.address, &own.server_name, first)).await?;
        let is_ours = kept == asked;
        let known = Arc::new(Known::read(kept).ok_or_else(|| self.damaged())?);
        self.known.store(Some(known.clone()));
        if is_ours {
            tell_of_first(upstream, &self.address, &known.leaf);
        }
        Ok(known)
    }

    fn learn(&self, record: Option<KnownPeer>) -> Result<(), StoreError> {
        let Some(record) = record else { return Ok(()) };
        let known = Known::read(record).ok_or_else(|| self.damaged())?;
        self.known.store(Some(Arc::new(known)));
        Ok(())
    }

    /// Writes down what was shown in place of the known one, so that it can be seen with the process stopped; once a minute
    /// at most, whoever shows how many.
    async fn note_refused(self: &Arc<Self>, chain: &CertificateChain) {
        let pem = leaf_pem(chain);
        let is_known = self.known.load().as_ref().is_some_and(|known| known.has_refused(&pem));
        if is_known || !self.may_note() {
            return;
        }
        let at = SystemClock.now();
        let noted = self.with_store(move |store, own| {
            let known = store.known_peer(&own.address, &own.server_name)?;
            let refused = RefusedPeer { certificate: pem, at };
            let note = |now: Option<KnownPeer>| now.map(|now| KnownPeer { refused: Some(refused), ..now });
            match known {
                Some(known) => {
                    store.replace_known_peer(&own.address, &own.server_name, |now| note(now).unwrap_or(known)).map(Some)
                }
                None => Ok(None),
            }
        });
        match noted.await {
            Ok(Some(record)) => {
                // The certificate is unchanged, so it can be read.
                let _ = self.learn(Some(record));
            }
            Ok(None) => {}
            Err(error) => warn!(address = self.address, "{}", with_causes(&error)),
        }
    }

    fn may_note(&self) -> bool {
        let (mut noted, now) = (self.noted.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let may = noted.is_none_or(|at| now >= at + NOTED_EVERY);
        if may {
            *noted = Some(now);
        }
        may
    }

    async fn with_store<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Store, &Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let own = self.clone();
        let done = tokio::task::spawn_blocking(move || match &own.store {
            Some(store) => work(store, &own),
            None => Err(StoreError::nowhere()),
        });
        done.await.unwrap_or_else(|_panicked| Err(StoreError::nowhere()))
    }

    fn damaged(&self) -> StoreError {
        match &self.store {
            Some(store) => store.damaged_known_peer(&self.address, &self.server_name),
            None => StoreError::nowhere(),
        }
    }
}

impl Known {
    /// `None` when the certificate in it cannot be read.
    pub fn read(record: KnownPeer) -> Option<Self> {
        let chain = CertificateChain::from_pem(record.certificate.as_bytes()).ok()?;
        Some(Self { leaf: chain.leaf().clone(), record })
    }

    /// What was shown in its place, with the time.
    pub fn refused(&self) -> Option<(LeafFacts, Timestamp)> {
        let refused = self.record.refused.as_ref()?;
        let chain = CertificateChain::from_pem(refused.certificate.as_bytes()).ok()?;
        Some((chain.leaf().clone(), refused.at))
    }

    fn has_refused(&self, pem: &str) -> bool {
        self.record.refused.as_ref().is_some_and(|refused| refused.certificate == pem)
    }
}

impl Verdict {
    fn of(known: Option<&LeafFacts>, shown: &LeafFacts) -> Self {
        match known {
            None => Self::First,
            Some(known) if known.fingerprint == shown.fingerprint => Self::Same,
            Some(_) => Self::Changed,
        }
    }
}

/// Writes down, without a running process, that the leaf of `chain` is believed; `key` is address and server name.
///
/// # Errors
///
/// [`StoreError::Io`].
pub fn accept(
    store: &Store,
    (address, server_name): (&str, &str),
    upstream: &str,
    chain: &CertificateChain,
    now: Timestamp,
) -> Result<KnownPeer, StoreError> {
    let leaf = chain.leaf().fingerprint;
    store.replace_known_peer(address, server_name, |known| {
        let before = known.and_then(Known::read).filter(|known| known.leaf.fingerprint != leaf);
        KnownPeer {
            upstream: upstream.to_owned(),
            certificate: leaf_pem(chain),
            since: now,
            by: KnownBy::Operator,
            before: before.map(|known| Replaced { fingerprint: known.leaf.fingerprint.to_string(), at: now }),
            refused: None,
        }
    })
}

/// A leaf in one line: whom it is issued to, its dates, its fingerprint. Whatever it says, it stays one line.
pub fn in_words(leaf: &LeafFacts) -> String {
    let names = if leaf.names.is_empty() { "no name".to_owned() } else { leaf.names.join(", ") };
    let subject: String = format!("CN {:?} ({})", leaf.common_name, names.escape_debug()).chars().take(160).collect();
    format!("{subject}, valid from {} until {}, fingerprint {}", leaf.not_before, leaf.not_after, leaf.fingerprint)
}

fn tell_of_first(upstream: &str, address: &str, leaf: &LeafFacts) {
    info!(
        upstream,
        address,
        fingerprint = %leaf.fingerprint,
        pin = %leaf.pin,
        "first use: this certificate is believed from now on, and no other: {}",
        in_words(leaf)
    );
}

fn leaf_pem(chain: &CertificateChain) -> String {
    let leaf = chain.certificates().iter().take(1).cloned().collect();
    // One certificate of a chain that was read is a chain that can be read.
    CertificateChain::from_der(leaf).map(|leaf| leaf.to_pem()).unwrap_or_default()
}

const NOTED_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Identity;

    #[tokio::test]
    async fn given_a_server_when_met_then_only_its_first_certificate_until_another_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let (first, other) = (chain(), chain());
        let met = || Acquaintances::new(Store::open(dir.path()).unwrap()).of("legacy:8443", "legacy");
        met().judge("legacy", AT.parse().unwrap(), &first).await.unwrap();

        // As after a restart.
        let again = met();
        again.judge("legacy", AT.parse().unwrap(), &first).await.unwrap();
        let error = again.judge("legacy", AT.parse().unwrap(), &other).await.unwrap_err().to_string();
        for leaf in [&first, &other] {
            assert!(error.contains(&leaf.leaf().fingerprint.to_string()), "{error}");
        }
        assert_eq!(again.known.load().as_ref().unwrap().refused().unwrap().0.fingerprint, other.leaf().fingerprint);

        again.accept("legacy", &other).await.unwrap();
        met().judge("legacy", AT.parse().unwrap(), &other).await.unwrap();
        assert!(met().judge("legacy", AT.parse().unwrap(), &first).await.is_err());
    }

    #[tokio::test]
    async fn given_nowhere_to_keep_it_when_met_then_not_believed() {
        let nobody = Acquaintances::default().of("legacy:8443", "legacy");
        let error = nobody.judge("legacy", AT.parse().unwrap(), &chain()).await.unwrap_err();
        assert!(matches!(error, ProbeError::Forgetful { .. }), "{error}");
    }

    #[test]
    fn given_a_hostile_subject_when_told_then_one_short_line() {
        let mut leaf = chain().leaf().clone();
        leaf.common_name = format!("a\n2026 INFO all is well{}", "x".repeat(500));
        leaf.names = vec!["b\r\n".into()];
        let text = in_words(&leaf);
        assert!(!text.contains(['\n', '\r']) && text.len() < 400, "{text}");
    }

    fn chain() -> CertificateChain {
        let now = SystemClock.now();
        let identity = Identity::self_signed(&["legacy".to_owned()], now, now + Duration::from_secs(60));
        identity.unwrap().chain().clone()
    }

    const AT: &str = "127.0.0.1:8443";
}
