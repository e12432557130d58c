//! A small CA: a root, and leaves signed by it.

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose};

use super::{CertificateChain, Identity, IdentityError, KeyType, PrivateKey, template};
use crate::time::Timestamp;

/// A CA of our own: a self-signed root (RFC 5280 §4.2.1.9) and its key.
#[derive(Clone, Debug)]
pub struct Authority {
    root: Identity,
}

impl Authority {
    /// Makes a root on P-256 that can sign leaves and nothing else (path length 0).
    ///
    /// Its common name is `name` and the first eight digits of its key's pin, so that two roots of one name differ.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] when the cryptographic library fails, which no input causes.
    pub fn create(name: &str, not_before: Timestamp, not_after: Timestamp) -> Result<Self, IdentityError> {
        let key = PrivateKey::generate(KeyType::P256)?;
        let mut root = template::for_identifiers(&[])?;
        let id: String = key.pin()?.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        root.distinguished_name = template::common_name(&format!("{name} {id}"));
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        root.not_before = template::x509_time(not_before);
        root.not_after = template::x509_time(not_after);
        let root = root.self_signed(&*key.key_pair()?).map_err(IdentityError::Make)?;
        Ok(Self { root: Identity::new(CertificateChain::from_der(vec![root.into()])?, key)? })
    }

    /// Takes a root that was made before.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NoAuthority`] when its certificate does not say that it is a CA.
    pub fn from_root(root: Identity) -> Result<Self, IdentityError> {
        match root.chain().leaf().is_ca {
            true => Ok(Self { root }),
            false => Err(IdentityError::NoAuthority),
        }
    }

    /// The root and its key.
    pub fn root(&self) -> &Identity {
        &self.root
    }

    /// Issues a server certificate with a new key. Its chain is the leaf alone, since the root is the trust anchor.
    ///
    /// The identifiers are its subjectAltName, the first one also its common name, for people. It does not outlive the
    /// root.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Key`] for an identifier that no certificate can name; others when the cryptographic library fails.
    pub fn issue(
        &self,
        identifiers: &[String],
        key_type: KeyType,
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Result<Identity, IdentityError> {
        let key = PrivateKey::generate(key_type)?;
        let mut leaf = template::for_identifiers(identifiers)?;
        leaf.distinguished_name = template::common_name(subject(identifiers));
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        leaf.not_before = template::x509_time(not_before);
        leaf.not_after = template::x509_time(not_after.min(self.root.chain().not_after()));
        let signer = self.root.key().key_pair()?;
        let issuer =
            Issuer::from_ca_cert_der(&self.root.chain().certificates()[0], &*signer).map_err(IdentityError::Make)?;
        let leaf = leaf.signed_by(&*key.key_pair()?, &issuer).map_err(IdentityError::Make)?;
        Identity::new(CertificateChain::from_der(vec![leaf.into()])?, key)
    }
}

/// A common name may have 64 characters (RFC 5280 appendix A.1).
fn subject(identifiers: &[String]) -> &str {
    identifiers.first().map(String::as_str).filter(|name| name.len() <= 64).unwrap_or("portvakt")
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

    use super::*;
    use crate::pki::KeyError;

    const BEGIN: Timestamp = Timestamp::from_unix(1_795_311_180);
    const END: Timestamp = Timestamp::from_unix(1_795_311_180 + 86_400);

    fn authority() -> Authority {
        Authority::create("test CA", BEGIN, END).unwrap()
    }

    fn issue(authority: &Authority, identifiers: &[&str], end: Timestamp) -> Result<Identity, IdentityError> {
        let identifiers: Vec<String> = identifiers.iter().map(|name| (*name).to_owned()).collect();
        authority.issue(&identifiers, KeyType::P256, BEGIN, end)
    }

    #[test]
    fn given_a_root_when_made_then_a_ca_that_signs_leaves_only() {
        let authority = authority();
        let root = authority.root();
        let (_, certificate) = X509Certificate::from_der(&root.chain().certificates()[0]).unwrap();

        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign());
        assert!(!usage.value.digital_signature() && !usage.value.crl_sign());
        assert_eq!(root.chain().leaf().common_name.len(), "test CA 01234567".len());
        assert!(root.chain().leaf().is_self_issued);
        certificate.verify_signature(None).unwrap();
    }

    #[test]
    fn given_two_roots_of_one_name_when_made_then_their_subjects_differ() {
        let names = [authority(), authority()].map(|authority| authority.root().chain().leaf().common_name.clone());
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn given_a_leaf_when_issued_then_signed_by_the_root_and_for_servers_alone() {
        let authority = authority();
        let identity = issue(&authority, &["m5.test", "192.0.2.1"], END).unwrap();

        assert_eq!(identity.chain().certificates().len(), 1);
        let leaf = identity.chain().leaf();
        assert_eq!(leaf.names, ["m5.test", "192.0.2.1"]);
        assert_eq!(leaf.issuer, authority.root().chain().leaf().common_name);
        assert!(!leaf.is_ca && !leaf.is_self_issued);

        let (_, root) = X509Certificate::from_der(&authority.root().chain().certificates()[0]).unwrap();
        let (_, certificate) = X509Certificate::from_der(&identity.chain().certificates()[0]).unwrap();
        certificate.verify_signature(Some(root.public_key())).unwrap();
        let usage = certificate.extended_key_usage().unwrap().unwrap();
        assert!(usage.value.server_auth && !usage.value.client_auth && !usage.value.any);
        assert_eq!(key_identifiers(&certificate).1, key_identifiers(&root).0);
    }

    #[test]
    fn given_an_end_after_the_roots_when_issued_then_the_leaf_ends_with_the_root() {
        let identity = issue(&authority(), &["m5.test"], Timestamp::from_unix(i64::MAX)).unwrap();
        assert_eq!(identity.chain().leaf().not_after, END);
    }

    #[test]
    fn given_what_no_certificate_can_name_when_issued_then_the_error_names_it() {
        let error = issue(&authority(), &["m5.test", "ö"], END).unwrap_err();
        assert!(matches!(error, IdentityError::Key(KeyError::Identifier { identifier }) if identifier == "ö"));
    }

    #[test]
    fn given_a_long_first_name_when_issued_then_the_common_name_is_ours() {
        let long = format!("{}.test", "a".repeat(63));
        let identity = issue(&authority(), &[&long], END).unwrap();
        assert_eq!(
            (identity.chain().leaf().common_name.as_str(), identity.chain().leaf().covers(&long)),
            ("portvakt", true)
        );
    }

    #[test]
    fn given_a_leaf_when_taken_as_a_root_then_refused() {
        let leaf = issue(&authority(), &["m5.test"], END).unwrap();
        assert!(matches!(Authority::from_root(leaf), Err(IdentityError::NoAuthority)));
        Authority::from_root(authority().root().clone()).unwrap();
    }

    /// subjectKeyIdentifier and authorityKeyIdentifier.
    fn key_identifiers(certificate: &X509Certificate<'_>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let mut found = (None, None);
        for extension in certificate.iter_extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => found.0 = Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    found.1 = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                _ => {}
            }
        }
        assert!(found.0.is_some());
        found
    }
}
