//! Sends one message, by whichever way.

use std::time::Duration;

use http::StatusCode;

use super::message::Message;
use super::obstacle::{Believes, Obstacle};
use super::remedy::Remedy;
use super::settings::{Channel, MailTls, NoSecret, Settings};
use super::{mail, program, webhook};
use crate::outward::Through;
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
    /// No connection: name, address, proxy, TLS.
    #[error("cannot connect to {place}{}", Through(proxy))]
    Connect {
        /// Scheme, host and port.
        place: String,
        /// What should have led there.
        proxy: Option<String>,
        /// By whom it would have been believed.
        believes: Believes,
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
        status: StatusCode,
        /// The beginning of what it said.
        said: String,
        /// When it wants to be asked again.
        retry_at: Option<Timestamp>,
        /// We have shown a token.
        has_token: bool,
    },
    /// It names another place (RFC 9110 §15.4).
    #[error("{place} answered `{status}` and sends us to {to}")]
    Redirect {
        /// Scheme, host and port.
        place: String,
        /// The status.
        status: StatusCode,
        /// Where to, without its path.
        to: String,
    },
    /// The mail server said no, or something that is no SMTP.
    #[error("the mail server {server} did not take the message")]
    Mail {
        /// `host:port`.
        server: String,
        /// How TLS was to begin.
        tls: MailTls,
        /// We have said who we are.
        has_login: bool,
        /// By whom it would have been believed.
        believes: Believes,
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
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Late { .. } => Remedy::Slowness,
            Self::Connect { believes, source, .. } => Obstacle::of(source.as_ref()).remedy(*believes),
            Self::Exchange { .. } => Remedy::Break,
            Self::Status { status, has_token, .. } => of_status(*status, *has_token),
            Self::Redirect { .. } => Remedy::Redirect,
            Self::Mail { tls, has_login, believes, source, .. } => of_mail(source, *tls, *has_login, *believes),
            Self::Unwritable { .. } => Remedy::Addresses,
            Self::Secret { .. } => Remedy::Secret,
            Self::Tls { .. } => Remedy::UnusableAnchors,
            Self::Run { .. } => Remedy::Program,
            Self::Failed { .. } | Self::Killed { .. } => Remedy::ByHand,
        }
    }

    /// The same, in English.
    pub fn fix(&self) -> &'static str {
        self.remedy().words().en
    }
}

/// RFC 9110 §15.5 and §15.6.
fn of_status(status: StatusCode, has_token: bool) -> Remedy {
    match status.as_u16() {
        401 | 403 if has_token => Remedy::Token,
        401 | 403 => Remedy::NoToken,
        404 | 405 | 410 => Remedy::Path,
        400 | 406 | 413 | 415 | 422 => Remedy::Form,
        408 | 425 | 429 => Remedy::Patience,
        500..=599 => Remedy::Receiver,
        _ => Remedy::UrlAndToken,
    }
}

/// RFC 5321 §4.2.3, RFC 4954 §6.
fn of_mail(error: &lettre::transport::smtp::Error, tls: MailTls, has_login: bool, believes: Believes) -> Remedy {
    match error.status().map(u16::from) {
        Some(530 | 538) if !has_login => Remedy::Login,
        Some(530 | 534 | 535 | 538) => Remedy::WrongLogin,
        Some(501 | 550..=554) => Remedy::Parties,
        Some(400..=499) => Remedy::Later,
        Some(_) => Remedy::MailSettings,
        None if error.is_client() && has_login && error.to_string().contains("authentication") => Remedy::NoLogin,
        None if error.is_client() && tls == MailTls::StartTls => Remedy::NoStartTls,
        None if error.is_response() => Remedy::NoMailServer,
        None => match Obstacle::of(error) {
            Obstacle::NoTls => Remedy::NoImplicitTls,
            Obstacle::Silence | Obstacle::Other => Remedy::MailWay,
            obstacle => obstacle.remedy(believes),
        },
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
