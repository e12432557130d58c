//! Why TLS with an upstream does not come about, in a closed set: told, counted and explained by these alone.
//!
//! # Why
//!
//! A server that nobody may change is mostly met here for the first time: its age, its certificate and its key decide whether
//! it can be reached at all. So each cause has a number, for `portvakt help`, and the ways out.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use super::refusal::{alert_of, refusal, refusal_in_text};

/// Why a TLS handshake with an upstream failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// Another leaf than the pinned one, or than the one of the first use.
    Pin,
    /// Nothing newer than TLS 1.1.
    OldProtocol,
    /// No cipher suite that both sides know.
    NoCommonSuite,
    /// A key that is too short to be verified.
    WeakKey,
    /// Not issued to the server name, or a server that does not know it.
    Name,
    /// Run out, or not valid yet.
    Expired,
    /// Chains to no trust anchor, or is of a kind that cannot be verified.
    UnknownCa,
    /// It wants a client certificate, or did not like ours.
    ClientCertRejected,
    /// It is to be believed at first use, and what is known of it cannot be read or kept.
    FirstUse,
    /// The handshake ended without a reason.
    Other,
    /// Its certificate cannot be read.
    Unreadable,
}

/// What a handshake knew when it failed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Circumstances {
    /// The server has asked for a client certificate.
    pub(super) was_asked: bool,
    /// We have one to show.
    pub(super) has_identity: bool,
    /// The size of the RSA key in the server's leaf, once it was shown and where it is one.
    pub(super) rsa_bits: Option<usize>,
}

impl TlsFailure {
    /// Every one, by its number.
    pub const EVERY: [Self; 11] = [
        Self::Pin,
        Self::OldProtocol,
        Self::NoCommonSuite,
        Self::WeakKey,
        Self::Name,
        Self::Expired,
        Self::UnknownCa,
        Self::ClientCertRejected,
        Self::FirstUse,
        Self::Other,
        Self::Unreadable,
    ];

