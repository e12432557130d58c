//! A text that is added to a zone or taken from it (RFC 2136), signed with a key (RFC 8945).

use std::net::SocketAddr;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::TsigError;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::error::Why;
use super::tsig::{FUDGE, TsigKey};
use super::{exchange, parse, written};
use crate::time::Timestamp;

/// A change of a zone. Other records, of the same name too, stay as they are.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Apex of the zone.
    pub zone: &'a str,
    /// In the zone.
    pub name: &'a str,
    /// What its TXT record says; at most 255 bytes.
    pub text: &'a str,
    /// What is done with that record.
    pub action: Action,
}

/// What is done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It will be there; also when it was before (RFC 2136 §2.5.1).
    Add {
        /// How long resolvers may keep it, in seconds.
        ttl: u32,
    },
    /// It will not be there; also when it was not before (RFC 2136 §2.5.4).
    Remove,
}

/// Has a zone changed at its primary server; over TCP.
///
/// # Errors
///
/// Every [`UpdateError`]. The zone may have changed all the same when the answer was lost.
pub async fn update(
    server: SocketAddr,
    change: Change<'_>,
    key: Option<&TsigKey>,
    now: Timestamp,
) -> Result<(), UpdateError> {
    let mut message = message(change)?;
    let signer = key.and_then(TsigKey::signer);
    let now = u64::try_from(now.as_unix()).unwrap_or(0);
    let mut verifier = match &signer {
        Some(signer) => message.finalize(signer, now).map_err(|_| not_a_name(change.name))?,
        None => None,
    };
    let bytes = message.to_vec().map_err(|_| not_a_name(change.name))?;
    let bytes = exchange::over_tcp(server, &bytes).await?;
    let answer = Message::from_vec(&bytes).ok().filter(|answer| is_answer(answer, &message));
    let answer = answer.ok_or(Why::Malformed { server })?;
    judge(server, &answer, change, key)?;
    if let (Some(verifier), Some(key)) = (&mut verifier, key)
        && verifier.verify(&bytes).is_err()
    {
        return Err(UpdateError::Unsigned { server, key: key.name.clone() });
    }
    Ok(())
}

fn message(change: Change<'_>) -> Result<Message, UpdateError> {
    let zone = parse(change.zone).ok_or_else(|| not_a_name(change.zone))?;
    let name = parse(change.name).ok_or_else(|| not_a_name(change.name))?;
    if !zone.zone_of(&name) {
        return Err(UpdateError::NotInZone { name: written(&name), zone: written(&zone) });
    }
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(zone, RecordType::SOA));
    message.add_authority(record(name, change));
    Ok(message)
}

fn record(name: Name, change: Change<'_>) -> Record {
    let text = RData::TXT(TXT::new(vec![change.text.to_owned()]));
    match change.action {
        Action::Add { ttl } => Record::from_rdata(name, ttl, text),
        Action::Remove => {
            let mut record = Record::from_rdata(name, 0, text);
            record.dns_class = DNSClass::NONE;
            record
        }
    }
}

fn is_answer(answer: &Message, request: &Message) -> bool {
    answer.metadata.id == request.metadata.id && answer.metadata.message_type == MessageType::Response
}

/// What a server says to a change (RFC 2136 §3.8, RFC 8945 §5.3.2).
fn judge(server: SocketAddr, answer: &Message, change: Change<'_>, key: Option<&TsigKey>) -> Result<(), UpdateError> {
    let zone = change.zone.to_owned();
    let about_key = answer.signature().and_then(|signature| signature.data.error);
    match (answer.metadata.response_code, about_key, key) {
        (ResponseCode::NoError, ..) => Ok(()),
        (_, Some(TsigError::BadSig), Some(key)) => Err(UpdateError::WrongSecret { server, key: key.name.clone() }),
        (_, Some(TsigError::BadKey), Some(key)) => {
            Err(UpdateError::UnknownKey { server, key: key.name.clone(), algorithm: key.algorithm.as_str() })
        }
        (_, Some(TsigError::BadTime), _) => Err(UpdateError::Clock { server }),
        (ResponseCode::Refused, ..) => Err(UpdateError::Refused { server, zone, key: key.map(|key| key.name.clone()) }),
        (ResponseCode::NotAuth, ..) => Err(UpdateError::NotAuthoritative { server, zone }),
        (ResponseCode::NotZone, ..) => Err(UpdateError::NotInZone { name: change.name.to_owned(), zone }),
        (code, ..) => Err(UpdateError::Code { server, zone, code: code.to_string() }),
    }
}

