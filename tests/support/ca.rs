//! A small CA. Certificates are made by the test that needs them, never kept with a date.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portvakt::time::{Clock, SystemClock};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    SubjectPublicKeyInfo,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// A CA with one root.
pub(crate) struct Ca {
    root: CertifiedIssuer<'static, KeyPair>,
}

impl Ca {
    /// A new root named `name`.
    pub(crate) fn new(name: &str) -> Self {
        Self::with_root(name, &|_| {})
    }

    /// As [`Self::new`], with a root that ends in `days`.
    pub(crate) fn ending_in(name: &str, days: i64) -> Self {
        let now = OffsetDateTime::from_unix_timestamp(SystemClock.now().as_unix()).expect("today");
        Self::with_root(name, &|params| params.not_after = now + time::Duration::days(days))
    }

    fn with_root(name: &str, change: &dyn Fn(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        Self { root: CertifiedIssuer::self_signed(params, key).expect("a root") }
    }

    /// The root, PEM.
    pub(crate) fn pem(&self) -> String {
        self.root.pem()
    }

    /// Writes the root to `path` and gives it back.
    pub(crate) fn write(&self, path: PathBuf) -> PathBuf {
        fs::write(&path, self.pem()).expect("the root is written");
        path
    }

    /// The root as trust anchors of a client.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).expect("our own root is sound");
        roots
    }

    /// A server's certificate for `names`, valid from an hour ago for ninety days.
    pub(crate) fn issue(&self, names: &[&str]) -> Leaf {
        self.issue_for(names, Duration::from_secs(90 * 86_400))
    }

    /// As [`Self::issue`], for a key that browsers do not take.
    pub(crate) fn issue_ed25519(&self, names: &[&str]) -> Leaf {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let params = leaf_params(names, Duration::from_secs(90 * 86_400));
        let certificate = params.signed_by(&key, &self.root).expect("a leaf");
        Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
    }

    /// As [`Self::issue`], valid in the past or in the future.
    pub(crate) fn issue_in(&self, names: &[&str], life: Life) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let mut params = leaf_params(names, Duration::from_secs(86_400));
        let shift = time::Duration::days(if life == Life::Ended { -30 } else { 30 });
        (params.not_before, params.not_after) = (params.not_before + shift, params.not_after + shift);
        let certificate = params.signed_by(&key, &self.root).expect("a leaf");
        Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
    }

    /// As [`Self::issue`], valid from a month ago: for those whose clock is behind.
    pub(crate) fn issue_for_late_clocks(&self, names: &[&str]) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let mut params = leaf_params(names, Duration::from_secs(90 * 86_400));
        params.not_before -= time::Duration::days(30);
        let certificate = params.signed_by(&key, &self.root).expect("a leaf");
        Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
    }

    /// A certificate for `names` and for the key of `other`, whoever issued that, in PEM.
    pub(crate) fn issue_to_key_of(&self, other: &CertificateDer<'_>, names: &[&str], life: Option<Life>) -> String {
        let (_, other) = X509Certificate::from_der(other).expect("a certificate");
        let key = SubjectPublicKeyInfo::from_der(other.public_key().raw).expect("a key of a kind that is known");
        let mut params = leaf_params(names, Duration::from_secs(86_400));
        let shift = life.map_or(0, |life| if life == Life::Ended { -30 } else { 30 });
        let shift = time::Duration::days(shift);
        (params.not_before, params.not_after) = (params.not_before + shift, params.not_after + shift);
        params.signed_by(&key, &self.root).expect("a leaf").pem()
    }

    /// A CA below this one, whose leaves come with its certificate.
    pub(crate) fn intermediate(&self, name: &str) -> Intermediate {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Intermediate(CertifiedIssuer::signed_by(params, key, &self.root).expect("an intermediate"))
    }

    /// A client's certificate with the subject `name`, as a bank issues one to a relying party.
    pub(crate) fn issue_client(&self, name: &str, life: Duration) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let mut params = leaf_params(&[], life);
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.root).expect("a leaf");
        Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
    }

    /// The list of what is revoked, whose successor is due in `days` (before now when negative), PEM.
    pub(crate) fn crl(&self, revoked: &[&Leaf], days: i64) -> String {
        list(revoked, time::Duration::days(days)).signed_by(&self.root).expect("a list").pem().expect("PEM")
    }

    /// As [`Self::crl`], made `days` before that.
    pub(crate) fn crl_made(&self, days: i64, revoked: &[&Leaf], due: i64) -> String {
        let mut list = list(revoked, time::Duration::days(due));
        list.this_update -= time::Duration::days(days);
        list.signed_by(&self.root).expect("a list").pem().expect("PEM")
    }

    /// As [`Self::issue_for`], with something changed.
    pub(crate) fn issue_as(&self, names: &[&str], life: Duration, change: &dyn Fn(&mut CertificateParams)) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let mut params = leaf_params(names, life);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.root).expect("a leaf");
        Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
    }

    /// As [`Self::issue`], of an age of `since` days, and valid for `left` more.
    pub(crate) fn issue_in_days(&self, names: &[&str], since: u32, left: u32) -> Leaf {
        let day = Duration::from_secs(86_400);
        self.issue_as(names, day * left, &|params| params.not_before -= day * since)
    }

    /// As [`Self::issue`], valid for `life` from now.
    pub(crate) fn issue_for(&self, names: &[&str], life: Duration) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let certificate = leaf_params(names, life).signed_by(&key, &self.root).expect("a leaf");
        Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
    }
}

