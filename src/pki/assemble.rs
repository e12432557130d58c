//! From certificates in whatever order to the chain that is sent.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::{CertificateChain, ChainError, Identity, IdentityError, PrivateKey, SpkiPin};

/// An identity, and what was noticed about the certificates that it was made from.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// Leaf first, no root, each certificate once.
    pub identity: Identity,
    /// Subjects of certificates that are left out because no path from the leaf leads to them. A root is none of them.
    pub foreign: Vec<String>,
    /// Whose certificate seems to be missing.
    pub missing: Option<MissingIssuer>,
}

/// The issuer of the last certificate in a chain, when it is no root that we know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingIssuer {
    /// Its subject.
    pub subject: String,
    /// Where the certificate says that the issuer's can be had (RFC 5280 §4.2.2.1).
    pub url: Option<String>,
}

impl Identity {
    /// Puts certificates into the order of RFC 8446 §4.4.2, beginning with the one of `key`.
    ///
    /// Duplicates and the root are left out, and so are certificates that do not belong to the path. Of several leaves for
    /// one key, the one that began last is taken.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Mismatch`] when no certificate is for the key, [`IdentityError::Chain`] when one of them cannot be
    /// read, or when there are so many that it must be another file.
    pub fn assemble(certificates: Vec<CertificateDer<'static>>, key: PrivateKey) -> Result<Assembled, IdentityError> {
        if certificates.len() > MOST {
            return Err(ChainError::TooMany { found: certificates.len() }.into());
        }
        let readable = CertificateChain::from_der(once(certificates))?;
        let parsed = parse(readable.certificates())?;
        let Some(leaf) = leaf(&parsed, key.pin()?) else {
            return Err(IdentityError::Mismatch);
        };
        let path = path(&parsed, leaf);
        let chain =
            CertificateChain::from_der(path.sent.iter().map(|at| readable.certificates()[*at].clone()).collect())?;
        let foreign = (0..parsed.len()).filter(|at| !path.sent.contains(at) && path.root != Some(*at));
        let foreign = foreign.map(|at| text(parsed[at].subject())).collect();
        let missing = path.sent.last().filter(|_| path.root.is_none()).and_then(|last| missing(&parsed[*last]));
        Ok(Assembled { identity: Self::new(chain, key)?, foreign, missing })
    }
}

