//! The files that configurations name.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

/// Chains and keys for `app.example.com`: good, expired and not yet valid ones, and what is mistaken for them.
pub(crate) fn make_files(folder: &Path) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    for (name, first_year, last_year) in [("good", 2026, 2027), ("expired", 2020, 2021), ("future", 2090, 2091)] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["app.example.com".to_owned()]).unwrap();
        params.not_before = date_time_ymd(first_year, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        write(&format!("{name}.pem"), &params.self_signed(&key).unwrap().pem());
        write(&format!("{name}.key"), &key.serialize_pem());
    }
    for (name, same) in
        [("chain.pem", "good.pem"), ("key.pem", "good.key"), ("other.key", "expired.key"), ("root.pem", "good.pem")]
    {
        fs::copy(folder.join(same), folder.join(name)).unwrap();
    }
    write("text.pem", "This is no certificate.\n");
    write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    fs::create_dir(folder.join("folder")).unwrap();
}
