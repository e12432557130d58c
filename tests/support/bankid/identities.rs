//! The published relying-party certificates, and others that a test makes.

use std::fs;
use std::path::{Path, PathBuf};

use portvakt::pki::{CertificateChain, Password, Pkcs12};
use rustls::pki_types::CertificateDer;

/// A published PKCS #12 file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published(&'static str);

/// The certificate for test, until 2029; modern encryption.
pub(crate) const MODERN: Published = Published("FPTestcert5_20240610.p12");
/// The same certificate and key in the encryption of old.
pub(crate) const LEGACY: Published = Published("FPTestcert5_20240610-legacy.pfx");
/// Another certificate under the same file name, until 2027.
pub(crate) const OTHER: Published = Published("variant-2027.p12");
/// The one before, expired in 2024.
pub(crate) const EXPIRED: Published = Published("FPTestcert4_20220818.p12");
/// [`MODERN`] as PEM with an encrypted key.
pub(crate) const PEM: &str = "FPTestcert5_20240610.pem";
/// Opens all of them, as BankID's own read-me says.
pub(crate) const PASSWORD: &str = "qwerty123";

impl Published {
    /// Where it lies.
    pub(crate) fn path(self) -> PathBuf {
        path_of(self.0)
    }

    /// Its certificate.
    pub(crate) fn leaf(self) -> CertificateDer<'static> {
        self.read().certificates[0].clone()
    }

    /// Writes certificate and key to one file in `dir` that every client can read.
    pub(crate) fn write_pem(self, dir: &Path) -> PathBuf {
        let read = self.read();
        let chain = CertificateChain::from_der(read.certificates).expect("one certificate");
        let path = dir.join("identity.pem");
        fs::write(&path, format!("{}{}", chain.to_pem(), *read.key.to_pem())).expect("the identity is written");
        path
    }

    fn read(self) -> Pkcs12 {
        let bytes = fs::read(self.path()).expect("a published file");
        Pkcs12::read(&bytes, Some(&Password::new(PASSWORD))).expect("its password is published")
    }
}

/// Where the published file `name` lies.
pub(crate) fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bankid").join(name)
}

/// Writes [`PASSWORD`] to a file in `dir`.
pub(crate) fn password_file(dir: &Path) -> PathBuf {
    let path = dir.join("rp.pass");
    fs::write(&path, format!("{PASSWORD}\n")).expect("the password is written");
    path
}
