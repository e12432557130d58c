//! Who judges clients' certificates: in a handshake, and whenever the answer may have become another.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::ClientTrust;
use crate::pki::CertificateChain;
use crate::time::Timestamp;

/// Judges by one [`ClientTrust`], at any time.
///
/// # Why
///
/// webpki does not look at the validity of trust anchors (RFC 5280 §6.1 leaves it open), and looks for the leaf's list alone
/// or for lists of every issuer. Here an anchor counts within its dates, as for other servers; the leaf's issuer must have a
/// list where there is any, and a certificate above the leaf is refused by a list that names it.
pub struct Judge {
    trust: ClientTrust,
    provider: Arc<CryptoProvider>,
    /// Other rules have another one.
    number: u64,
    /// Other rules that ask clients for the same have the same.
    asking: u64,
    hints: Vec<DistinguishedName>,
    /// First and last second of each trust anchor.
    validities: Vec<(Timestamp, Timestamp)>,
    /// From each of them on the verdict on a certificate may be another.
    moments: Vec<Timestamp>,
    believed: ArcSwap<Believed>,
}

/// What webpki needs, for the trust anchors of a time.
struct Believed {
    /// Which of them count.
    anchors: Vec<bool>,
    /// `None` when none of them does.
    leaf: Option<Arc<dyn ClientCertVerifier>>,
    /// For chains with certificates above the leaf; `None` without lists.
    above: Option<Arc<dyn ClientCertVerifier>>,
}

impl Judge {
    /// `before` has judged for the same site.
    ///
    /// # Errors
    ///
    /// rustls's word, for lists or trust anchors that it cannot use.
    pub(super) fn new(
        trust: &ClientTrust,
        provider: &Arc<CryptoProvider>,
        before: Option<&Self>,
    ) -> Result<Self, Error> {
        let validities: Vec<_> = trust.anchors.certificates().iter().map(validity).collect();
        let all = Believed::new(trust, provider, vec![true; validities.len()])?;
        let hints = all.leaf.as_ref().map(|leaf| leaf.root_hint_subjects().to_vec()).unwrap_or_default();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let asking = before.filter(|before| before.trust.asks_like(trust)).map_or(number, |before| before.asking);
        let moments = moments(trust, &validities);
        let (trust, provider, believed) = (trust.clone(), provider.clone(), ArcSwap::from_pointee(all));
        Ok(Self { trust, provider, number, asking, hints, validities, moments, believed })
    }

    /// Of these rules.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Of what they ask clients for.
    pub(super) fn asking(&self) -> u64 {
        self.asking
    }

    pub(super) fn is_of(&self, trust: &ClientTrust) -> bool {
        self.trust == *trust
    }

    /// Two times of one epoch have the same trust anchors that are in date, and the same lists that are not old.
    pub(super) fn epoch(&self, now: Timestamp) -> usize {
        self.moments.partition_point(|moment| *moment <= now)
    }

