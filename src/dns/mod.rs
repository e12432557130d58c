//! Questions to DNS, and changes to it.
//!
//! In: names, and the servers to ask (the system's, or given ones). Out: addresses, aliases, texts, name servers, zones
//! and CAA, or why there is no answer, told apart by what can be done about it; a record added to or taken from a zone.
//! The only room that knows hickory-proto. Imports that, tokio's sockets, `platform` (the system's servers) and `time`.
//!
//! Standards: RFC 1035, RFC 7766 (TCP), RFC 6891 (EDNS), RFC 8914 (extended errors), RFC 8659 and RFC 8657 (CAA),
//! RFC 2136 (changes) with RFC 8945 (their signatures).
//!
//! # Promises
//!
//! - Names are absolute: neither a search list nor the hosts file is looked at, and nothing is cached here.
//! - Every lookup ends within [`DEADLINE`].
//! - An answer is believed only when it comes from the asked address and repeats our identifier and question.
//!
//! # Why
//!
//! The messages are hickory-proto's, the way they are sent is ours: hickory's resolver folds SERVFAIL, refusal and
//! silence into few errors and may answer from a cache, and an operator must learn which server said what. It is two
//! sockets and a deadline.

mod caa;
mod error;
mod exchange;
mod resolver;
mod server;
mod tsig;
mod update;

pub use caa::{Caa, CaaRecord, CaaRefusal, CaaRequest, IssueValue};
pub use error::{LookupError, Why};
pub use resolver::{DEADLINE, Resolver, Zone};
pub use server::Server;
pub use tsig::{Algorithm, SecretError, TsigKey};
pub use update::{Action, Change, UpdateError, update};

use hickory_proto::rr::Name;

/// An absolute name for DNS; `None` when it is none: an empty label, or too long.
fn parse(name: &str) -> Option<Name> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut parsed = Name::from_labels(name.split('.').map(str::as_bytes)).ok()?;
    parsed.set_fqdn(true);
    Some(parsed)
}

/// A name as people write it: lower case, without the dot at its end.
fn written(name: &Name) -> String {
    let name = name.to_lowercase().to_ascii();
    name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_names_when_parsed_then_written_in_lower_case_without_the_last_dot() {
        for (name, expected) in [
            ("M5.test", "m5.test"),
            ("_acme-challenge.m5.test.", "_acme-challenge.m5.test"),
            ("a_b.test", "a_b.test"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(written(&parse(name).unwrap()), expected);
        }
        assert_eq!(written(&Name::root()), ".");
    }

    #[test]
    fn given_no_name_when_parsed_then_none() {
        for name in ["", "a..b", ".a", &"a".repeat(64), &"a.".repeat(128)] {
            assert!(parse(name).is_none(), "{name}");
        }
    }
}
