//! What a local application may ask of a service that knows us by a client certificate.
//!
//! In: [`Settings`], and the facts of a request. Out: whether it may pass. Pure: takes values and the time, gives values.
//! Imports http types and `pki`.
//!
//! Promises: what no entry of the allow-list names never leaves the machine; a caller's token is compared in constant
//! time, and neither shown nor passed on.

pub mod bankid;

mod allow;
mod calendar;
mod environment;
mod preset;
mod token;

pub use self::allow::{Allowed, AllowedError};
pub use self::calendar::calendar;
pub use self::environment::{Environment, Root, is_garbled_guideline_root, is_published};
pub use self::preset::{COLLECT, Preset, Service};
pub use self::token::Token;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One way out, as the configuration means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Metric label; default the destination's host.
    pub name: String,
    /// Where the application calls us.
    pub listen: Listen,
    /// What may be asked for; never empty.
    pub allow: Vec<Allowed>,
    /// What a caller has to show.
    pub token: Option<Token>,
    /// Bytes that the body of a request may have.
    pub body: u64,
    /// What a relying party of BankID has to keep to; `None` for every other service.
    pub rules: Option<bankid::Settings>,
}

impl Settings {
    /// Whether a request may pass. `target` is the request's, path and query, as the application has sent it.
    pub fn allows(&self, method: &http::Method, target: &str) -> bool {
        self.allow.iter().any(|allowed| allowed.matches(method, target))
    }
}

/// Where an application calls us, over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// An address, on loopback unless callers have to show a token.
    Tcp(SocketAddr),
    /// A Unix socket. Its file's rights say who may call.
    Unix {
        /// Its file.
        path: PathBuf,
        /// Who may call beside our own user; `None` is nobody.
        group: Option<String>,
    },
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}