    /// Whether a chain, the leaf first, is believed at a time.
    pub(super) fn believes(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> bool {
        let Some((leaf, above)) = chain.split_first() else { return false };
        self.judge(leaf, above, now).is_ok()
    }

    fn judge(&self, leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>], now: Timestamp) -> Result<(), Error> {
        let believed = self.believed(now)?;
        let Some(verifier) = &believed.leaf else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        // Before 1970 nothing is in date.
        let seconds = u64::try_from(now.as_unix()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verifier.verify_client_cert(leaf, above, now)?;
        if let Some(verifier) = believed.above.as_ref().filter(|_| !above.is_empty()) {
            verifier.verify_client_cert(leaf, above, now)?;
        }
        Ok(())
    }

    fn believed(&self, now: Timestamp) -> Result<Arc<Believed>, Error> {
        let current = self.believed.load_full();
        let is_in_date = |(from, until): &(Timestamp, Timestamp)| *from <= now && now <= *until;
        let anchors: Vec<_> = self.validities.iter().map(is_in_date).collect();
        if current.anchors == anchors {
            return Ok(current);
        }
        let new = Arc::new(Believed::new(&self.trust, &self.provider, anchors)?);
        self.believed.store(new.clone());
        Ok(new)
    }
}

impl Believed {
    fn new(trust: &ClientTrust, provider: &Arc<CryptoProvider>, anchors: Vec<bool>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        let counting = trust.anchors.certificates().iter().zip(&anchors).filter(|(_, counts)| **counts);
        roots.add_parsable_certificates(counting.map(|(der, _)| der.clone()));
        if roots.is_empty() {
            return Ok(Self { anchors, leaf: None, above: None });
        }
        let roots = Arc::new(roots);
        let builder = || {
            let mut builder = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
            if !trust.crls.is_empty() {
                builder = builder.with_crls(trust.crls.iter().map(|crl| crl.list.der()));
            }
            if trust.takes_old_crls { builder } else { builder.enforce_revocation_expiration() }
        };
        let wrong = |error: rustls::server::VerifierBuilderError| Error::General(error.to_string());
        let leaf = builder().only_check_end_entity_revocation().build().map_err(wrong)?;
        let above = match trust.crls.is_empty() {
            true => None,
            false => Some(builder().allow_unknown_revocation_status().build().map_err(wrong)?),
        };
        Ok(Self { anchors, leaf: Some(leaf), above })
    }
}

/// An anchor that cannot be read counts at no time; those of a configuration were read.
fn validity(der: &CertificateDer<'static>) -> (Timestamp, Timestamp) {
    let never = (Timestamp::from_unix(i64::MAX), Timestamp::from_unix(i64::MIN));
    let read = CertificateChain::from_der(vec![der.clone()]);
    read.map_or(never, |chain| (chain.leaf().not_before, chain.leaf().not_after))
}

/// A trust anchor counts through its last second (RFC 5280 §4.1.2.5); a list is old from `nextUpdate` on.
fn moments(trust: &ClientTrust, validities: &[(Timestamp, Timestamp)]) -> Vec<Timestamp> {
    let second = Duration::from_secs(1);
    let of_anchors = validities.iter().flat_map(|(from, until)| [*from, *until + second]);
    let of_lists = trust.crls.iter().filter(|_| !trust.takes_old_crls).map(|crl| crl.list.next_update);
    let mut moments: Vec<_> = of_anchors.chain(of_lists).collect();
    moments.sort();
    moments.dedup();
    moments
}

impl ClientCertVerifier for Judge {
    fn client_auth_mandatory(&self) -> bool {
        self.trust.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let now = Timestamp::from_unix(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        self.judge(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Judge({}, {:?})", self.number, self.trust)
    }
}

static NEXT: AtomicU64 = AtomicU64::new(1);

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
        ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    };
    use rustls::crypto::aws_lc_rs::default_provider;
    use time::OffsetDateTime;

    use super::*;
    use crate::pki::{Crl, TrustAnchors};
    use crate::tls::ClientCrl;

    #[test]
    fn given_a_trust_anchor_when_out_of_its_dates_then_nobody_is_believed_by_it() {
        let (staff, old) = (ca("Staff", 11, None, (100, 999)), ca("Staff", 12, None, (0, 1999)));
        let [anna, bert] = [leaf(&staff, 1), leaf(&old, 2)];
        let judge = judge(&trust(&[&staff, &old], &[]), None);

        for (now, is_anna, is_bert) in
            [(99, false, true), (100, true, true), (999, true, true), (1000, false, true), (2000, false, false)]
        {
            assert_eq!(believes(&judge, &anna, now), is_anna, "{now}");
            assert_eq!(believes(&judge, &bert, now), is_bert, "{now}");
        }
        // The clock was set back.
        assert!(believes(&judge, &anna, 500));
    }

    #[test]
    fn given_lists_when_a_chain_is_judged_then_each_certificate_that_a_list_names_is_refused_and_the_leaf_needs_one() {
        let root = ca("Root", 11, None, ALWAYS);
        let staff = ca("Staff", 12, Some(&root), ALWAYS);
        let other = ca("Root", 13, None, ALWAYS);
        let chain = vec![leaf(&staff, 1)[0].clone(), staff.der().clone()];
        let direct = leaf(&root, 2);
        #[rustfmt::skip]
        let table = [
            (vec![],                                                        true,  true,  "no lists"),
            (vec![crl(&staff, &[], SOON), crl(&root, &[], SOON)],           true,  true,  "a list of each"),
            (vec![crl(&staff, &[], SOON)],                                  true,  false, "none of the root's"),
            (vec![crl(&root, &[], SOON)],                                   false, true,  "none of the leaf's issuer"),
            (vec![crl(&staff, &[1], SOON), crl(&root, &[], SOON)],          false, true,  "the leaf is revoked"),
            (vec![crl(&staff, &[], SOON), crl(&root, &[12], SOON)],         false, true,  "its issuer is revoked"),
            (vec![crl(&staff, &[], SOON), crl(&other, &[], SOON)],          false, false, "the root's list is of another's making"),
            (vec![crl(&staff, &[], 400), crl(&root, &[], SOON)],            false, true,  "the leaf's list is old"),
            (vec![crl(&staff, &[], SOON), crl(&root, &[], 400)],            false, false, "the root's list is old"),
        ];
        for (lists, is_chain, is_direct, what) in table {
            let judge = judge(&trust(&[&root], &lists), None);
            assert_eq!(believes(&judge, &chain, 500), is_chain, "{what}: by an issuer below");
            assert_eq!(believes(&judge, &direct, 500), is_direct, "{what}: directly");
        }
    }

