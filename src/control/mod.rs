//! The operators' socket: `portvakt status`, `reload`, `cert renew`, `cert rollback`, `upstream accept` and `http2 allow`.
//!
//! In: a path, and a [`Handler`] that knows the process. Out: answers to whoever may open the socket. Imports `platform`
//! and serde; knows neither configuration nor status, which pass through as JSON.
//!
//! The protocol: the client sends one line, a [`Request`] as JSON; the server sends one line, a [`Reply`] as JSON, and
//! closes.
//!
//! Promises: nobody but our own user and root can connect (mode 0600, made so before the name is there); a socket that a
//! dead process left is replaced, and so is that of a living one, whose place we take; a client that says nothing, or too
//! much, is left within seconds.
//!
//! # Why
//!
//! The admin listener knows no login, so it changes nothing. Whoever may open this socket could also send us a signal.

mod client;
mod server;

use serde::{Deserialize, Serialize};

pub use client::{AskError, ask};
pub use server::{Handler, Server};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Request {
    /// How everything stands.
    Status,
    /// Try the whole way to a certificate at the CA's twin, and throw the certificate away; takes minutes.
    Rehearse {
        /// Its name or a domain; `None` for the first one.
        site: Option<String>,
        /// Directory of another CA than the twin.
        directory: Option<String>,
    },
    /// Read the configuration again, and say how that went.
    Reload {
        /// Problems are told in colour.
        color: bool,
    },
    /// Order a certificate now, and say how that went; a CA may take minutes.
    Renew {
        /// Its name.
        certificate: String,
        /// Not to wait for a time that the CA has named either.
        force: bool,
    },
    /// Serve a certificate that is kept.
    Rollback {
        /// Its name.
        certificate: String,
        /// Which generation.
        generation: u64,
        /// Also an expired one.
        force: bool,
    },
    /// Believe a certificate of an upstream's server from now on, if it is the one that the server shows.
    AcceptUpstream {
        /// The upstream's name.
        upstream: String,
        /// Which of its servers: `https://host:port`.
        peer: String,
        /// SHA-256 of the certificate, hex.
        fingerprint: String,
    },
    /// Offer HTTP/2 again for a site whose server has asked for NTLM.
    OfferHttp2 {
        /// Its name.
        site: String,
    },
    /// For a minute, answer a question on port 80 as a CA asks it; `portvakt doctor` asks it by the public name.
    Answer {
        /// Of the question: [`Request::DOCTOR`], and what makes it unique.
        token: String,
    },
}

impl Request {
    /// How the token of a [`Request::Answer`] begins. No CA's does.
    pub const DOCTOR: &str = "portvakt-doctor-";
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done(serde_json::Value),
    /// It is not; nothing has changed.
    Failed(serde_json::Value),
}