/// What is revoked, and how long from now the next list is due.
fn list(revoked: &[&Leaf], life: time::Duration) -> CertificateRevocationListParams {
    let now = OffsetDateTime::from_unix_timestamp(SystemClock.now().as_unix()).expect("today");
    let revoke = |leaf: &&Leaf| {
        let (_, certificate) = X509Certificate::from_der(&leaf.der).expect("a certificate");
        RevokedCertParams {
            serial_number: SerialNumber::from_slice(certificate.raw_serial()),
            revocation_time: now - time::Duration::days(2),
            reason_code: None,
            invalidity_date: None,
        }
    };
    CertificateRevocationListParams {
        this_update: now - time::Duration::days(3),
        next_update: now + life,
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(revoke).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

/// Where a certificate's validity lies that is not valid now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// A month ago.
    Ended,
    /// In a month.
    ToCome,
}

/// A CA that a root has signed.
pub(crate) struct Intermediate(CertifiedIssuer<'static, KeyPair>);

impl Intermediate {
    /// Its certificate, PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its certificate, as one that can be revoked.
    pub(crate) fn as_leaf(&self) -> Leaf {
        Leaf { chain: self.pem(), key: String::new(), der: self.0.der().clone() }
    }

    /// Its list, with nobody in it, whose successor is due in `days`, PEM.
    pub(crate) fn crl(&self, days: i64) -> String {
        list(&[], time::Duration::days(days)).signed_by(&self.0).expect("a list").pem().expect("PEM")
    }

    /// A server's certificate for `names`; its chain has the intermediate at the end.
    pub(crate) fn issue(&self, names: &[&str]) -> Leaf {
        self.issue_as(names, &|_| {})
    }

    /// As [`Self::issue`], with something changed.
    pub(crate) fn issue_as(&self, names: &[&str], change: &dyn Fn(&mut CertificateParams)) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let mut params = leaf_params(names, Duration::from_secs(90 * 86_400));
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).expect("a leaf");
        let chain = format!("{}{}", certificate.pem(), self.pem());
        Leaf { chain, key: key.serialize_pem(), der: certificate.der().clone() }
    }
}

/// A certificate that vouches for itself, as an old server makes it.
pub(crate) fn self_signed(names: &[&str]) -> Leaf {
    let key = KeyPair::generate().expect("a key");
    let certificate = leaf_params(names, Duration::from_secs(365 * 86_400)).self_signed(&key).expect("a leaf");
    Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
}

fn leaf_params(names: &[&str], life: Duration) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let now = OffsetDateTime::from_unix_timestamp(SystemClock.now().as_unix()).expect("today");
    let mut params = CertificateParams::new(names).expect("DNS names or addresses");
    params.not_before = now - Duration::from_secs(3600);
    params.not_after = now + life;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// An identity as files hold it.
#[derive(Clone)]
pub(crate) struct Leaf {
    /// PEM, without the root.
    pub(crate) chain: String,
    /// PKCS #8, PEM.
    pub(crate) key: String,
    /// The certificate alone.
    pub(crate) der: CertificateDer<'static>,
}

impl Leaf {
    /// Writes `NAME.pem` and `NAME.key` into `dir`; each file appears whole.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (chain, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        replace(&key, &self.key);
        replace(&chain, &self.chain);
        (chain, key)
    }

    /// The base64 inside the private key: what no log may show.
    pub(crate) fn key_material(&self) -> Vec<&str> {
        self.key.lines().filter(|line| !line.starts_with('-')).collect()
    }
}

/// Replaces the file at `path` in one step.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("a new file beside the old one");
    fs::rename(&new, path).expect("the new file in place of the old one");
}
