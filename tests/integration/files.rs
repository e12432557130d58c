//! The files that configurations name.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

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
    write_issued(folder);
    write("old.key", OLD_ENCRYPTION);
    write("password", "wrong\n");
    write("lines", "one\ntwo\n");
    write("qwerty", "qwerty123\n");
    write("tsig.key", "key \"portvakt\" {\n\tsecret \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\";\n};\n");
    fs::copy(folder.join("tsig.key"), folder.join("open-tsig.key")).unwrap();
    write("dns-hook", "#!/bin/sh\n");
    write("tell", "#!/bin/sh\n");
    chmod(&folder.join("tell"), 0o755);
    write("token", "0123456789abcdef0123456789abcdef\n");
    for name in ["FPTestcert5_20240610.p12", "FPTestcert5_20240610.pem", "variant-2027.p12", "FPTestcert4_20220818.p12"]
    {
        fs::copy(Path::new("tests/data/bankid").join(name), folder.join(name)).unwrap();
    }
    write_clients(folder);
    for file in ["historic-root-2008.pem", "guideline-garbled-root.pem"] {
        fs::copy(Path::new("tests/data/bankid").join(file), folder.join(file)).unwrap();
    }
    for file in ["bankid-production.pem", "bankid-test.pem"] {
        fs::copy(Path::new("src/egress/roots").join(file), folder.join(file)).unwrap();
    }
    write("open-token", "0123456789abcdef0123456789abcdef\n");
    chmod(&folder.join("token"), 0o600);
    chmod(&folder.join("tsig.key"), 0o600);
    chmod(&folder.join("open-tsig.key"), 0o644);
    chmod(&folder.join("open-token"), 0o644);
    write_revoked(folder);
    write("text.pem", "This is no certificate.\n");
    write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    write("page.html", "<h1>back soon</h1>\n");
    write("huge.html", &"x".repeat((1 << 20) + 1));
    fs::create_dir(folder.join("folder")).unwrap();
}

/// Lists of revoked certificates: one that is good, and one whose successor was due.
fn write_revoked(folder: &Path) {
    let mut staff = named("Staff CA");
    staff.key_usages = vec![KeyUsagePurpose::CrlSign];
    let authority = Issuer::new(staff, KeyPair::generate().unwrap());
    for (name, first_year, last_year) in [("clients", 2026, 2099), ("old", 2020, 2021)] {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(first_year, 1, 1),
            next_update: date_time_ymd(last_year, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        fs::write(folder.join(format!("{name}.crl")), list.signed_by(&authority).unwrap().pem().unwrap()).unwrap();
    }
}

/// Certificates as a bank issues them to relying parties of BankID, each with one thing else; all for `rp.key`.
fn write_clients(folder: &Path) {
    type Change = fn(&mut CertificateParams);
    let bank = Issuer::new(named("Example Bank RP CA v1 for BankID"), KeyPair::generate().unwrap());
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join("rp.key"), key.serialize_pem()).unwrap();
    let clients: [(&str, Change); 10] = [
        ("rp", |_| {}),
        ("rp-next", |rp| rp.not_after = date_time_ymd(2032, 1, 1)),
        ("rp-renamed", |rp| {
            rp.not_after = date_time_ymd(2032, 1, 1);
            rp.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 41]), "Another Name");
        }),
        ("rp-short", |rp| rp.not_after = date_time_ymd(2027, 1, 1)),
        ("rp-late", |rp| (rp.not_before, rp.not_after) = (date_time_ymd(2030, 6, 1), date_time_ymd(2035, 1, 1))),
        ("rp-soon", |rp| rp.not_after = date_time_ymd(2026, 7, 15)),
        ("rp-very-soon", |rp| rp.not_after = date_time_ymd(2026, 6, 10)),
        ("rp-expired", |rp| rp.not_after = date_time_ymd(2026, 5, 28)),
        ("rp-server", |rp| rp.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        ("rp-ca", |rp| rp.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
    ];
    for (name, change) in clients {
        let mut rp = named("example");
        rp.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 41]), "Exempel AB");
        (rp.not_before, rp.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2030, 1, 1));
        change(&mut rp);
        fs::write(folder.join(format!("{name}.pem")), rp.signed_by(&key, &bank).unwrap().pem()).unwrap();
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

#[cfg(unix)]
fn chmod(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn chmod(_: &Path, _: u32) {}

/// `issued.pem` and `issued.key`, whose issuer is nowhere.
fn write_issued(folder: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new([]).unwrap();
    ca.distinguished_name.push(DnType::CommonName, "Example Issuing CA");
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["app.example.com".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
    params.custom_extensions =
        vec![CustomExtension::from_oid_content(AUTHORITY_INFO_ACCESS, ca_issuers(b"http://ca.example/1"))];
    let certificate = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    fs::write(folder.join("issued.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("issued.key"), key.serialize_pem()).unwrap();
}

/// id-ad-caIssuers with a URL of 19 characters (RFC 5280 §4.2.2.1).
fn ca_issuers(url: &[u8; 19]) -> Vec<u8> {
    let mut der = vec![0x30, 33, 0x30, 31, 6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2, 0x86, 19];
    der.extend_from_slice(url);
    der
}

const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];

/// What `openssl rsa -aes256` has long written; nothing of it is looked at behind its headers.
const OLD_ENCRYPTION: &str = "-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-256-CBC,0CB1F2E9B2C6F5A1D2D0A3C4B5E6F708

AAAA
-----END RSA PRIVATE KEY-----
";
