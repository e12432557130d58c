//! Answers of our own, in the shape of BankID's, so that clients of BankID can read them.

use std::time::Duration;

use super::ClosedVersion;

/// Why a request is answered here, or has no answer of BankID's.
///
/// # Why
///
/// Clients of BankID read `errorCode` and `details` of every answer that is no 200, and some fail on anything else. Where
/// the mistake is the caller's, `errorCode` is the one that BankID would give. Where BankID was not reached it begins with
/// `portvakt`: an invented `internalError` or `maintenance` would be taken for BankID's word, and retried or shown as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The version of the interface is closed.
    ClosedVersion(ClosedVersion),
    /// No entry of the allow-list names the request.
    NotAllowed,
    /// No caller token, or a wrong one.
    CallerToken,
    /// The request's body is longer than it may be, in bytes.
    BodyTooLarge {
        /// What it may have.
        most: u64,
    },
    /// The request's body did not come in time.
    BodyTooSlow,
    /// The request's body is no JSON.
    NotJson,
    /// A member has another JSON type than it should.
    WrongType {
        /// Its name, of ours and not of the request's.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// No `endUserIp`, where the method demands one.
    EndUserIpMissing,
    /// `endUserIp` is no IP address.
    EndUserIpWrong,
    /// A personal number has not exactly twelve digits (RFT4).
    PersonalNumber {
        /// Where it stands.
        member: &'static str,
    },
    /// No `orderRef` in a collect or cancel.
    OrderRefMissing,
    /// The order's final answer was delivered already.
    AlreadyFinal,
    /// A collect came too early (RFT9).
    TooSoon {
        /// Until the next may come.
        wait: Duration,
    },
    /// No connection to the destination: nothing of the request was sent.
    Unreachable,
    /// Nothing can be sent now: no identity that is valid, or portvakt is about to end.
    Unavailable,
    /// The destination did not answer in time.
    TimedOut,
    /// The destination refused the client identity.
    IdentityRefused,
    /// The connection ended before the answer was whole.
    AnswerBroken,
    /// The destination's certificate is not of a trust anchor that it has to be of.
    Untrusted,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.row().1
    }

    /// The number behind `PV`.
    pub fn number(&self) -> u16 {
        self.row().0
    }

    /// The label of `portvakt_egress_local_answers_total`.
    pub fn reason(&self) -> &'static str {
        self.row().3
    }

    /// The field of the answer's header that says that it is ours.
    pub const HEADER: &str = "portvakt-error";

    /// The value of that field: `PV0613 too_soon`.
    pub fn header(&self) -> String {
        let (number, _, _, reason) = self.row();
        format!("PV{number:04} {reason}")
    }

    /// `Retry-After`: whole seconds, never too few (RFC 9110 §10.2.3).
    pub fn retry_after(&self) -> Option<u64> {
        let Self::TooSoon { wait } = self else { return None };
        Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
    }

    /// `WWW-Authenticate`, which a 401 has to have (RFC 9110 §11.6.1).
    pub fn authenticate(&self) -> Option<&'static str> {
        matches!(self, Self::CallerToken).then_some("Bearer")
    }

    /// The body: BankID's JSON, `{"errorCode":"...","details":"portvakt PVnnnn: ..."}`.
    pub fn body(&self) -> String {
        serde_json::json!({ "errorCode": self.error_code(), "details": self.details() }).to_string()
    }

    /// The answer's `errorCode`.
    pub fn error_code(&self) -> &'static str {
        self.row().2
    }

    /// The answer's `details`: what, why, and how to mend it. Holds nothing that the request held.
    pub fn details(&self) -> String {
        format!("portvakt PV{:04}: {}", self.row().0, self.text())
    }

    /// Number, status, `errorCode`, reason.
    #[rustfmt::skip]
    fn row(&self) -> (u16, u16, &'static str, &'static str) {
        match self {
            Self::ClosedVersion(_)      => (601, 410, "notFound",          "closed_version"),
            Self::NotAllowed            => (602, 404, "notFound",          "not_allowed"),
            Self::CallerToken           => (603, 401, "unauthorized",      "caller_token"),
            Self::BodyTooLarge { .. }   => (604, 413, "invalidParameters", "body_too_large"),
            Self::BodyTooSlow           => (605, 408, "requestTimeout",    "body_too_slow"),
            Self::NotJson               => (606, 400, "invalidParameters", "not_json"),
            Self::WrongType { .. }      => (607, 400, "invalidParameters", "wrong_type"),
            Self::EndUserIpMissing      => (608, 400, "invalidParameters", "end_user_ip_missing"),
            Self::EndUserIpWrong        => (609, 400, "invalidParameters", "end_user_ip_wrong"),
            Self::PersonalNumber { .. } => (610, 400, "invalidParameters", "personal_number"),
            Self::OrderRefMissing       => (611, 400, "invalidParameters", "order_ref_missing"),
            Self::AlreadyFinal          => (612, 400, "invalidParameters", "already_final"),
            Self::TooSoon { .. }        => (613, 429, "tooManyRequests",   "too_soon"),
            Self::Unreachable           => (614, 502, "portvaktUnreachable",     "unreachable"),
            Self::Unavailable           => (615, 503, "portvaktUnavailable",     "unavailable"),
            Self::TimedOut              => (616, 504, "portvaktTimedOut",        "timed_out"),
            Self::IdentityRefused       => (617, 502, "portvaktIdentityRefused", "identity_refused"),
            Self::AnswerBroken          => (618, 502, "portvaktAnswerBroken",    "answer_broken"),
            Self::Untrusted             => (619, 502, "portvaktUntrusted",       "untrusted"),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::ClosedVersion(version) => closed(version),
            Self::BodyTooLarge { most } => format!(
                "the request's body is longer than {most} bytes; send less, or raise `body` of this egress in portvakt's configuration"
            ),
            Self::WrongType { member, expected } => {
                format!("`{member}` is not {expected}; send it as BankID's interface describes it")
            }
            Self::PersonalNumber { member } => format!(
                "`{member}` is not 12 digits; write the year with its century and leave out hyphen and spaces: YYYYMMDDNNNN"
            ),
            _ => self.plain().to_owned(),
        }
    }

    /// The texts that hold no value; empty for the others.
    fn plain(&self) -> &'static str {
        match self {
            Self::ClosedVersion(_)
            | Self::BodyTooLarge { .. }
            | Self::WrongType { .. }
            | Self::PersonalNumber { .. } => "",
            Self::NotAllowed => {
                "no entry of this egress's `allow` names this method and path; correct the URL (its case matters), or add an entry in portvakt's configuration"
            }
            Self::CallerToken => {
                "the caller's token is missing or wrong; send `Authorization: Bearer TOKEN` with the content of this egress's `token_file`"
            }
            Self::BodyTooSlow => {
                "the request's body did not come whole in time, so nothing was sent on; look at the application and the way to portvakt, and send the request again"
            }
            Self::NotJson => {
                "the request's body is no JSON (RFC 8259, UTF-8); send one object, as BankID's interface describes it"
            }
            Self::EndUserIpMissing => {
                "`endUserIp` is missing; send the address of the user's device as the application sees it, behind a proxy from `X-Forwarded-For`"
            }
            Self::EndUserIpWrong => {
                "`endUserIp` is no IPv4 or IPv6 address; send the address alone, without port, brackets, zone or spaces"
            }
            Self::OrderRefMissing => "`orderRef` is missing; send the one that the order's answer gave",
            Self::AlreadyFinal => {
                "the final answer of this order was delivered already, and BankID gives it once; stop collecting after `complete` or `failed`, and keep what came (RFT6)"
            }
            Self::TooSoon { .. } => {
                "this order is collected too often; collect every 2 seconds, and never more often than once a second (RFT9)"
            }
            Self::Unreachable => {
                "no connection to the service, nothing was sent; the request may be sent again. The operator finds the cause in portvakt's log"
            }
            Self::Unavailable => {
                "nothing can be sent to the service now, nothing was sent; the request may be sent again later. The operator finds the cause in portvakt's log"
            }
            Self::TimedOut => {
                "the service did not answer in time, and may have carried the request out; a collect may be sent again, a new order only when the user asks"
            }
            Self::IdentityRefused => {
                "the service refused our client certificate; the operator finds the cause in portvakt's log and with `portvakt egress check`"
            }
            Self::AnswerBroken => {
                "the connection to the service ended before the answer was whole, and the request may have been carried out; a collect may be sent again, a new order only when the user asks"
            }
            Self::Untrusted => {
                "the server that answered did not prove to be the service; nothing was sent, the operator finds the cause in portvakt's log and with `portvakt egress check`"
            }
        }
    }
}