    /// Reads what ended a handshake of our own.
    pub(super) fn of(error: &(dyn Error + 'static), circumstances: Circumstances) -> Self {
        let Circumstances { was_asked, has_identity, rsa_bits } = circumstances;
        if let Some(alert) = alert_of(error) {
            return match alert {
                alert if refusal(alert, was_asked, has_identity).is_some() => Self::ClientCertRejected,
                AlertDescription::ProtocolVersion => Self::OldProtocol,
                AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => Self::NoCommonSuite,
                AlertDescription::UnrecognisedName => Self::Name,
                _ => Self::Other,
            };
        }
        match cause_of(error) {
            Some(rustls::Error::InvalidCertificate(
                CertificateError::BadSignature
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
            )) if rsa_bits.is_some_and(|bits| bits < LEAST_RSA) => Self::WeakKey,
            Some(rustls::Error::InvalidCertificate(why)) => Self::of_certificate(why),
            Some(rustls::Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            )) => Self::OldProtocol,
            Some(rustls::Error::PeerIncompatible(_)) => Self::NoCommonSuite,
            // A ServerHello of an older version is no message that rustls reads.
            Some(_) | None => Self::Other,
        }
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Expired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::Name,
            _ => Self::UnknownCa,
        }
    }

    /// Reads our own numbers, or rustls's words, in an error's text; pingora hands on nothing else.
    pub fn in_text(text: &str) -> Option<Self> {
        if let Some(told) = Self::EVERY.into_iter().find(|failure| text.contains(&failure.code())) {
            return Some(told);
        }
        // An alert that we receive speaks of our certificate, whatever its name says of certificates.
        if refusal_in_text(text).is_some() {
            return Some(Self::ClientCertRejected);
        }
        let rules: [(&[&str], Self); 6] = [
            (&["not pinned", "changed between two connections", "another certificate than the one"], Self::Pin),
            (&["NotValidForName", "not valid for name", "not valid for any name", "UnrecognisedName"], Self::Name),
            (&["Expired", "expired", "NotValidYet", "not valid yet"], Self::Expired),
            (&["ProtocolVersion", "ServerDoesNotSupportTls12Or13"], Self::OldProtocol),
            (&["HandshakeFailure", "peer is incompatible", "InsufficientSecurity"], Self::NoCommonSuite),
            (&["UnknownIssuer", "invalid peer certificate", "UnknownCA"], Self::UnknownCa),
        ];
        // pingora's own word for every failed handshake.
        let text = text.replace("TLSHandshakeFailure", "");
        rules.into_iter().find(|(words, _)| words.iter().any(|word| text.contains(word))).map(|(_, failure)| failure)
    }

    /// Such as 430; `portvakt help` tells of it.
    pub const fn number(self) -> u16 {
        match self {
            Self::Pin => 430,
            Self::OldProtocol => 431,
            Self::NoCommonSuite => 432,
            Self::WeakKey => 433,
            Self::Name => 434,
            Self::Expired => 435,
            Self::UnknownCa => 436,
            Self::ClientCertRejected => 437,
            Self::FirstUse => 438,
            Self::Other => 439,
            Self::Unreadable => 443,
        }
    }

    /// As it is written: `PV0430`.
    pub fn code(self) -> String {
        format!("PV{:04}", self.number())
    }

    /// A few words that name it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Pin => "an upstream shows another certificate",
            Self::OldProtocol => "an upstream speaks no TLS that is spoken here",
            Self::NoCommonSuite => "an upstream knows no cipher suite that is used here",
            Self::WeakKey => "an upstream's key is too short",
            Self::Name => "an upstream's certificate is for another name",
            Self::Expired => "an upstream's certificate has expired",
            Self::UnknownCa => "an upstream's certificate cannot be verified",
            Self::ClientCertRejected => "an upstream does not accept us as client",
            Self::FirstUse => "what is known of an upstream cannot be read or kept",
            Self::Other => "an upstream ends the handshake without a reason",
            Self::Unreadable => "an upstream's certificate cannot be read",
        }
    }

    /// What is the matter with the server, as the end of "the server ...".
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Pin => "it shows another certificate than the one that is believed",
            Self::OldProtocol => "it offers TLS 1.1 or older only, and portvakt speaks TLS 1.2 and 1.3",
            Self::NoCommonSuite => {
                "it offers TLS 1.2 without ECDHE and AES-GCM or ChaCha20: CBC suites or RSA key exchange only"
            }
            Self::WeakKey => "its RSA key has less than 2048 bits, so that nothing it signs can be verified",
            Self::Name => "its certificate is not issued to the name that it is asked by",
            Self::Expired => "its certificate is not valid now",
            Self::UnknownCa => {
                "its certificate does not lead to a trust anchor, or is of a kind that no verifier takes"
            }
            Self::ClientCertRejected => "it asks for a client certificate, and does not accept what it gets",
            Self::FirstUse => "its certificate of the first use cannot be read or kept",
            Self::Unreadable => {
                "its certificate is no X.509 that can be read, so that nothing about it can be believed"
            }
            Self::Other => {
                "it ended the handshake without a reason, as old servers do that have nothing in common with us"
            }
        }
    }

    /// How an operator mends it, in one line.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Pin => {
                "if the change was meant: `portvakt upstream accept NAME` with `trust = \"first-use\"`, else put the new \
                 fingerprint or pin into the upstream's table; if not, somebody stands between"
            }
            Self::Name => "set `server_name` to a name that the certificate has, or pin it with `fingerprint`",
            Self::Expired => "renew the upstream's certificate, or pin it with `fingerprint` until that is done",
            Self::UnknownCa => {
                "name the upstream's root in `trust_anchors`, or pin a self-signed leaf with `fingerprint`, or let \
                 `trust = \"first-use\"` do so"
            }
            Self::ClientCertRejected => {
                "the upstream asks for a client certificate: give it an `identity` that it accepts, or let it ask no more"
            }
            Self::Unreadable => {
                "give the server a certificate that `openssl x509 -text` reads; if nobody has changed it, somebody stands \
                 between"
            }
            Self::FirstUse => "let `state_dir` be a folder that portvakt may read and write",
            Self::OldProtocol | Self::NoCommonSuite | Self::Other => {
                "A: let the server speak TLS 1.2 with ECDHE and GCM (Windows Server 2016 or later, or an ECDSA certificate on \
                 2012 R2); B: plain HTTP on loopback beside it; C: another TLS program between, such as stunnel"
            }
            Self::WeakKey => {
                "A: give the server a certificate with an RSA key of 2048 bits or an ECDSA key; B: plain HTTP on loopback \
                 beside it; C: another TLS program between, such as stunnel"
            }
        }
    }

    /// What `portvakt help` says of the number; `None` when it is none of these.
    pub fn help(number: u16) -> Option<String> {
        let failure = Self::EVERY.into_iter().find(|failure| failure.number() == number)?;
        let (code, title, cause, more) = (failure.code(), failure.title(), failure.cause(), failure.more());
        Some(format!("{code}: {title}\nThe server behind: {cause}.\n\n{more}\n"))
    }

    /// The ways out, at length.
    const fn more(self) -> &'static str {
        match self {
            Self::OldProtocol | Self::NoCommonSuite | Self::Other => WAYS,
            Self::WeakKey => WEAK_KEY,
            Self::Pin => PIN,
            Self::FirstUse => FIRST_USE,
            Self::Unreadable => UNREADABLE,
            Self::Name | Self::Expired | Self::UnknownCa => CERTIFICATE,
            Self::ClientCertRejected => CLIENT,
        }
    }
}

