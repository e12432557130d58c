//! Whatever the file: a chain or a key is read or refused, and what was read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portvakt::pki::{CertificateChain, PrivateKey};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(chain) = CertificateChain::from_pem(bytes) {
        let again = CertificateChain::from_pem(chain.to_pem().as_bytes()).expect("what we wrote ourselves");
        assert_eq!(again.certificates(), chain.certificates());
    }
    if let Ok(key) = PrivateKey::from_pem(bytes) {
        let again = PrivateKey::from_pem(key.to_pem().as_bytes()).expect("what we wrote ourselves");
        assert_eq!(again.der(), key.der());
        let _ = key.pin();
    }
});
