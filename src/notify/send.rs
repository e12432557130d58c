//! Sends one message, by whichever way.

use std::time::Duration;

use http::StatusCode;

use super::message::Message;
use super::obstacle::{Believes, Obstacle};
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
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Late { .. } => {
                "see whether it hangs, or whether a firewall swallows what is sent; a mail server that expects TLS from the \
                 first byte (port 465) needs `tls = \"implicit\"`"
            }
            Self::Connect { believes, source, .. } => Obstacle::of(source.as_ref()).fix(*believes),
            Self::Exchange { .. } => "look into the receiver's log, and at what stands between: it is tried again",
            Self::Status { status, has_token, .. } => fix_of_status(*status, *has_token),
            Self::Redirect { .. } => {
                "write the URL that it leads to, if that is the receiver: redirects are not followed, so that no token wanders"
            }
            Self::Mail { tls, has_login, believes, source, .. } => fix_of_mail(source, *tls, *has_login, *believes),
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

/// RFC 9110 §15.5 and §15.6.
fn fix_of_status(status: StatusCode, has_token: bool) -> &'static str {
    match status.as_u16() {
        401 | 403 if has_token => "compare the token, and the URL with its path, with what the receiver has given out",
        401 | 403 => "it wants to know who asks: `token_file` with the token that it has given out, or the right path",
        404 | 405 | 410 => "compare the URL with the one that the receiver has given out, to the end of its path",
        400 | 406 | 413 | 415 | 422 => {
            "it wants another form than deploy/notify/message.schema.json: let a program translate, by `exec`"
        }
        408 | 425 | 429 => "it has had enough for now; it is tried again",
        500..=599 => "the receiver has failed itself: look into its log; it is tried again",
        _ => "compare the URL and the token with those that the receiver has given out",
    }
}

/// RFC 5321 §4.2.3, RFC 4954 §6.
fn fix_of_mail(
    error: &lettre::transport::smtp::Error,
    tls: MailTls,
    has_login: bool,
    believes: Believes,
) -> &'static str {
    match error.status().map(u16::from) {
        Some(530 | 538) if !has_login => "it takes mail from users only: set `user` and `password_file`",
        Some(530 | 534 | 535 | 538) => "compare `user` and the password with what the mail server knows",
        Some(501 | 550..=554) => {
            "it does not take mail from `from`, or for one of `to`, from this machine or this `user`: see what it says"
        }
        Some(400..=499) => "it cannot take it now; it is tried again",
        Some(_) => "see what the server says: `tls`, `user`, `from` and `to` must suit it",
        None if error.is_client() && has_login && error.to_string().contains("authentication") => {
            "it offers no login that is known here (PLAIN, LOGIN): leave `user` out if it wants none"
        }
        None if error.is_client() && tls == MailTls::StartTls => {
            "it offers no STARTTLS at this port: 587 mostly does, or `tls = \"implicit\"` at port 465"
        }
        None if error.is_response() => "what answers there speaks no SMTP: correct the port",
        None => match Obstacle::of(error) {
            Obstacle::NoTls => {
                "it does not begin with TLS at this port: `tls = \"starttls\"` (587), or correct the port"
            }
            Obstacle::Silence | Obstacle::Other => {
                "see whether this machine gets there: name, port, firewall; mail goes straight, never through a proxy, and a \
                 server that expects TLS from the first byte (port 465) needs `tls = \"implicit\"`"
            }
            obstacle => obstacle.fix(believes),
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