/// rustls's own error below what wraps it.
fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What every verifier of rustls's provider asks of an RSA key.
const LEAST_RSA: usize = 2048;

const WAYS: &str = "\
portvakt speaks TLS 1.2 and 1.3, with ECDHE and AES-GCM or ChaCha20. There is no switch for less: what is weaker can be read
by others. Three ways lead to an older server, and none of them lets clients notice:

A. Let the server speak TLS 1.2 with ECDHE and GCM, on another port or on loopback, with any certificate; a self-signed one
   is believed by `fingerprint` or `trust = \"first-use\"`. Windows Server 2016 and later do so by themselves; 2012 R2 does with
   an ECDSA certificate (P-256).
B. Plain HTTP on loopback, with portvakt on the same machine or its own encrypted network between:
   `upstream = \"http://127.0.0.1:8080\"`. On IIS untick `Require SSL` for the application and bind it to 127.0.0.1 alone;
   portvakt is then the only way in, and enforces HTTPS.
C. Another TLS program between the two, such as stunnel with `ciphers = ALL:@SECLEVEL=0` and `sslVersionMin = TLSv1`, on the
   loopback of the machine that portvakt runs on: `upstream = \"http://127.0.0.1:8081\"`. Nothing changes on the server.

What a server offers: `openssl s_client -connect HOST:PORT -cipher ALL:@SECLEVEL=0 -tls1` (also -tls1_1, -tls1_2).
Counted in `portvakt_upstream_tls_failures_total` with the reasons `old_protocol`, `no_common_cipher`, `other`.";

const WEAK_KEY: &str = "\
A fingerprint says which certificate is right; that the server has its key is proven by a signature, and a signature of an RSA
key of 1024 bits proves nothing any more. So no pin helps here.

A. Give the server a certificate with an RSA key of 2048 bits or more, or an ECDSA key; a self-signed one is enough:
   `New-SelfSignedCertificate -DnsName legacy.local -KeyLength 2048 -CertStoreLocation cert:\\LocalMachine\\My`
B. Plain HTTP on loopback: `upstream = \"http://127.0.0.1:8080\"`, IIS bound to 127.0.0.1 and `Require SSL` unticked.
C. Another TLS program between the two, such as stunnel with `ciphers = ALL:@SECLEVEL=0`, on loopback.

Counted in `portvakt_upstream_tls_failures_total{reason=\"weak_key\"}`.";

const PIN: &str = "\
Either somebody has renewed the server's certificate, or somebody stands between. Requests are answered with 502 until it is
settled, and nothing is sent to the server. The log line names both certificates: fingerprint, subject and dates.

Ask whoever runs the server for the new fingerprint (on the server itself, not over the network), and compare. Then:
- with `trust = \"first-use\"`: `portvakt upstream show`, and `portvakt upstream accept NAME --fingerprint HEX`; no restart.
- with `fingerprint` or `pin`: put the new value beside the old one in the upstream's table, and `portvakt reload`.

Counted in `portvakt_upstream_tls_failures_total{reason=\"pin\"}`.";

const UNREADABLE: &str = "\
What the server shows has the shape of a certificate, but breaks the rules of one (RFC 5280), in its dates for instance. A pin
or fingerprint cannot help: nothing in it can be read to compare. Requests get 502, and nothing is sent to the server.

No usual tool makes such certificates. If it was not changed on purpose, ask who answers at the address: somebody may stand
between. What it shows: `openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout -text`.
Counted in `portvakt_upstream_tls_failures_total{reason=\"unreadable\"}`.";

const FIRST_USE: &str = "\
With `trust = \"first-use\"` the first certificate of a server is kept in the state directory, and enforced from then on. When it
cannot be kept, it is not believed either: with each restart another one would be taken for the first.

Let `state_dir` be a folder that portvakt may read and write; the log line names the file and the system's reason.
A file that is damaged is replaced by `portvakt upstream accept NAME`.
Counted in `portvakt_upstream_tls_failures_total{reason=\"first_use\"}`.";

const CERTIFICATE: &str = "\
With `trust_anchors` a certificate is looked at as a browser does: it leads to a root that is named, is valid today, and is
issued to `server_name` in its subjectAltName. What old servers make for themselves fails in one of these: SHA-1, no
subjectAltName, CA:TRUE in a leaf, run out.

Such a certificate is believed as it is, whatever it says, by one of these in place of `trust_anchors`:
- `fingerprint = \"HEX\"`: this certificate; `pin = \"sha256/..\"`: this key, also in a renewed certificate.
- `trust = \"first-use\"`: the first one that is seen is kept and enforced; `portvakt upstream show` tells which.