/// Each once, where it stands first.
fn once(certificates: Vec<CertificateDer<'static>>) -> Vec<CertificateDer<'static>> {
    let mut seen = Vec::with_capacity(certificates.len());
    for certificate in certificates {
        if !seen.contains(&certificate) {
            seen.push(certificate);
        }
    }
    seen
}

/// They were read a moment ago.
fn parse<'a>(certificates: &'a [CertificateDer<'static>]) -> Result<Vec<X509Certificate<'a>>, ChainError> {
    let total = certificates.len();
    let mut parsed: Vec<X509Certificate<'a>> = Vec::with_capacity(total);
    for (index, der) in certificates.iter().enumerate() {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|reason| ChainError::Unreadable {
            position: index + 1,
            total,
            reason: reason.to_string(),
        })?;
        parsed.push(certificate);
    }
    Ok(parsed)
}

fn leaf(certificates: &[X509Certificate<'_>], pin: SpkiPin) -> Option<usize> {
    let of_key = |(_, it): &(usize, &X509Certificate<'_>)| SpkiPin::of(it.public_key().raw) == pin;
    // A CA's own certificate may have the leaf's key only where the leaf signs itself.
    let rank = |it: &X509Certificate<'_>| (!it.is_ca(), it.validity().not_before.timestamp());
    certificates.iter().enumerate().filter(of_key).max_by_key(|(_, it)| rank(it)).map(|(at, _)| at)
}

/// Positions of the certificates that are sent, and of the root that is not.
struct Path {
    sent: Vec<usize>,
    root: Option<usize>,
}

fn path(certificates: &[X509Certificate<'_>], leaf: usize) -> Path {
    let mut path = Path { sent: vec![leaf], root: None };
    let mut last = leaf;
    while !is_root(&certificates[last]) {
        let issuers = certificates
            .iter()
            .enumerate()
            .filter(|(at, it)| !path.sent.contains(at) && issued(it, &certificates[last]));
        // A cross-signed certificate is there for clients that do not know the root of the same name.
        let best = issuers.max_by_key(|(_, it)| (!is_root(it), it.validity().not_after.timestamp()));
        match best {
            Some((at, issuer)) if is_root(issuer) => {
                path.root = Some(at);
                return path;
            }
            Some((at, _)) if path.sent.len() < LONGEST => {
                path.sent.push(at);
                last = at;
            }
            _ => return path,
        }
    }
    path.root = Some(last);
    path
}

fn is_root(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw() && issued(certificate, certificate)
}

/// By name, key identifiers and signature. A signature that we cannot check counts as good: the names agree, and clients
/// check it.
pub(super) fn issued(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    if issuer.subject().as_raw() != certificate.issuer().as_raw() {
        return false;
    }
    match certificate.verify_signature(Some(issuer.public_key())) {
        Ok(()) => true,
        Err(error) => matches!(error, X509Error::SignatureUnsupportedAlgorithm),
    }
}

fn missing(last: &X509Certificate<'_>) -> Option<MissingIssuer> {
    if is_root(last) || is_mozillas(last.issuer()) {
        return None;
    }
    Some(MissingIssuer { subject: text(last.issuer()), url: issuers_url(last) })
}

/// Whether browsers know a root of this name.
fn is_mozillas(issuer: &X509Name<'_>) -> bool {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .any(|root| X509Certificate::from_der(root).is_ok_and(|(_, root)| root.subject().as_raw() == issuer.as_raw()))
}

pub(super) fn issuers_url(certificate: &X509Certificate<'_>) -> Option<String> {
    let access = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => Some(access),
        _ => None,
    })?;
    let of_issuers = access.iter().filter(|it| it.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS);
    let url = of_issuers.into_iter().find_map(|it| match it.access_location {
        GeneralName::URI(url) if url.starts_with("http") => Some(url),
        _ => None,
    })?;
    Some(url.chars().filter(|c| c.is_ascii_graphic()).take(LONGEST_TEXT).collect())
}

/// A name for people.
pub(super) fn text(name: &X509Name<'_>) -> String {
    name.to_string().chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

/// More than any CA's collection of intermediates, fewer than a bundle of roots.
const MOST: usize = 64;
/// Certificates from the leaf to the root; four is much.
const LONGEST: usize = 10;
const LONGEST_TEXT: usize = 256;

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair};

    use super::*;

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn ca(name: &str) -> CertificateParams {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// Root, two intermediates, and a leaf with its key.
    struct Made {
        root: Issuer,
        upper: Issuer,
        lower: Issuer,
        leaf: CertificateDer<'static>,
        key: PrivateKey,
    }

    impl Made {
        fn new() -> Self {
            let root = CertifiedIssuer::self_signed(ca("root"), KeyPair::generate().unwrap()).unwrap();
            let upper = CertifiedIssuer::signed_by(ca("upper"), KeyPair::generate().unwrap(), &root).unwrap();
            let lower = CertifiedIssuer::signed_by(ca("lower"), KeyPair::generate().unwrap(), &upper).unwrap();
            let pair = KeyPair::generate().unwrap();
            let leaf = params("leaf").signed_by(&pair, &lower).unwrap().into();
            Self { root, upper, lower, leaf, key: PrivateKey::from_pem(pair.serialize_pem().as_bytes()).unwrap() }
        }

        fn assemble(&self, certificates: &[&CertificateDer<'static>]) -> Assembled {
            Identity::assemble(certificates.iter().map(|it| (*it).clone()).collect(), self.key.clone()).unwrap()
        }
    }

    #[test]
    fn given_one_disorder_when_assembled_then_leaf_and_intermediates_in_order() {
        let made = Made::new();
        let (root, upper, lower, leaf) = (made.root.der(), made.upper.der(), made.lower.der(), &made.leaf);
        for (name, given) in [
            ("in order", vec![leaf, lower, upper]),
            ("with the root", vec![leaf, lower, upper, root]),
            ("backwards", vec![root, upper, lower, leaf]),
            ("twice", vec![leaf, leaf, lower, upper, lower, root, root]),
        ] {
            let assembled = made.assemble(&given);
            let expected = [leaf.clone(), lower.clone(), upper.clone()];
            assert_eq!(assembled.identity.chain().certificates(), expected, "{name}");
            assert!(assembled.foreign.is_empty(), "{name}: {:?}", assembled.foreign);
        }
    }

    #[test]
    fn given_the_root_when_assembled_then_nothing_is_missing_without_it_its_name_is_told() {
        let made = Made::new();
        let (root, upper, lower, leaf) = (made.root.der(), made.upper.der(), made.lower.der(), &made.leaf);
        for (given, missing) in [
            (vec![leaf, lower, upper, root], None),
            (vec![leaf, lower, upper], Some("CN=root")),
            (vec![leaf, upper, root], Some("CN=lower")),
            (vec![leaf], Some("CN=lower")),
        ] {
            let found = made.assemble(&given).missing.map(|missing| missing.subject);
            assert_eq!(found.as_deref(), missing);
        }
    }

    #[test]
    fn given_certificates_of_others_when_assembled_then_left_out_by_name() {
        let (made, other) = (Made::new(), Made::new());
        let assembled = made.assemble(&[other.lower.der(), &made.leaf, made.lower.der(), &other.leaf]);
        // The other `lower` has the right name and another key.
        assert_eq!(assembled.foreign, ["CN=lower", "CN=leaf"]);
        assert_eq!(assembled.identity.chain().certificates(), [made.leaf.clone(), made.lower.der().clone()]);
    }

    #[test]
    fn given_two_leaves_for_one_key_when_assembled_then_the_later_one() {
        let made = Made::new();
        let pair = made.key.key_pair().unwrap();
        let mut old = params("old");
        old.not_before = rcgen::date_time_ymd(1970, 1, 1);
        let old = old.signed_by(&*pair, &made.lower).unwrap().into();
        let mut new = params("new");
        new.not_before = rcgen::date_time_ymd(2020, 1, 1);
        let new = new.signed_by(&*pair, &made.lower).unwrap().into();
        for given in [[&old, &new], [&new, &old]] {
            let assembled = made.assemble(&given);
            assert_eq!(assembled.identity.chain().leaf().common_name, "new");
            assert_eq!(assembled.foreign, ["CN=old"]);
        }
    }

    #[test]
    fn given_a_leaf_that_signs_itself_when_assembled_then_it_alone_and_nothing_is_missing() {
        for params in [params("self"), ca("self")] {
            let pair = KeyPair::generate().unwrap();
            let leaf: CertificateDer<'static> = params.self_signed(&pair).unwrap().into();
            let key = PrivateKey::from_pem(pair.serialize_pem().as_bytes()).unwrap();
            let assembled = Identity::assemble(vec![leaf.clone(), leaf.clone()], key).unwrap();
            assert_eq!(assembled.identity.chain().certificates(), [leaf]);
            assert_eq!((assembled.missing, assembled.foreign), (None, vec![]));
        }
    }

    #[test]
    fn given_the_address_of_the_issuer_in_the_certificate_when_assembled_then_told() {
        let made = Made::new();
        let url = b"http://ca.test/lower.cer";
        let mut access = vec![0x30, 0x26, 0x30, 0x24, 6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2, 0x86, 24];
        access.extend_from_slice(url);
        let mut with = params("leaf");
        with.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access)];
        let leaf = with.signed_by(&*made.key.key_pair().unwrap(), &made.lower).unwrap().into();
        let missing = made.assemble(&[&leaf]).missing.unwrap();
        assert_eq!(missing.url.as_deref(), Some("http://ca.test/lower.cer"));
    }

    #[test]
    fn given_no_certificate_for_the_key_or_far_too_many_when_assembled_then_refused() {
        let (made, other) = (Made::new(), Made::new());
        let none = Identity::assemble(vec![other.leaf.clone()], made.key.clone()).unwrap_err();
        assert!(matches!(none, IdentityError::Mismatch));
        let many = Identity::assemble(vec![made.leaf.clone(); MOST + 1], made.key.clone()).unwrap_err();
        assert!(matches!(many, IdentityError::Chain(ChainError::TooMany { found: 65 })));
    }
}
