//! `[acme.dns]`.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::dns::{Algorithm, SecretError, Server, TsigKey};

/// How texts come into DNS, and where it is looked whether they are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSettings {
    /// Who puts them there; without it there is no dns-01.
    pub provider: Option<ProviderSettings>,
    /// Asked for aliases, zones and name servers; none: the system's.
    pub resolvers: Vec<SocketAddr>,
    /// Where a text must be seen before the CA looks; none: the name servers of its zone.
    pub nameservers: Vec<Server>,
    /// How long that may take.
    pub propagation_timeout: Duration,
}

impl DnsSettings {
    /// Enough for a secondary that is told of changes (RFC 1996), and for most that ask by themselves.
    pub const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(120);
}

impl fmt::Display for DnsSettings {
    /// All of it, in a form that is compared with what was set before: see `manager::asked`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.provider {
            None => f.write_str("nobody")?,
            Some(ProviderSettings::Rfc2136(Rfc2136Settings { server, zone, tsig, ttl })) => {
                write!(f, "rfc2136 {server} zone={} ttl={ttl}", zone.as_deref().unwrap_or_default())?;
                if let Some(TsigSettings { name, algorithm, secret_file }) = tsig {
                    write!(f, " tsig={name},{},{}", algorithm.as_str(), secret_file.display())?;
                }
            }
            Some(ProviderSettings::AcmeDns(AcmeDnsSettings { url, account_file })) => {
                write!(f, "acme-dns {url} {}", account_file.display())?;
            }
            Some(ProviderSettings::Exec(ExecSettings { command, timeout })) => {
                write!(f, "exec {command:?} {timeout:?}")?
            }
        }
        let nameservers: Vec<_> = self.nameservers.iter().map(ToString::to_string).collect();
        write!(f, " resolvers={:?} nameservers={nameservers:?} {:?}", self.resolvers, self.propagation_timeout)
    }
}

/// Who changes DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderSettings {
    /// The zone's own primary, which takes signed changes (RFC 2136).
    Rfc2136(Rfc2136Settings),
    /// A server of joohoi/acme-dns, which the names point to with a CNAME.
    AcmeDns(AcmeDnsSettings),
    /// A program of the operator's.
    Exec(ExecSettings),
}

/// Changes by RFC 2136.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rfc2136Settings {
    /// The primary of the zone.
    pub server: Server,
    /// The zone; found by its SOA when it is not set.
    pub zone: Option<String>,
    /// What changes are signed with; `None` where the server knows us by our address.
    pub tsig: Option<TsigSettings>,
    /// How long resolvers may keep a text, in seconds.
    pub ttl: u32,
}

impl Rfc2136Settings {
    /// Seconds; each text is new, so nobody has an old one.
    pub const TTL: u32 = 60;
}

/// A TSIG key, whose secret lies in a file that is read before each use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TsigSettings {
    /// As the server knows it.
    pub name: String,
    /// As the server knows it.
    pub algorithm: Algorithm,
    /// Base64 alone, or a key as `tsig-keygen` writes it.
    pub secret_file: PathBuf,
}

impl TsigSettings {
    /// Reads the file; waits for the disk.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`] when it cannot be read or holds no secret.
    pub fn load(&self) -> Result<TsigKey, KeyFileError> {
        let unreadable = |source| KeyFileError::Unreadable { path: self.secret_file.clone(), source };
        let text = Zeroizing::new(fs::read_to_string(&self.secret_file).map_err(unreadable)?);
        TsigKey::new(&self.name, self.algorithm, &text)
            .map_err(|source| KeyFileError::NoSecret { path: self.secret_file.clone(), source })
    }
}

/// Why there is no TSIG key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Not there, not ours, or no text.
    #[error("cannot read the TSIG secret `{}`", path.display())]
    Unreadable {
        /// Of the file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Something else.
    #[error("`{}` holds no TSIG secret", path.display())]
    NoSecret {
        /// Of the file.
        path: PathBuf,
        /// What is wrong with it.
        source: SecretError,
    },
}

/// A server of joohoi/acme-dns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeDnsSettings {
    /// Of its API, without slash at its end.
    pub url: String,
    /// Accounts by domain, in the form that other clients keep them; made when it is not there.
    pub account_file: PathBuf,
}

/// A program of the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecSettings {
    /// The program and its first arguments; `present|cleanup NAME VALUE` follow.
    pub command: Vec<String>,
    /// It is killed after this.
    pub timeout: Duration,
}

impl ExecSettings {
    /// Slow APIs take half a minute.
    pub const TIMEOUT: Duration = Duration::from_secs(60);
}