fn closed(version: &ClosedVersion) -> String {
    let when = version.closed_on().map_or_else(|| "is closed".to_owned(), |day| format!("was closed on {day}"));
    let instead =
        version.instead().map_or_else(|| "the current version".to_owned(), |instead| format!("`/rp/{instead}/`"));
    format!("version `{}` of BankID's interface {when}; call {instead}, and adapt the request to it", version.name())
}

impl Refusal {
    /// One of each, in the order of their numbers; an example in place of what a request would bring.
    pub fn every() -> Vec<Self> {
        let closed = ClosedVersion::published().into_iter().next_back().map(Self::ClosedVersion);
        let others = [
            Self::NotAllowed,
            Self::CallerToken,
            Self::BodyTooLarge { most: 1 << 20 },
            Self::BodyTooSlow,
            Self::NotJson,
            Self::WrongType { member: "endUserIp", expected: "a string" },
            Self::EndUserIpMissing,
            Self::EndUserIpWrong,
            Self::PersonalNumber { member: "requirement.personalNumber" },
            Self::OrderRefMissing,
            Self::AlreadyFinal,
            Self::TooSoon { wait: Duration::from_millis(1) },
            Self::Unreachable,
            Self::Unavailable,
            Self::TimedOut,
            Self::IdentityRefused,
            Self::AnswerBroken,
            Self::Untrusted,
        ];
        closed.into_iter().chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ErrorCode;
    use super::*;

    #[test]
    fn given_every_refusal_when_answered_then_in_bankids_shape_with_a_number_of_its_own() {
        for (refusal, number) in Refusal::every().iter().zip(601..) {
            let body: serde_json::Value = serde_json::from_str(&refusal.body()).unwrap();
            let details = body["details"].as_str().unwrap();
            assert_eq!(body.as_object().unwrap().len(), 2, "{refusal:?}");
            assert!(details.starts_with(&format!("portvakt PV0{number}: ")), "{details}");
            assert!(details.contains("; ") && !details.ends_with('.'), "{details}");
            assert_eq!(refusal.header(), format!("PV0{number} {}", refusal.reason()));
            assert!((400..600).contains(&refusal.status()), "{refusal:?}");
            assert_eq!(refusal.authenticate().is_some(), refusal.status() == 401, "{refusal:?}");
            assert!(refusal.body().is_ascii() && refusal.header().is_ascii(), "{refusal:?}");
        }
        assert_eq!(Refusal::every().len(), 19);
    }

    #[test]
    fn given_a_failure_of_the_connection_when_answered_then_not_in_bankids_name() {
        for refusal in Refusal::every() {
            let is_bankids = ErrorCode::read(refusal.error_code().as_bytes()) != ErrorCode::Other;
            assert_eq!(is_bankids, refusal.status() < 500, "{refusal:?}");
            assert_eq!(!is_bankids, refusal.error_code().starts_with("portvakt"), "{refusal:?}");
        }
    }

    #[test]
    fn given_what_was_decided_when_looked_up_then_status_and_error_code() {
        let table = [
            (Refusal::TooSoon { wait: Duration::ZERO }, 429, "tooManyRequests"),
            (Refusal::AlreadyFinal, 400, "invalidParameters"),
            (Refusal::ClosedVersion("v5".parse().unwrap()), 410, "notFound"),
            (Refusal::EndUserIpMissing, 400, "invalidParameters"),
            (Refusal::PersonalNumber { member: "personalNumber" }, 400, "invalidParameters"),
            (Refusal::NotAllowed, 404, "notFound"),
            (Refusal::CallerToken, 401, "unauthorized"),
            (Refusal::IdentityRefused, 502, "portvaktIdentityRefused"),
        ];
        for (refusal, status, error_code) in table {
            assert_eq!((refusal.status(), refusal.error_code()), (status, error_code), "{refusal:?}");
        }
    }

    #[test]
    fn given_a_closed_version_when_told_then_the_day_and_what_to_call() {
        let told = |version: &str| Refusal::ClosedVersion(version.parse().unwrap()).details();
        assert_eq!(
            told("v5.1"),
            "portvakt PV0601: version `v5.1` of BankID's interface was closed on 2024-09-30; call `/rp/v6.0/`, and adapt the request to it"
        );
        assert!(told("v4").contains("`v4` of BankID's interface is closed; call `/rp/v6.0/`"));
        assert!(told("v6.0").contains("is closed; call the current version"));
    }

    #[test]
    fn given_a_wait_when_told_then_whole_seconds_rounded_up() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(
                Refusal::TooSoon { wait: Duration::from_millis(millis) }.retry_after(),
                Some(seconds),
                "{millis} ms"
            );
        }
        assert_eq!(Refusal::AlreadyFinal.retry_after(), None);
    }
}
