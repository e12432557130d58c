//! Every problem's number: stable, so that it can be searched for, and a page about each.
//!
//! To add one: a line in the table below, in the order of the numbers; its page `pages/PVnnnn.md` beside it (without one
//! nothing compiles, and `tests/integration/tells_about_every_code.rs` loads its two examples); and a bad configuration
//! in `tests/data/bad/` that leads to it.

use std::fmt;
use std::str::FromStr;

use super::page::Page;

/// Declares [`Code`] and its table in one place: variant, number, title, meaning.
macro_rules! codes {
    ($($name:ident = $number:literal, $title:literal, $meaning:literal;)*) => {
        /// The kind of a problem. `PV01xx` is syntax and shape, `PV02xx` values, `PV03xx` files, `PV04xx` refusals for
        /// the sake of security, `PV05xx` the machine.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Code {
            $(#[doc = $meaning] $name = $number,)*
        }

        impl Code {
            /// Every code, by number.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// A few words that name the kind of problem.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }

            /// What it means, in one line.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }

            /// Its page: why it matters, how to mend it, a wrong and a right configuration.
            pub fn page(self) -> Page {
                match self {
                    $(Self::$name => Page(include_str!(concat!("pages/PV0", $number, ".md"))),)*
                }
            }
        }
    };
}

