//! What time it is by those by whose clock the world goes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::source::AcmeSettings;
use crate::time::{Clock, Compared, SystemClock, Timestamp};

/// The machine's clock beside those of the CAs, put right by what public ones say of the time.
///
/// As a [`Clock`] it is the best that is known: of what clients of the world see it judges as they do.
pub struct Reckoning {
    began: Instant,
    compared: Mutex<Clocks>,
}

#[derive(Default)]
struct Clocks {
    /// With the public CA that was heard last.
    public: Option<Compared>,
    /// By host.
    of_cas: BTreeMap<String, Compared>,
}

impl Reckoning {
    /// Seconds that our clock, which shows `now`, is ahead of the public CAs' (zero below two minutes); `None` when none has told
    /// the time since the start, or since our clock was set.
    pub fn ahead(&self, now: Timestamp) -> Option<i64> {
        let public = self.clocks().public;
        public?.ahead(now, self.began.elapsed())
    }

    /// As [`ahead`](Self::ahead), of the CA at this host, be it public or not.
    pub fn ahead_of(&self, host: &str, now: Timestamp) -> Option<i64> {
        let compared = self.clocks().of_cas.get(host).copied();
        compared?.ahead(now, self.began.elapsed())
    }

    /// A CA has said that our clock, which shows `now`, is so many seconds ahead. Whose clock is wrong is plain with a public CA; a
    /// private one's may be.
    pub(super) fn note(&self, ca: &AcmeSettings, ahead: i64, now: Timestamp) {
        let compared = Compared::new(ahead, now, self.began.elapsed());
        let mut clocks = self.clocks();
        if ca.is_public() {
            clocks.public = Some(compared);
        }
        clocks.of_cas.insert(ca.host(), compared);
    }

    fn clocks(&self) -> MutexGuard<'_, Clocks> {
        self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Reckoning {
    fn default() -> Self {
        Self { began: Instant::now(), compared: Mutex::default() }
    }
}

#[async_trait]
impl Clock for Reckoning {
    fn now(&self) -> Timestamp {
        let ours = SystemClock.now();
        ours.shifted(-self.ahead(ours).unwrap_or(0))
    }

    async fn sleep_until(&self, until: Timestamp) {
        let ours = SystemClock.now();
        SystemClock.sleep_until(until.shifted(self.ahead(ours).unwrap_or(0))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::TrustAnchors;

    #[test]
    fn given_a_date_when_noted_then_a_public_ca_says_how_far_our_clock_is_ahead_and_no_other() {
        let (reckoning, now) = (Reckoning::default(), SystemClock.now());
        let mut ca = AcmeSettings { directory: "https://ca.test/dir".to_owned(), ..AcmeSettings::default() };
        ca.trust_anchors = Some(TrustAnchors::mozilla());
        reckoning.note(&ca, 18_000, now);
        assert_eq!((reckoning.ahead(now), reckoning.ahead_of("ca.test", now)), (None, Some(18_000)));
        ca.trust_anchors = None;
        reckoning.note(&ca, 18_000, now);
        assert_eq!(reckoning.ahead(now), Some(18_000), "browsers believe it");
        assert!(Clock::now(&reckoning) < now.shifted(-17_000));
        // Our clock was set.
        let right = now.shifted(-18_000);
        assert_eq!((reckoning.ahead(right), reckoning.ahead_of("ca.test", right)), (None, None));
    }
}
