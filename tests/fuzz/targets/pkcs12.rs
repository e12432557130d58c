//! Whatever the file: PKCS #12, PKCS #7 and keys in DER are read or refused, in bounded time, with the password or without.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portvakt::pki::{CertificateChain, Password, Pkcs12, PrivateKey};

fuzz_target!(|bytes: &[u8]| {
    let password = Password::new("qwerty123");
    if let Ok(read) = Pkcs12::read(bytes, Some(&password)) {
        assert!(Pkcs12::is_likely(bytes));
        let again = PrivateKey::from_pem(read.key.to_pem().as_bytes()).expect("what we wrote ourselves");
        assert_eq!(again.der(), read.key.der());
    }
    let _ = Pkcs12::read(bytes, None);
    let _ = PrivateKey::from_file(bytes, Some(&password));
    if let Ok(certificates) = CertificateChain::certificates_of_file(bytes) {
        let _ = CertificateChain::from_der(certificates);
    }
});