codes! {
    Syntax = 101, "syntax error",
        "The text is not TOML.";
    UnknownKey = 102, "unknown key",
        "A key has no meaning where it stands; a misspelt key is never ignored.";
    WrongType = 103, "wrong type",
        "A value has another type than its key takes.";
    MissingKey = 104, "missing key",
        "A key that has no default is not set.";
    DuplicateKey = 105, "duplicate key",
        "A key is set twice, in one file or in two that are merged.";
    UnsetVariable = 106, "unset variable",
        "A `${NAME}` names an environment variable that is not set, or is not closed.";
    Conflict = 107, "conflicting keys",
        "Two keys exclude each other, or one has no effect beside the other.";
    ControlCharacter = 110, "control character",
        "A text holds a line break, a tab or another control character.";

    InvalidDomain = 201, "invalid domain",
        "A domain is not a DNS name that a certificate can be issued to.";
    DuplicateDomain = 202, "duplicate domain",
        "A domain belongs to two sites, so that requests for it have no one answer.";
    InvalidUpstream = 203, "invalid upstream",
        "An upstream is not `http://host:port`, `https://host:port` or `unix:/path`.";
    UnknownCertificateSource = 204, "unknown certificate source",
        "A certificate comes from a source that portvakt does not know.";
    UnknownValue = 205, "unknown value",
        "A key takes one of a few words, and this is none of them.";
    InvalidDuration = 206, "invalid duration",
        "A duration is not a number with a unit, such as `10s`, `5m` or `1h`, or out of range.";
    InvalidNumber = 207, "invalid number",
        "A number is out of range.";
    InvalidAddress = 208, "invalid listen address",
        "A listen address is not `IP:port`.";
    AddressConflict = 209, "conflicting listen addresses",
        "Two listeners want the same port.";
    InvalidPath = 210, "invalid path",
        "A path is no canonical path prefix.";
    DuplicatePath = 211, "duplicate path",
        "Two rules of a site have the same path.";
    InvalidDirectory = 212, "invalid ACME directory",
        "An ACME directory is neither a known name nor an https URL.";
    InvalidContact = 213, "invalid contact",
        "An ACME contact is not a mail address.";
    WildcardOrder = 214, "wildcard by ACME",
        "A wildcard is ordered, but http-01 and tls-alpn-01 cannot prove one.";
    InvalidServerName = 215, "invalid server name",
        "A server name is neither a DNS name nor an IP address.";
    InvalidPin = 216, "invalid pin or fingerprint",
        "A pin or a fingerprint is not a SHA-256 in its usual form.";
    InvalidNetwork = 217, "invalid network",
        "A trusted proxy or an allowed client is neither an IP address nor a network such as `10.0.0.0/8`.";
    DuplicateName = 218, "duplicate name",
        "Two sites, routes or upstreams have one name, which would mix their metrics.";
    SeveralDefaults = 219, "several default sites",
        "More than one site is the default.";
    InvalidHost = 220, "invalid host",
        "A `Host` to be sent is not `name` or `name:port`.";
    InvalidName = 221, "invalid name",
        "A name holds characters that do not fit a metric label or a folder.";
    NothingToListenOn = 222, "nothing to listen on",
        "Neither HTTP nor HTTPS is listened on.";
    NoChallengePossible = 223, "no challenge possible",
        "No configured ACME challenge can be answered by a configured listener.";
    NotPublic = 224, "not a public name",
        "A public CA is asked for a name that it can never issue to.";
    InvalidLogLevel = 225, "invalid log level",
        "A log level is no `tracing` filter, such as `info` or `portvakt=debug`.";
    InvalidRedirect = 230, "invalid redirect",
        "A site sends its clients to something that is no https URL, or back to itself.";
    InvalidHeader = 231, "invalid header",
        "A header has a name or a value that HTTP does not allow.";
    HeaderNotYours = 232, "header that is not yours to change",
        "A header is to be set or removed that portvakt has to decide about.";
    InvalidSize = 233, "invalid size",
        "A size is not a number of bytes, or one with `KiB`, `MiB` or `GiB`.";
    InvalidRate = 234, "invalid rate",
        "A rate is not a number in each second, minute or hour, such as `100/s`.";
    InvalidHealthCheck = 240, "invalid health check",
        "A health check asks for something that is no path, or expects something that is no status.";
    AccessLogNowhere = 241, "access log nowhere",
        "The access log is to be written to a folder, or into one that is not there.";
    PageTooLarge = 242, "page too large",
        "A maintenance page is larger than 1 MiB.";
    InvalidProxy = 243, "invalid proxy",
        "What is to lead to a CA or a webhook is no proxy that can be used.";
    DuplicateCa = 244, "CA named twice",
        "Two entries of the list of ACME CAs have the same directory.";
    UnusableExternalKey = 245, "unusable key of an external account",
        "What a CA has given out to bind an account with is not there, or no key.";
    InvalidDestination = 250, "invalid destination",
        "The destination of an egress is not `https://host` or `https://host:port`.";
    InvalidAllow = 251, "invalid entry of an allow-list",
        "An entry of `allow` is not a method and a path.";
    InvalidDate = 252, "invalid date",
        "A moment is neither a date nor a date with a time.";
    InvalidTrial = 253, "invalid trial",
        "The request by which an identity is tried is not a method and a path.";
    UnknownPreset = 254, "unknown preset",
        "A preset has a name that portvakt does not know.";
    ForeignDestination = 255, "destination of another service",
        "The destination of an egress is not a host of its preset.";
    InvalidClosedVersion = 256, "invalid version",
        "A closed version is not written as in the paths of BankID's API, such as `v5.1`.";
    UnusableSocket = 257, "unusable Unix socket",
        "A Unix socket cannot be where it should: its path is too long, or its folder is not there.";

    InvalidNameServer = 260, "invalid name server",
        "A name server is neither a host nor an IP address, with or without port.";
    InvalidZone = 261, "invalid zone or key name",
        "A zone or a TSIG key does not bear a name of DNS.";
    NoTsigSecret = 262, "no TSIG secret",
        "A file holds no secret of a TSIG key, or one that could be guessed.";
    InvalidCommand = 263, "command cannot be run",
        "A program that is to change DNS is not named by its path, or is not there.";
    InvalidAcmeDns = 264, "invalid URL of acme-dns",
        "The API of acme-dns is not an https URL.";
    NoDnsProvider = 265, "nobody to change DNS",
        "The challenge dns-01 is wanted, and `[acme.dns]` does not say who puts texts into DNS.";
    CaUnreachable = 266, "CA cannot be asked",
        "A CA does not answer where this machine asks it.";
    NotAcme = 267, "no ACME directory",
        "Where the directory of a CA should be, something else answers.";
    ExternalAccountWanted = 268, "CA wants to know you first",
        "A CA gives accounts only to those that it knows, and `eab` is not set.";
    UnknownProfile = 269, "unknown certificate profile",
        "A CA has no certificate profile of that name.";
    CaaForbids = 270, "CAA forbids the CA",
        "CAA records in DNS keep a CA from issuing to a name.";
    ExposedTsigSecret = 271, "TSIG secret that all can read",
        "Everybody on this machine can read the secret of a TSIG key, and change the zone with it.";

    Unreadable = 301, "unreadable file",
        "A file cannot be read.";
    NoChain = 302, "no certificate chain",
        "A file holds no certificate chain.";
    NoKey = 303, "no private key",
        "A file holds no private key that can be used.";
    KeyMismatch = 304, "key and chain do not match",
        "A private key is not the one of the certificate.";
    Expired = 305, "expired certificate",
        "A certificate has expired, or is not yet valid.";
    NotCovered = 306, "domain not covered",
        "A certificate is not issued to a domain of its site.";
    NoTrustAnchors = 307, "no trust anchors",
        "A file holds no trust anchor, or one that cannot be read.";

    PasswordInConfiguration = 310, "password in the configuration",
        "A password stands in the configuration, where everybody who reads or backs it up has it.";
    WrongPassword = 311, "wrong password",
        "A password does not open the private key that it is given for, or its file holds none.";
    PasswordMissing = 312, "missing password",
        "A private key is encrypted, and no password is given.";
    NoPkcs12 = 313, "unusable PKCS #12 file",
        "A file is no PKCS #12, or does not hold one private key and its certificate.";
    UnsupportedEncryption = 314, "unsupported encryption",
        "A private key is encrypted in a way that portvakt does not read.";
    MissingIntermediate = 315, "missing intermediate certificate",
        "The issuer of the last certificate in a chain is neither in the file nor a root that browsers know.";
    ForeignCertificate = 316, "foreign certificate",
        "A file holds certificates that do not belong to the chain; they are not sent.";
    InvalidOrigin = 320, "invalid origin",
        "What a server writes before the path of its URLs is not `http://host:port` or `https://host:port`.";
    NoToken = 330, "no token",
        "A file holds no token, or one that could be guessed.";
    IdentityExpired = 331, "expired client certificate",
        "The certificate that we show to a service has expired, or is not yet valid.";
    IdentityEndsSoon = 332, "client certificate ends soon",
        "The certificate that we show to a service ends in less than 60 days, and nothing follows it.";
    DoubtfulNext = 333, "doubtful successor",
        "The identity in `next` cannot follow the one in `identity` without a gap.";
    AuthorityAsIdentity = 334, "CA as client",
        "The certificate that we show to a service is that of a CA.";
    OldTrustAnchor = 335, "expired trust anchor",
        "A trust anchor has expired, or belongs to a service that is gone.";
    GarbledRoot = 336, "garbled root",
        "A file has the form of a certificate, and what it holds is none.";
    TokenForAll = 337, "token that all can read",
        "Every user of this machine can read the token that callers have to show.";
    NameChanges = 338, "users will see another name",
        "The next certificate has another display name than the one in use.";

    PlaintextUpstream = 401, "plaintext to another host",
        "Requests would leave this machine unencrypted without the operator's word.";
    TermsNotAgreed = 402, "terms of service not agreed",
        "A certificate is ordered from a CA whose terms nobody has agreed to.";
    NoUpstreamTrust = 403, "unverified upstream",
        "An https upstream has neither trust anchors nor a fingerprint or pin.";
    HstsOverPlain = 404, "HSTS with plain paths",
        "HSTS would lock browsers out of paths that are served over plain HTTP.";
    InternalInPublic = 405, "internal certificate in public",
        "A site that others reach shows a certificate that their devices refuse.";
    PlaintextDirectory = 406, "ACME without TLS",
        "An ACME directory is asked over plain HTTP.";
    AdminExposed = 407, "exposed admin listener",
        "The admin listener, which knows no login, is open to other machines.";
    EverybodyTrusted = 408, "everybody is a trusted proxy",
        "A trusted network holds every address, so that anybody can forge his own.";
    PlaintextDestination = 420, "destination without TLS",
        "An egress leads to a service over plain HTTP, where no certificate can be shown.";
    TestIdentityInProduction = 421, "test certificate in production",
        "A certificate of BankID's test environment would be shown to its production.";
    ProductionIdentityInTest = 422, "production certificate in test",
        "A certificate of BankID's production would be shown to its test environment.";
    ForeignTrustAnchor = 423, "root of another environment",
        "BankID is to be recognised by a root that is not that of the environment which is called.";
    NotForClients = 424, "not for clients",
        "A certificate is issued for servers only, so that no service accepts it from a client.";
    PublicCaIdentity = 425, "public CA as issuer of a client's certificate",
        "A client's certificate is to come from a public CA, which issues none for clients.";
    EgressExposed = 426, "egress without a guard",
        "Other machines could act in your name: an egress listens off loopback without token or allow-list.";
    EgressInPlain = 427, "egress over plain HTTP",
        "Applications on other machines call an egress over plain HTTP.";
    PinnedBankId = 428, "pinned server certificate of BankID",
        "BankID changes its server certificates, and a pin or fingerprint then believes nobody.";

    InvalidCrl = 440, "no list of revoked certificates",
        "A file that should say which client certificates are revoked holds no such list.";
    OldCrl = 441, "old list of revoked certificates",
        "The time has passed at which a CA's next list of revoked certificates was due.";
    EmptyClientList = 442, "nobody is let in",
        "A list of whose client certificates are let in names nobody.";

    CannotListen = 501, "cannot listen",
        "An address cannot be listened on now.";
    NoIpv6 = 502, "no IPv6",
        "This machine has no IPv6, so that an IPv6 address cannot be listened on.";
    NoStateDir = 503, "no state directory",
        "No place for keys and certificates is known.";
    ControlPathTooLong = 510, "control socket path too long",
        "The path of the control socket is longer than the system takes.";

    UnknownUser = 520, "unknown user or group",
        "`user` or `group` names nobody whom this machine knows.";
    RunsAsRoot = 521, "runs as root",
        "The process keeps every right on the machine, though it needs very few.";
    VolatileState = 522, "state that does not last",
        "The state directory lies where a restart takes everything away.";

    NoWayToNotify = 690, "no way to notify",
        "A notifier names no way to notify, or more than one.";
    InvalidWebhook = 691, "invalid webhook",
        "Messages are to be posted to something that is no https URL.";
    InvalidMailServer = 692, "invalid mail server",
        "A mail server is not `host` or `host:port`.";
    PlaintextMail = 693, "mail without TLS",
        "Mail would go to another machine in clear.";
    InvalidMailAddress = 694, "invalid mail address",
        "A sender or a recipient of messages is not a mail address.";
    InvalidNotifyProgram = 695, "program cannot be run",
        "A program that is to take messages is not named by its path, is not there, or is not executable.";
    UnusableNotifySecret = 696, "no password or token",
        "The password or token that a notifier needs is not there, or is none.";
    ExposedNotifySecret = 697, "password or token that all can read",
        "Every user of this machine can read the password or token of a notifier.";
    NotifiesOfNothing = 698, "notifies of nothing",
        "A notifier is told of no event.";
    TextfileNowhere = 699, "metrics to nowhere",
        "The metrics are to be written to a file that no collector reads, or into a folder that is not there.";
    NoLandlock = 720, "no Landlock",
        "The process is to confine itself, and this system has no means to it.";
    OutsideConfinement = 721, "outside the confinement",
        "A process that has confined itself is to open what was not configured at its start.";
}