fn not_a_name(name: &str) -> UpdateError {
    UpdateError::NotAName { name: name.to_owned() }
}

/// Why a zone was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// No answer.
    #[error("the zone cannot be changed: {0}")]
    NoAnswer(#[from] Why),
    /// An empty label, or too long.
    #[error("`{name}` is not a DNS name")]
    NotAName {
        /// As it was given.
        name: String,
    },
    /// TSIG error BADSIG.
    #[error("the secret of the TSIG key `{key}` is not the one that the name server {server} has (BADSIG)")]
    WrongSecret {
        /// Who says so.
        server: SocketAddr,
        /// Its name.
        key: String,
    },
    /// TSIG error BADKEY.
    #[error("the name server {server} does not know the TSIG key `{key}` with {algorithm} (BADKEY)")]
    UnknownKey {
        /// Who says so.
        server: SocketAddr,
        /// Its name.
        key: String,
        /// Its algorithm.
        algorithm: &'static str,
    },
    /// TSIG error BADTIME.
    #[error("the clock of the name server {server} is more than {FUDGE} s from ours (BADTIME)")]
    Clock {
        /// Whose.
        server: SocketAddr,
    },
    /// REFUSED: the server's policy.
    #[error("the name server {server} does not let {} change `{zone}` (REFUSED)", Who(key))]
    Refused {
        /// Who refuses.
        server: SocketAddr,
        /// What was to be changed.
        zone: String,
        /// Who signed.
        key: Option<String>,
    },
    /// NOTAUTH.
    #[error("the name server {server} is not a primary of `{zone}` (NOTAUTH)")]
    NotAuthoritative {
        /// Who was asked.
        server: SocketAddr,
        /// What was to be changed.
        zone: String,
    },
    /// NOTZONE, or seen before it was sent.
    #[error("`{name}` does not lie in the zone `{zone}`")]
    NotInZone {
        /// Of the record.
        name: String,
        /// What was to be changed.
        zone: String,
    },
    /// Any other response code.
    #[error("the name server {server} answers `{code}` to a change of `{zone}`")]
    Code {
        /// Who was asked.
        server: SocketAddr,
        /// What was to be changed.
        zone: String,
        /// Such as `Server Failure`.
        code: String,
    },
    /// Somebody else has answered, or the server does not sign.
    #[error("what the name server {server} answers is not signed with the TSIG key `{key}`")]
    Unsigned {
        /// Who was asked.
        server: SocketAddr,
        /// Its name.
        key: String,
    },
}

/// Who wanted to change something.
struct Who<'a>(&'a Option<String>);

impl std::fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(key) => write!(f, "the TSIG key `{key}`"),
            None => f.write_str("us, without a TSIG key,"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: Change<'_> =
        Change { zone: "example.test", name: "_acme-challenge.example.test", text: "value", action: Action::Remove };

    #[test]
    fn given_a_change_when_written_then_as_rfc_2136_wants_it() {
        let add = message(Change { action: Action::Add { ttl: 60 }, ..CHANGE }).unwrap();
        let [record] = &add.authorities[..] else { panic!("one record") };
        assert_eq!((record.dns_class, record.ttl), (DNSClass::IN, 60));
        assert_eq!((add.metadata.op_code, add.queries[0].query_type()), (OpCode::Update, RecordType::SOA));

        let remove = message(CHANGE).unwrap();
        assert_eq!((remove.authorities[0].dns_class, remove.authorities[0].ttl), (DNSClass::NONE, 0));
    }

    #[test]
    fn given_a_name_of_another_zone_when_written_then_refused() {
        let error = message(Change { name: "_acme-challenge.other.test", ..CHANGE }).unwrap_err();
        assert!(matches!(error, UpdateError::NotInZone { .. }), "{error}");
    }

    #[test]
    fn given_answers_when_judged_then_each_says_what_is_wrong() {
        let server = "192.0.2.1:53".parse().unwrap();
        for (code, words) in [
            (ResponseCode::Refused, "does not let us, without a TSIG key, change `example.test`"),
            (ResponseCode::NotAuth, "is not a primary of `example.test`"),
            (ResponseCode::NotZone, "does not lie in the zone"),
            (ResponseCode::ServFail, "Server Failure"),
        ] {
            let mut answer = Message::response(1, OpCode::Update);
            answer.metadata.response_code = code;
            let error = judge(server, &answer, CHANGE, None).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(judge(server, &Message::response(1, OpCode::Update), CHANGE, None).is_ok());
    }
}
