//! Clients' certificates: what is believed, and what a client has proven.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls::pki_types::CertificateDer;

use super::Judge;
use crate::pki::{CertificateChain, Crl, Holder, TrustAnchors};
use crate::time::Timestamp;

/// Which certificates of clients are believed (RFC 5280 §6), and whether one is demanded.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientTrust {
    /// A handshake without a certificate fails; else it goes on, and requests are judged one by one.
    pub is_required: bool,
    /// Whom a chain has to lead to.
    pub anchors: TrustAnchors,
    /// Whose certificates are revoked. With any, a leaf whose issuer has no list here is refused.
    pub crls: Vec<ClientCrl>,
    /// A list whose `nextUpdate` has passed counts on; else it refuses everybody whom it speaks of.
    pub takes_old_crls: bool,
}

/// A list of revoked certificates, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCrl {
    /// The name of the file, without its folder.
    pub file: String,
    /// What it holds.
    pub list: Crl,
}

impl ClientTrust {
    /// Whether a client that has shown nothing under `other` would be asked for the same again.
    pub(super) fn asks_like(&self, other: &Self) -> bool {
        (self.is_required, &self.anchors) == (other.is_required, &other.anchors)
    }
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (anchors, crls) = (self.anchors.certificates().len(), self.crls.len());
        write!(f, "ClientTrust(required: {}, anchors: {anchors}, crls: {crls})", self.is_required)
    }
}

/// A certificate that a client has shown in a handshake, or in the one that its session comes from.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// What it says.
    pub holder: Holder,
    /// As sent, the leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// When the certificates above the leaf run out.
    ends_above: Vec<Timestamp>,
}

impl ClientCertificate {
    /// `None` when nothing was shown, or it cannot be read.
    fn read(chain: Option<&[CertificateDer<'static>]>) -> Option<Self> {
        let chain = chain?;
        let holder = Holder::read(chain.first()?).ok()?;
        let above = chain[1..].iter().filter_map(|one| CertificateChain::from_der(vec![one.clone()]).ok());
        let ends_above = above.map(|one| one.not_after()).collect();
        Some(Self { holder, chain: chain.to_vec(), ends_above })
    }

    fn ended_above(&self, now: Timestamp) -> usize {
        self.ends_above.iter().filter(|end| **end < now).count()
    }
}

/// What a client has proven in its handshake, and whether it counts still.
///
/// # Why
///
/// A session that is resumed brings its certificate along and is judged by nobody, and a connection may last for days. So
/// the certificate is judged again when a handshake has ended, whenever other rules hold, and whenever a list or a
/// certificate above it has run out or begun to count since.
#[derive(Debug)]
pub struct Proof {
    certificate: Option<ClientCertificate>,
    verdict: Mutex<Verdict>,
}

/// What was judged last, by whom and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    /// Numbers of the rules, and of what they ask for; `None` where no certificate was asked for.
    rules: Option<(u64, u64)>,
    epoch: usize,
    /// How many certificates above the leaf had run out.
    ended: usize,
    is_good: bool,
}

impl Proof {
    /// Judges what a handshake has brought, or the one that its session comes from.
    pub(super) fn of(chain: Option<&[CertificateDer<'static>]>, judge: Option<&Judge>, now: Timestamp) -> Self {
        let certificate = judge.and_then(|_| ClientCertificate::read(chain));
        let verdict = Verdict::on(certificate.as_ref(), judge, now);
        Self { certificate, verdict: Mutex::new(verdict) }
    }

    /// The certificate; whether it counts, [`Proof::is_good`] tells.
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        self.certificate.as_ref()
    }

    /// Whether what was proven counts by the rules of `judge`, which are those of now.
    ///
    /// `false` wants a new handshake: the certificate is not believed any more, or none was asked for, or for that of others.
    pub fn is_good(&self, judge: Option<&Judge>, now: Timestamp) -> bool {
        let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        let certificate = self.certificate.as_ref();
        if !verdict.holds(certificate, judge, now) {
            *verdict = verdict.renewed(certificate, judge, now);
        }
        verdict.is_good
    }
}

impl Verdict {
    fn on(certificate: Option<&ClientCertificate>, judge: Option<&Judge>, now: Timestamp) -> Self {
        let Some(judge) = judge else { return Self { rules: None, epoch: 0, ended: 0, is_good: true } };
        Self {
            rules: Some((judge.number(), judge.asking())),
            epoch: judge.epoch(now),
            ended: certificate.map_or(0, |certificate| certificate.ended_above(now)),
            is_good: certificate.is_none_or(|certificate| judge.believes(&certificate.chain, now)),
        }
    }

    fn holds(&self, certificate: Option<&ClientCertificate>, judge: Option<&Judge>, now: Timestamp) -> bool {
        let ended = certificate.map_or(0, |certificate| certificate.ended_above(now));
        let is_of_now = |judge: &Judge| judge.epoch(now) == self.epoch && ended == self.ended;
        self.rules.map(|(number, _)| number) == judge.map(Judge::number) && judge.is_none_or(is_of_now)
    }