Counted in `portvakt_upstream_tls_failures_total` with the reasons `name`, `expired`, `unknown_ca`.";

const CLIENT: &str = "\
The server wants to know who its client is (IIS: `SSL Settings`, client certificates). Behind portvakt that is portvakt:
- give it an identity: `upstream = { url = \"https://..\", identity = { pkcs12 = \"client.p12\", password_file = \"client.pw\" }, .. }`
- or let the server ignore client certificates, ask users for theirs here with `[site.client_certificates]`, and hand them on in a
  header: X-ARR-ClientCert is what IIS' own proxy sends. IIS asks on a path only after the handshake (renegotiation), which TLS
  1.3 and HTTP/2 do not have, so that it can never be asked for through a proxy.

Counted in `portvakt_upstream_tls_failures_total{reason=\"client_cert_rejected\"}`.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_error_text_when_read_then_the_failure_that_it_names() {
        #[rustfmt::skip]
        let table = [
            ("TLSHandshakeFailure: received fatal alert: HandshakeFailure", Some(TlsFailure::NoCommonSuite)),
            ("TLSHandshakeFailure: received fatal alert: ProtocolVersion", Some(TlsFailure::OldProtocol)),
            ("TLSHandshakeFailure: tls connect error: Connection reset by peer (os error 104)", None),
            ("TLSHandshakeFailure: invalid peer certificate: UnknownIssuer", Some(TlsFailure::UnknownCa)),
            ("ReadError: received fatal alert: UnknownCA", Some(TlsFailure::ClientCertRejected)),
            ("ReadError: received fatal alert: CertificateExpired", Some(TlsFailure::ClientCertRejected)),
            ("a certificate that is not pinned: fingerprint 00", Some(TlsFailure::Pin)),
            ("127.0.0.1:1 shows another certificate than the one that is believed since 2026", Some(TlsFailure::Pin)),
            ("no TLS handshake with 127.0.0.1:1 (PV0439): it ended", Some(TlsFailure::Other)),
            ("ConnectRefused", None),
        ];
        for (text, failure) in table {
            assert_eq!(TlsFailure::in_text(text), failure, "{text}");
        }
    }

    #[test]
    fn given_rustls_errors_when_read_then_the_failure() {
        use rustls::Error as E;
        let baseline = Circumstances::default();
        let asked = Circumstances { was_asked: true, ..baseline };
        let short = Circumstances { rsa_bits: Some(1024), ..baseline };
        let long = Circumstances { rsa_bits: Some(2048), ..baseline };
        #[rustfmt::skip]
        let table = [
            (E::AlertReceived(AlertDescription::ProtocolVersion), baseline, TlsFailure::OldProtocol),
            (E::AlertReceived(AlertDescription::HandshakeFailure), baseline, TlsFailure::NoCommonSuite),
            (E::AlertReceived(AlertDescription::HandshakeFailure), asked, TlsFailure::ClientCertRejected),
            (E::AlertReceived(AlertDescription::UnrecognisedName), baseline, TlsFailure::Name),
            (E::AlertReceived(AlertDescription::InternalError), baseline, TlsFailure::Other),
            (E::InvalidCertificate(CertificateError::BadSignature), short, TlsFailure::WeakKey),
            (E::InvalidCertificate(CertificateError::BadSignature), long, TlsFailure::UnknownCa),
            (E::InvalidCertificate(CertificateError::Expired), baseline, TlsFailure::Expired),
            (E::InvalidCertificate(CertificateError::NotValidForName), baseline, TlsFailure::Name),
            (E::InvalidCertificate(CertificateError::UnknownIssuer), baseline, TlsFailure::UnknownCa),
            (E::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13), baseline, TlsFailure::OldProtocol),
            (E::DecryptError, baseline, TlsFailure::Other),
        ];
        for (error, circumstances, expected) in table {
            let text = error.to_string();
            let wrapped = io::Error::new(io::ErrorKind::InvalidData, error);
            assert_eq!(TlsFailure::of(&wrapped, circumstances), expected, "{text} {circumstances:?}");
        }
        assert_eq!(TlsFailure::of(&io::Error::from(io::ErrorKind::ConnectionReset), baseline), TlsFailure::Other);
    }

    #[test]
    fn given_every_failure_then_its_number_is_its_own_and_help_tells_of_it() {
        let numbers: Vec<_> = TlsFailure::EVERY.iter().map(|failure| failure.number()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        for failure in TlsFailure::EVERY {
            let help = TlsFailure::help(failure.number()).unwrap();
            assert!(help.starts_with(&failure.code()) && help.contains(failure.title()), "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 130), "{help}");
        }
        assert!(TlsFailure::help(440).is_none());
    }
}
