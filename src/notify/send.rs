//! Sends one message, by whichever way.

use std::time::Duration;

use super::message::Message;
use super::settings::{Channel, NoSecret, Settings};
use super::{mail, program, webhook};
use crate::time::Timestamp;

/// Sends a message; waits for the other side, at most [`LIMIT`] or as long as a program may take.
///
/// # Errors
///
/// [`SendError`]: the message was not taken, as far as anybody can tell.
pub async fn send(settings: &Settings, message: &Message) -> Result<(), SendError> {
    let sending = async {
        match &settings.channel {
            Channel::Webhook(webhook) => webhook::post(webhook, message).await,
            Channel::Mail(mail) => mail::send(mail, message).await,
            Channel::Program(settings) => return program::run(settings, message).await,
        }
    };
    match &settings.channel {
        Channel::Program(_) => sending.await,
        Channel::Webhook(_) | Channel::Mail(_) => {
            tokio::time::timeout(LIMIT, sending).await.unwrap_or(Err(SendError::Late { after: LIMIT }))
        }
    }
}

/// Why a message was not taken. Holds nothing secret.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No answer in time.
    #[error("no answer within {} s", after.as_secs())]
    Late {
        /// How long was waited.
        after: Duration,
    },
    /// No connection: name, address, TLS.
    #[error("cannot connect to {place}")]
    Connect {
        /// Scheme, host and port.
        place: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection broke.
    #[error("the connection to {place} broke")]
    Exchange {
        /// Scheme, host and port.
        place: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another status than 2xx.
    #[error("{place} answered `{status}`{}", Said(said))]
    Status {
        /// Scheme, host and port.
        place: String,
        /// The status.
        status: http::StatusCode,
        /// The beginning of what it said.
        said: String,
        /// When it wants to be asked again.
        retry_at: Option<Timestamp>,
    },
    /// The mail server said no, or something that is no SMTP.
    #[error("the mail server {server} did not take the message")]
    Mail {
        /// `host:port`.
        server: String,
        /// What it said.
        source: lettre::transport::smtp::Error,
    },
    /// No mail can be made of it.
    #[error("the message cannot be written as mail")]
    Unwritable {
        /// Why.
        source: lettre::error::Error,
    },
    /// The password or token.
    #[error("no password or token")]
    Secret {
        /// Why.
        #[from]
        source: NoSecret,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls {
        /// Why.
        source: rustls::Error,
    },
    /// The program cannot be run.
    #[error("cannot run `{program}`")]
    Run {
        /// Its path.
        program: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// The program failed.
    #[error("`{program}` ended with {status}{}", Said(said))]
    Failed {
        /// Its path.
        program: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// Its last words.
        said: String,
    },
    /// The program did not end.
    #[error("`{program}` did not end within {} s and was killed{}", after.as_secs(), Said(said))]
    Killed {
        /// Its path.
        program: String,
        /// How long was waited.
        after: Duration,
        /// Its last words.
        said: String,
    },
}

impl SendError {
    /// When the other side wants to be asked again.
    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::Status { retry_at, .. } => *retry_at,
            _ => None,
        }
    }

    /// What can be done about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Mail { source, .. } if source.status().is_some() => {
                "see what the server says: `tls`, `user`, `password_file`, `from` and `to` must suit it"
            }
            Self::Late { .. } | Self::Connect { .. } | Self::Exchange { .. } | Self::Mail { .. } => {
                "see whether this machine reaches it: name, port, firewall; for a CA of your own set `trust_anchors`"
            }
            Self::Status { .. } => "compare the URL and the token with those that the receiver has given out",
            Self::Unwritable { .. } => "compare `from` and `to` with what mail allows",
            Self::Secret { .. } => {
                "put it into the file, alone on its line, and let the user that portvakt runs as read it"
            }
            Self::Tls { .. } => "compare `trust_anchors` with the root of the receiver's certificate",
            Self::Run { .. } => "put the program there and make it executable for the user that portvakt runs as",
            Self::Failed { .. } | Self::Killed { .. } => "run it by hand with the message as its standard input",
        }
    }
}

/// `; it said: TEXT`, when there is one.
struct Said<'a>(&'a str);

impl std::fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; it said: {}", self.0) }
    }
}

/// For a webhook or a mail server to take a message.
const LIMIT: Duration = Duration::from_secs(60);