    fn renewed(self, certificate: Option<&ClientCertificate>, judge: Option<&Judge>, now: Timestamp) -> Self {
        let asked = |rules: Option<(u64, u64)>| rules.map(|(_, asking)| asking);
        let new = Self::on(certificate, judge, now);
        let counts = match certificate {
            Some(_) => new.rules.is_some(),
            // Who is asked for something else now may have it.
            None => self.is_good && asked(self.rules) == asked(new.rules),
        };
        Self { is_good: new.is_good && counts, ..new }
    }
}

/// Is told how a handshake ended, before the first request.
pub trait Handshaken: Send + Sync + 'static {
    /// `proof` is what the client has shown of itself.
    fn handshaken(&self, proof: Proof);
}

/// Whoever only looks.
impl Handshaken for () {
    fn handshaken(&self, _proof: Proof) {}
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::{ALWAYS, SOON, ca, crl, judge, leaf, trust};
    use super::*;

    #[test]
    fn given_a_certificate_when_rules_change_then_judged_by_those_of_now() {
        let (staff, other) = (ca("Staff", 11, None, ALWAYS), ca("Other", 12, None, ALWAYS));
        let chain = leaf(&staff, 1);
        let first = judge(&trust(&[&staff], &[crl(&staff, &[], SOON)]), None);
        #[rustfmt::skip]
        let table = [
            (trust(&[&staff], &[crl(&staff, &[2], SOON)]), true,  "a new list"),
            (trust(&[&staff], &[crl(&staff, &[1], SOON)]), false, "revoked"),
            (trust(&[&staff, &other], &[]),                true,  "another anchor besides"),
            (trust(&[&other], &[]),                        false, "another anchor"),
        ];
        for (trust, expected, what) in table {
            let proof = Proof::of(Some(&chain), Some(&first), at(500));
            assert!(proof.is_good(Some(&first), at(500)));
            let second = judge(&trust, Some(&first));
            for _ in 0..2 {
                assert_eq!(proof.is_good(Some(&second), at(500)), expected, "{what}");
            }
            assert!(proof.is_good(Some(&first), at(500)), "{what}, and back");
        }
        assert!(
            !Proof::of(Some(&chain), Some(&first), at(500)).is_good(None, at(500)),
            "nothing is asked for any more"
        );
    }

    #[test]
    fn given_nothing_shown_when_rules_change_then_asked_anew_only_for_something_else() {
        let (staff, other) = (ca("Staff", 11, None, ALWAYS), ca("Other", 12, None, ALWAYS));
        let base = trust(&[&staff], &[]);
        let first = judge(&base, None);
        #[rustfmt::skip]
        let table = [
            (trust(&[&staff], &[crl(&staff, &[], SOON)]),            true,  "a list"),
            (trust(&[&staff, &other], &[]),                          false, "another anchor besides"),
            (ClientTrust { is_required: true, ..base.clone() },      false, "it is required"),
        ];
        for (trust, expected, what) in table {
            let proof = Proof::of(None, Some(&first), at(500));
            let second = judge(&trust, Some(&first));
            for _ in 0..2 {
                assert_eq!(proof.is_good(Some(&second), at(500)), expected, "{what}");
            }
            assert_eq!(proof.is_good(Some(&first), at(500)), expected, "{what}: an answer is not taken back");
        }
        let unasked = Proof::of(None, None, at(500));
        assert!(unasked.is_good(None, at(500)) && !unasked.is_good(Some(&first), at(500)));
    }

    #[test]
    fn given_a_certificate_when_time_passes_then_lists_anchors_and_issuers_have_to_be_in_date() {
        let root = ca("Root", 11, None, (0, 2_000));
        let staff = ca("Staff", 12, Some(&root), (0, 1_000));
        let chain = [leaf(&staff, 1)[0].clone(), staff.der().clone()];
        #[rustfmt::skip]
        let table = [
            (vec![],                          vec![(500, true), (1_000, true), (1_001, false), (900, true)]),
            (vec![crl(&staff, &[], 700)],     vec![(500, true), (699, true), (700, false), (699, true)]),
        ];
        for (lists, moments) in table {
            let judge = judge(&trust(&[&root], &lists), None);
            let proof = Proof::of(Some(&chain), Some(&judge), at(500));
            for (now, expected) in moments {
                assert_eq!(proof.is_good(Some(&judge), at(now)), expected, "{now}");
                let resumed = Proof::of(Some(&chain), Some(&judge), at(now));
                assert_eq!(resumed.is_good(Some(&judge), at(now)), expected, "a session resumed at {now}");
            }
        }
        let anchored = judge(&trust(&[&staff], &[]), None);
        let proof = Proof::of(Some(&chain[..1]), Some(&anchored), at(500));
        assert!(proof.is_good(Some(&anchored), at(1_000)) && !proof.is_good(Some(&anchored), at(1_001)));
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }
}
