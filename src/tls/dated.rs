//! Sessions that end with what they were judged by.

use std::sync::Arc;

use rustls::server::{ProducesTickets, StoresServerSessions};

use super::Judge;
use crate::time::{Clock, SystemClock};

/// Sessions that are not found again once a list or a trust anchor has run out, or begun to count: a full handshake judges
/// then, with the right alert, and a client may show another certificate.
#[derive(Debug)]
pub(super) struct Dated<T> {
    sessions: T,
    judge: Arc<Judge>,
}

impl<T> Dated<T> {
    pub(super) fn new(sessions: T, judge: Arc<Judge>) -> Self {
        Self { sessions, judge }
    }

    fn epoch(&self) -> [u8; 8] {
        (self.judge.epoch(SystemClock.now()) as u64).to_be_bytes()
    }

    fn date(&self, session: &[u8]) -> Vec<u8> {
        [&self.epoch(), session].concat()
    }

    /// `None` for one of another time.
    fn undate(&self, dated: &[u8]) -> Option<Vec<u8>> {
        dated.strip_prefix(&self.epoch()).map(<[u8]>::to_vec)
    }
}

impl ProducesTickets for Dated<Arc<dyn ProducesTickets>> {
    fn enabled(&self) -> bool {
        self.sessions.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.sessions.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.sessions.encrypt(&self.date(plain))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.undate(&self.sessions.decrypt(cipher)?)
    }
}

impl StoresServerSessions for Dated<Arc<dyn StoresServerSessions>> {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.sessions.put(key, self.date(&value))
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.undate(&self.sessions.get(key)?)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.undate(&self.sessions.take(key)?)
    }

    fn can_cache(&self) -> bool {
        self.sessions.can_cache()
    }
}

#[cfg(test)]
mod tests {
    use rustls::server::ServerSessionMemoryCache;

    use super::super::judge::tests::{ALWAYS, ca, crl, judge, trust};
    use super::*;

    #[test]
    fn given_a_session_when_looked_for_in_its_time_then_found_and_in_another_not() {
        let staff = ca("Staff", 11, None, ALWAYS);
        let judges =
            [vec![], vec![crl(&staff, &[], 400)]].map(|lists| Arc::new(judge(&trust(&[&staff], &lists), None)));
        // Both a list and the anchor have run out, and by the other's rules only the anchor.
        let inner: Arc<dyn StoresServerSessions> = ServerSessionMemoryCache::new(16);
        let [one, other] = judges.clone().map(|judge| Dated::new(inner.clone(), judge));
        assert!(one.can_cache() && one.put(b"key".to_vec(), b"session".to_vec()));
        assert_eq!(one.get(b"key").as_deref(), Some(&b"session"[..]));
        assert_eq!((other.get(b"key"), other.get(b"none")), (None, None));
        assert_eq!(one.take(b"key").as_deref(), Some(&b"session"[..]));

        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let [one, other] = judges.map(|judge| Dated::new(tickets.clone(), judge));
        let ticket = one.encrypt(b"session").unwrap();
        assert!(one.enabled() && one.lifetime() > 0);
        assert_eq!(one.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(other.decrypt(&ticket), None);
        assert_eq!(one.decrypt(b"forged"), None);
    }
}