    #[test]
    fn given_an_old_list_when_old_ones_are_taken_then_it_counts_on() {
        let staff = ca("Staff", 11, None, ALWAYS);
        let lists = [crl(&staff, &[2], 400)];
        for (takes_old_crls, expected) in [(false, false), (true, true)] {
            let judge = judge(&ClientTrust { takes_old_crls, ..trust(&[&staff], &lists) }, None);
            assert!(believes(&judge, &leaf(&staff, 1), 399));
            assert_eq!(believes(&judge, &leaf(&staff, 1), 400), expected);
            assert!(!believes(&judge, &leaf(&staff, 2), 500), "revoked");
        }
    }

    #[test]
    fn given_moments_when_time_passes_then_an_epoch_ends_with_each_list_and_anchor_and_none_with_a_list_that_counts_on()
    {
        let staff = ca("Staff", 11, None, (100, 999));
        let trust = trust(&[&staff], &[crl(&staff, &[], 400)]);
        let epochs = |trust: &ClientTrust| {
            let judge = judge(trust, None);
            [99, 100, 399, 400, 999, 1000].map(|now| judge.epoch(Timestamp::from_unix(now)))
        };
        assert_eq!(epochs(&trust), [0, 1, 1, 2, 2, 3]);
        assert_eq!(epochs(&ClientTrust { takes_old_crls: true, ..trust }), [0, 1, 1, 1, 1, 2]);
    }

    pub(in crate::tls) type TestCa = CertifiedIssuer<'static, KeyPair>;

    pub(in crate::tls) fn ca(name: &str, serial: u64, issuer: Option<&TestCa>, (from, until): (i64, i64)) -> TestCa {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(SerialNumber::from(serial));
        (params.not_before, params.not_after) = (at(from), at(until));
        let key = KeyPair::generate().unwrap();
        match issuer {
            Some(issuer) => CertifiedIssuer::signed_by(params, key, issuer).unwrap(),
            None => CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    pub(in crate::tls) fn leaf(issuer: &TestCa, serial: u64) -> Vec<CertificateDer<'static>> {
        let mut params = CertificateParams::new(["anna.test".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from(serial));
        (params.not_before, params.not_after) = (at(ALWAYS.0), at(ALWAYS.1));
        vec![params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()]
    }

    pub(in crate::tls) fn crl(issuer: &TestCa, revoked: &[u64], next_update: i64) -> ClientCrl {
        let revoke = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: at(1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: at(1),
            next_update: at(next_update),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(revoke).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let der = list.signed_by(issuer).unwrap().der().to_vec();
        ClientCrl { file: "staff.crl".into(), list: Crl::of_file(&der).unwrap().remove(0) }
    }

    pub(in crate::tls) fn trust(anchors: &[&TestCa], crls: &[ClientCrl]) -> ClientTrust {
        let pem: String = anchors.iter().map(|ca| ca.pem()).collect();
        let anchors = TrustAnchors::from_pem(pem.as_bytes()).unwrap();
        ClientTrust { is_required: false, anchors, crls: crls.to_vec(), takes_old_crls: false }
    }

    pub(in crate::tls) fn judge(trust: &ClientTrust, before: Option<&Judge>) -> Judge {
        Judge::new(trust, &Arc::new(default_provider()), before).unwrap()
    }

    fn believes(judge: &Judge, chain: &[CertificateDer<'static>], now: i64) -> bool {
        judge.believes(chain, Timestamp::from_unix(now))
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    pub(in crate::tls) const ALWAYS: (i64, i64) = (0, 1_000_000);
    pub(in crate::tls) const SOON: i64 = 900_000;
}
