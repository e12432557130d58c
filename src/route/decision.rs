//! What is asked of a decision, and what it says.

use std::net::IpAddr;

use http::{Method, StatusCode, Version};

use super::{PathError, Stripped};

/// What is known of a request when its header has been read.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// It came over TLS.
    pub secure: bool,
    /// Who sent it, as far as trusted proxies are believed ([`believed_client`](super::believed_client)); `None` where
    /// that cannot be known.
    pub client: Option<IpAddr>,
    /// Its method.
    pub method: &'a Method,
    /// Its version.
    pub version: Version,
    /// Path and query as sent; an absolute-form target whole.
    pub target: &'a [u8],
    /// `Host`, or `:authority` in HTTP/2. Several `Host` lines are refused before (RFC 9112 §3.2).
    pub host: Option<&'a str>,
    /// The site that the TLS handshake chose.
    pub server_name_site: Option<usize>,
    /// It carries `Authorization` or `Proxy-Authorization`.
    pub has_authorization: bool,
    /// It carries `Cookie`.
    pub has_cookie: bool,
}

/// What is to be done with a request, and for whom it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Index into [`Settings::sites`](super::Settings::sites); `None` where the request named no site of ours.
    pub site: Option<usize>,
    /// Index into [`Site::routes`](super::Site::routes) of that site; `None` where it was not looked for.
    pub route: Option<usize>,
    /// What the enforcement did, to be counted; `None` over TLS and for requests that no rule was asked about.
    pub action: Option<Action>,
    /// What is done.
    pub outcome: Outcome,
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Goes to an upstream, with [`Target::origin_form`](super::Target::origin_form) of its target.
    Forward {
        /// Index into the configuration's list of upstreams.
        upstream: usize,
        /// What is sent in place of the target, where the route strips its prefix.
        stripped: Option<Box<Stripped>>,
    },
    /// Goes to HTTPS, or to the host that this one stands for.
    Redirect {
        /// 301, 302, 307 or 308.
        status: StatusCode,
        /// An absolute `https` URL in visible ASCII.
        location: String,
    },
    /// Is answered by us; the status is [`Reason::status`].
    Refuse(Reason),
}

/// What the enforcement of HTTPS did with a request over plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Sent to HTTPS.
    Redirected,
    /// Refused: it must not come in clear.
    Rejected,
    /// Forwarded: plain HTTP is allowed there.
    Allowed,
    /// Forwarded in `observe`; would have been redirected.
    WouldRedirect,
    /// Forwarded in `observe`; would have been refused.
    WouldReject,
    /// Refused because it showed credentials in clear.
    CredentialBlocked,
}

impl Action {
    /// Every action, in the order of declaration.
    pub const ALL: [Self; 6] = [
        Self::Redirected,
        Self::Rejected,
        Self::Allowed,
        Self::WouldRedirect,
        Self::WouldReject,
        Self::CredentialBlocked,
    ];

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redirected => "redirected",
            Self::Rejected => "rejected",
            Self::Allowed => "allowed",
            Self::WouldRedirect => "would_redirect",
            Self::WouldReject => "would_reject",
            Self::CredentialBlocked => "credential_blocked",
        }
    }
}

/// Why a request is answered by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// CONNECT, TRACE and TRACK: we are no tunnel, and an echo of headers shows cookies to scripts.
    Method,
    /// The target or its path has no single meaning.
    Path(PathError),
    /// No `Host` where one is required (RFC 9112 §3.2).
    HostMissing,
    /// A `Host` that is no host.
    HostMalformed,
    /// An absolute-form target and a `Host` that name different hosts.
    HostDiffers,
    /// No site of that name, over plain HTTP.
    HostUnknown,
    /// Over TLS: no site of that name, or not the one this connection was opened for (RFC 9110 §15.5.20).
    Misdirected,
    /// No route leads there.
    NoRoute,
    /// Only HTTPS may be used here.
    PlainHttp,
    /// Credentials came over plain HTTP.
    Credentials,
    /// The client's address is in no network of `allow_from`.
    Address,
}

impl Reason {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Path(_) | Self::HostMissing | Self::HostMalformed | Self::HostDiffers => StatusCode::BAD_REQUEST,
            Self::HostUnknown | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::PlainHttp | Self::Credentials | Self::Address => StatusCode::FORBIDDEN,
        }
    }

    /// One line for the peer, which learns nothing of our configuration.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Method => "this method is not served here",
            Self::Path(_) => "the request target is malformed",
            Self::HostMissing => "the request names no host",
            Self::HostMalformed => "the host is malformed",
            Self::HostDiffers => "the request names two hosts",
            Self::HostUnknown => "this host is not served here",
            Self::Misdirected => "this host is not served on this connection",
            Self::NoRoute => "nothing is served here",
            Self::PlainHttp => "this is served over HTTPS only; nothing was passed on",
            Self::Credentials => {
                "credentials were sent without encryption; nothing was passed on, and they should be changed"
            }
            Self::Address => "this is not served to your address",
        }
    }
}
