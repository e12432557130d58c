//! Why a text did not come into DNS, or was not seen there.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::settings::KeyFileError;
use crate::dns::{LookupError, UpdateError};
use crate::store::StoreError;

/// Why a text did not come into DNS, or was not seen there.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// `[acme.dns]` is gone, or its provider, and something is left to do with it.
    #[error("`[acme.dns]` names no `provider`")]
    NoProvider,
    /// Alias, zone or server cannot be found.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The server has no address.
    #[error("the name server `{server}` has no address")]
    NoAddress {
        /// As it is named.
        server: String,
    },
    /// The primary has not done it.
    #[error("cannot change `{name}`")]
    Update {
        /// Of the record.
        name: String,
        /// Why.
        source: UpdateError,
    },
    /// No TSIG key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// Seen at some servers only, or at none.
    #[error("`{name}` is not at all of its name servers after {} s: {lacking}", after.as_secs())]
    NotPropagated {
        /// Of the record.
        name: String,
        /// Each server that lacks it, and why.
        lacking: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The operator's program cannot be started.
    #[error("cannot run `{program}`")]
    Spawn {
        /// As it is set.
        program: String,
        /// The system's words.
        source: io::Error,
    },
    /// The operator's program says no.
    #[error("`{program} {action} {name}` ended with {}{}", Ended(*status), Stderr(stderr))]
    Failed {
        /// As it is set.
        program: String,
        /// `present` or `cleanup`.
        action: &'static str,
        /// Of the record.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its last words.
        stderr: String,
    },
    /// The operator's program did not end.
    #[error("`{program} {action} {name}` did not end within {} s and was killed{}", after.as_secs(), Stderr(stderr))]
    Late {
        /// As it is set.
        program: String,
        /// `present` or `cleanup`.
        action: &'static str,
        /// Of the record.
        name: String,
        /// How long it had.
        after: Duration,
        /// Its last words.
        stderr: String,
    },
    /// acme-dns is not reached.
    #[error("cannot ask acme-dns at `{url}`")]
    AcmeDnsUnreachable {
        /// What was asked for.
        url: String,
        /// Name, network, TLS or HTTP.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// acme-dns says no.
    #[error("acme-dns at `{url}` answers {status}: {words}")]
    AcmeDnsRefused {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
        /// The beginning of its answer.
        words: String,
    },
    /// Registered, and the operator's zone does not point there yet.
    #[error("`{asked}` must be an alias of `{target}`, where acme-dns answers for it; {found}")]
    NoAlias {
        /// What the CA asks about.
        asked: String,
        /// What acme-dns answers for.
        target: String,
        /// Where it leads now.
        found: String,
    },
    /// The operator has to publish a text, once.
    #[error("`{name}` does not let our account order (dns-persist-01): {found}")]
    NotPublished {
        /// Of the record.
        name: String,
        /// What it must say.
        value: String,
        /// Who has what in its place.
        found: String,
    },
    /// A text for dns-persist-01 begins with it.
    #[error("the CA `{directory}` does not say by which name it goes in DNS (`caaIdentities`, RFC 8555 §7.1.1)")]
    NoIssuer {
        /// Of the CA.
        directory: String,
    },
    /// The file with the accounts.
    #[error("cannot use the account file `{}`", path.display())]
    AccountFile {
        /// Of the file.
        path: PathBuf,
        /// What is wrong with it.
        source: StoreError,
    },
    /// The note of what is in DNS.
    #[error("the state directory fails")]
    Store(#[from] StoreError),
}

impl DnsError {
    /// Whether nothing was changed for certain, so that there is nothing to take back.
    pub(super) const fn is_refusal(&self) -> bool {
        match self {
            Self::Update { source, .. } => !matches!(source, UpdateError::NoAnswer(_) | UpdateError::Unsigned { .. }),
            Self::Failed { .. } | Self::Late { .. } | Self::AcmeDnsUnreachable { .. } | Self::NotPropagated { .. } => {
                false
            }
            Self::NoProvider
            | Self::Lookup(_)
            | Self::NoAddress { .. }
            | Self::Key(_)
            | Self::Spawn { .. }
            | Self::AcmeDnsRefused { .. }
            | Self::NoAlias { .. }
            | Self::NotPublished { .. }
            | Self::NoIssuer { .. }
            | Self::AccountFile { .. }
            | Self::Store(_) => true,
        }
    }

    /// What the operator can do.
    pub fn fix(&self) -> Option<String> {
        let fix = match self {
            Self::NoProvider => "set `[acme.dns]` again, or remove the records by hand",
            Self::Lookup(error) if error.is_dnssec() => {
                "mend the zone's signatures (keys and DS at the registrar): CAs check them too"
            }
            Self::Lookup(_) => "check the name and its delegation, or name other servers with `acme.dns.resolvers`",
            Self::NoAddress { .. } => "write an address in place of the name",
            Self::Update { source, .. } => return update_fix(source),
            Self::Key(_) => "put the secret of the TSIG key into that file, and let only portvakt read it",
            Self::NotPropagated { .. } => {
                "let the primary notify its secondaries, or raise `acme.dns.propagation_timeout`; servers that nobody \
                 outside asks are left out by naming the others in `acme.dns.nameservers`"
            }
            Self::Spawn { .. } => "check `acme.dns.command`: a path, which the user that portvakt runs as may execute",
            Self::Failed { .. } => "run it by hand with the same arguments; it must exit with 0",
            Self::Late { .. } => "raise `acme.dns.timeout`, or find out what it waits for",
            Self::AcmeDnsUnreachable { .. } => "check `acme.dns.url` and the way to it: name resolution, firewall",
            Self::AcmeDnsRefused { status: 401 | 403, .. } => {
                "it does not know the account: take the domain out of `acme.dns.account_file` to register it anew"
            }
            Self::AcmeDnsRefused { .. } => "look into the log of acme-dns",
            Self::NoAlias { asked, target, .. } => {
                return Some(format!("add to its zone: `{asked}. IN CNAME {target}.`"));
            }
            Self::NotPublished { name, value, .. } => {
                return Some(format!("add to its zone, once for all renewals: `{name}. IN TXT \"{value}\"`"));
            }
            Self::NoIssuer { .. } => "ask the CA; it may not offer dns-persist-01",
            Self::AccountFile { .. } => "correct `acme.dns.account_file`, or the rights on the file and its folder",
            Self::Store(_) => return None,
        };
        Some(fix.to_owned())
    }
}

fn update_fix(error: &UpdateError) -> Option<String> {
    let fix = match error {
        UpdateError::NoAnswer(_) => "check `acme.dns.server`, and that TCP to it is let through",
        UpdateError::WrongSecret { .. } => "put the secret that the server has into `acme.dns.tsig.secret_file`",
        UpdateError::UnknownKey { .. } => "write name and algorithm of `acme.dns.tsig` as the server has them",
        UpdateError::Clock { .. } => "set the clock of this machine, or the server's",
        UpdateError::Refused { .. } => {
            "let the key change TXT records in the zone; with BIND: `update-policy { grant KEY zonesub TXT; };`"
        }
        UpdateError::NotAuthoritative { .. } => {
            "let `acme.dns.server` be the zone's primary, or correct `acme.dns.zone`"
        }
        UpdateError::NotInZone { .. } => "correct `acme.dns.zone`, or leave it out",
        UpdateError::NotAName { .. } => "correct `acme.dns.zone`",
        UpdateError::Code { .. } => "look into the log of the name server",
        UpdateError::Unsigned { .. } => "let the server answer signed requests with a signature (RFC 8945)",
    };
    Some(fix.to_owned())
}

/// How a program ended, in the same words on every system where it can be.
struct Ended(ExitStatus);

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.code() {
            Some(code) => write!(f, "exit code {code}"),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A program's last words, when there are any.
struct Stderr<'a>(&'a str);

impl std::fmt::Display for Stderr<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; it said: {}", self.0) }
    }
}