impl Code {
    /// Its number, such as 204.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// Whether it can come from a part of the text that was lost to a syntax error.
    pub(super) fn is_of_absence(self) -> bool {
        matches!(
            self,
            Self::MissingKey
                | Self::NothingToListenOn
                | Self::TermsNotAgreed
                | Self::NoUpstreamTrust
                | Self::NoStateDir
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PV{:04}", self.number())
    }
}

impl FromStr for Code {
    type Err = UnknownCode;

    /// Reads `PV0204`; case, `PV` and leading zeros may be left out.
    fn from_str(s: &str) -> Result<Self, UnknownCode> {
        let digits = s.trim_start_matches(['P', 'p']).trim_start_matches(['V', 'v']);
        let number = digits.parse::<u16>().ok();
        let code = Self::ALL.iter().find(|code| Some(code.number()) == number);
        code.copied().ok_or_else(|| UnknownCode(s.to_owned()))
    }
}

/// No problem has this code.
#[derive(Debug, thiserror::Error)]
#[error("there is no problem code `{0}`; they look like `PV0204`")]
pub struct UnknownCode(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_any_code_when_printed_then_reads_back() {
        for code in Code::ALL {
            assert_eq!(code.to_string().parse::<Code>().unwrap(), *code);
        }
    }

    #[test]
    fn given_short_or_lower_case_when_read_then_found() {
        assert_eq!("pv204".parse::<Code>().unwrap(), Code::UnknownCertificateSource);
        assert_eq!("204".parse::<Code>().unwrap(), Code::UnknownCertificateSource);
        assert!("PV9999".parse::<Code>().is_err());
        assert!("".parse::<Code>().is_err());
    }

    #[test]
    fn given_the_table_when_walked_then_numbers_rise() {
        assert!(Code::ALL.is_sorted_by(|a, b| a.number() < b.number()));
    }
}
