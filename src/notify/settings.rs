//! `[[notify]]` as it is meant.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use lettre::message::Mailbox;
use zeroize::Zeroizing;

use super::event::Kind;
use crate::language::Lang;
use crate::outward::Proxy;
use crate::pki::{Password, PasswordError, TrustAnchors};

/// One notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name: label of metrics, and of what is kept of it.
    pub name: String,
    /// How it is told.
    pub channel: Channel,
    /// What it is told of.
    pub events: Vec<Kind>,
    /// In which language.
    pub language: Lang,
}

/// A way to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// JSON by POST.
    Webhook(WebhookSettings),
    /// Mail.
    Mail(MailSettings),
    /// A program of the operator's.
    Program(ProgramSettings),
}

impl Channel {
    /// The key that names it in the configuration.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Mail(_) => "smtp",
            Self::Program(_) => "exec",
        }
    }
}

impl fmt::Display for Channel {
    /// For people; without what may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(webhook) => write!(f, "webhook {}", webhook.url),
            Self::Mail(mail) => write!(f, "mail by {}", mail.server()),
            Self::Program(program) => write!(f, "program {}", program.command.first().map_or("", String::as_str)),
        }
    }
}

/// `webhook`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where to.
    pub url: HookUrl,
    /// Shown as a bearer token (RFC 6750).
    pub token: Option<Secret>,
    /// Whom to believe; `None` is Mozilla's roots.
    pub trust_anchors: Option<TrustAnchors>,
    /// What leads there; `None` is the straight way.
    pub proxy: Option<Proxy>,
}

/// A URL whose path may be all that guards it. `Debug` and `Display` show scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl(Uri);

impl HookUrl {
    /// Takes a URL with scheme and host; `None` for another.
    pub fn parse(text: &str) -> Option<Self> {
        let url: Uri = text.parse().ok()?;
        let is_whole = url.scheme_str().is_some() && url.host().is_some_and(|host| !host.is_empty());
        is_whole.then_some(Self(url))
    }

    /// Without brackets.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// `https` mostly.
    pub fn scheme(&self) -> &str {
        self.0.scheme_str().unwrap_or_default()
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What stands before an `@` is not part of the host.
        write!(f, "{}://{}", self.scheme(), self.0.host().unwrap_or_default())?;
        self.0.port_u16().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}/..")
    }
}

/// `smtp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSettings {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How TLS begins.
    pub tls: MailTls,
    /// Whom to believe; `None` is Mozilla's roots.
    pub trust_anchors: Option<TrustAnchors>,
    /// Who we are to the server, where it wants to know.
    pub login: Option<(String, Secret)>,
    /// Whose mail it is.
    pub from: Address,
    /// Who gets it; one at least.
    pub to: Vec<Address>,
}

impl MailSettings {
    /// `host:port`.
    pub fn server(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// `smtp.tls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailTls {
    /// After the greeting (RFC 3207); a server that does not offer it gets nothing.
    #[default]
    StartTls,
    /// From the first byte (RFC 8314).
    Implicit,
    /// None; for a server on this machine.
    Off,
}

impl MailTls {
    /// Where servers listen for it.
    pub const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Implicit => 465,
            Self::Off => 25,
        }
    }
}

/// A mail address, with or without a name in front (RFC 5322 §3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Mailbox);

impl Address {
    pub(super) fn mailbox(&self) -> Mailbox {
        self.0.clone()
    }
}

impl FromStr for Address {
    type Err = lettre::address::AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// `exec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramSettings {
    /// The program's path and its arguments.
    pub command: Vec<String>,
    /// It is killed then.
    pub timeout: Duration,
}

impl ProgramSettings {
    /// The default of `timeout`.
    pub const TIMEOUT: Duration = Duration::from_secs(30);
}

/// A password or a token, from a file that is read each time, or from the environment.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The only line of this file.
    File(PathBuf),
    /// The text.
    Given(Password),
}

impl Secret {
    /// The text.
    ///
    /// # Errors
    ///
    /// [`NoSecret`] when the file cannot be read, or holds none.
    pub fn load(&self) -> Result<Zeroizing<String>, NoSecret> {
        let password = match self {
            Self::Given(password) => password.clone(),
            Self::File(path) => {
                let unreadable = |source| NoSecret::Unreadable { path: path.clone(), source };
                let bytes = fs::read(path).map(Zeroizing::new).map_err(unreadable)?;
                Password::from_file(&bytes).map_err(|source| NoSecret::Garbled { path: path.clone(), source })?
            }
        };
        match std::str::from_utf8(password.as_bytes()) {
            Ok(text) if !text.trim().is_empty() && !text.contains(char::is_control) => {
                Ok(Zeroizing::new(text.to_owned()))
            }
            _ => Err(NoSecret::Empty),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "Secret({})", path.display()),
            Self::Given(_) => f.write_str("Secret(..)"),
        }
    }
}

/// Why there is no password or token.
#[derive(Debug, thiserror::Error)]
pub enum NoSecret {
    /// The file.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Its content.
    #[error("`{}` holds no password or token", path.display())]
    Garbled {
        /// Which.
        path: PathBuf,
        /// Why.
        source: PasswordError,
    },
    /// Nothing, or control characters.
    #[error("the password or token is empty, or holds control characters")]
    Empty,
}
