//! One message to one server, and its answer.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::error::Why;

/// What is asked, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) name: &'a Name,
    pub(super) record: RecordType,
    /// Whether the server shall find out what it does not know itself.
    pub(super) recursion: bool,
    /// Whether it shall answer even where signatures do not hold (RFC 4035 §3.2.2).
    pub(super) unchecked: bool,
}

impl Question<'_> {
    fn message(&self) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = self.recursion;
        message.metadata.checking_disabled = self.unchecked;
        message.add_query(Query::query(self.name.clone(), self.record));
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD).set_version(0);
        message.set_edns(edns);
        message
    }
}

/// Asks over UDP, and over TCP when the answer does not fit into that (RFC 7766 §5).
pub(super) async fn ask(server: SocketAddr, question: Question<'_>) -> Result<Message, Why> {
    let request = question.message();
    let bytes = request.to_vec().map_err(|_| Why::NotAName)?;
    let answer = over_udp(server, &request, &bytes).await?;
    if !answer.metadata.truncation {
        return Ok(answer);
    }
    let answer = over_tcp(server, &bytes).await?;
    match Message::from_vec(&answer) {
        Ok(answer) if is_answer(&answer, &request) => Ok(answer),
        Ok(_) | Err(_) => Err(Why::Malformed { server }),
    }
}

/// Sends one message over a connection of its own, and reads one.
pub(super) async fn over_tcp(server: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>, Why> {
    let exchanged = timeout(TCP_PATIENCE, async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        io::Result::Ok(answer)
    });
    match exchanged.await {
        Ok(exchanged) => exchanged.map_err(|source| Why::Unreachable { server, source }),
        Err(_) => Err(Why::Timeout { server, after: TCP_PATIENCE }),
    }
}

async fn over_udp(server: SocketAddr, request: &Message, bytes: &[u8]) -> Result<Message, Why> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let unreachable = |source| Why::Unreachable { server, source };
    // A random port, and only what the server sends to it.
    let socket = UdpSocket::bind(any).await.map_err(unreachable)?;
    socket.connect(server).await.map_err(unreachable)?;
    for _ in 0..UDP_TRIES {
        socket.send(bytes).await.map_err(unreachable)?;
        if let Ok(received) = timeout(UDP_PATIENCE, receive(&socket, request)).await {
            return received.map_err(unreachable)?.ok_or(Why::Malformed { server });
        }
    }
    Err(Why::Timeout { server, after: UDP_PATIENCE * UDP_TRIES })
}

/// The answer, and `None` when it cannot be read. What is no answer to this request is passed over: it comes late, or from
/// somebody who guesses.
async fn receive(socket: &UdpSocket, request: &Message) -> io::Result<Option<Message>> {
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match Message::from_vec(&buffer[..length]) {
            Ok(answer) if is_answer(&answer, request) => return Ok(Some(answer)),
            Ok(_) => {}
            Err(_) if buffer[..length].starts_with(&request.metadata.id.to_be_bytes()) => return Ok(None),
            Err(_) => {}
        }
    }
}

fn is_answer(answer: &Message, request: &Message) -> bool {
    // Some servers leave the question out when they refuse it.
    let repeats = match answer.queries[..] {
        [] => answer.metadata.response_code != ResponseCode::NoError,
        _ => answer.queries == request.queries,
    };
    answer.metadata.id == request.metadata.id && answer.metadata.message_type == MessageType::Response && repeats
}

/// The server's own words about a failure: extended DNS errors (RFC 8914).
pub(super) fn told(answer: &Message) -> Option<String> {
    let Some(EdnsOption::Unknown(_, data)) = answer.edns.as_ref()?.option(EdnsCode::Unknown(EXTENDED_ERROR)) else {
        return None;
    };
    let (code, text) = data.split_at_checked(2)?;
    let code = u16::from_be_bytes(code.try_into().ok()?);
    let name = NAMES.iter().find(|(known, _)| *known == code).map(|(_, name)| *name);
    let mut told = name.map_or_else(|| format!("extended error {code}"), str::to_owned);
    let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(MOST_TOLD).collect();
    if !text.is_empty() {
        told.push_str(": ");
        told.push_str(&text);
    }
    Some(told)
}

/// Fits into every network without fragments (the DNS flag day of 2020).
const PAYLOAD: u16 = 1232;
const UDP_TRIES: u32 = 2;
const UDP_PATIENCE: Duration = Duration::from_secs(2);
const TCP_PATIENCE: Duration = Duration::from_secs(5);

/// Option code (RFC 8914 §2).
const EXTENDED_ERROR: u16 = 15;
/// Characters of a server's words; they are its own choice.
const MOST_TOLD: usize = 200;
/// Those of RFC 8914 §4 that tell an operator something.
const NAMES: [(u16, &str); 14] = [
    (1, "unsupported DNSKEY algorithm"),
    (2, "unsupported DS digest type"),
    (5, "DNSSEC indeterminate"),
    (6, "DNSSEC bogus"),
    (7, "signature expired"),
    (8, "signature not yet valid"),
    (9, "DNSKEY missing"),
    (10, "RRSIGs missing"),
    (11, "no zone key bit set"),
    (12, "NSEC missing"),
    (15, "blocked"),
    (18, "prohibited"),
    (22, "no reachable authority"),
    (23, "network error"),
];

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;

    use super::*;

    fn question() -> Message {
        let name = super::super::parse("m5.test").unwrap();
        Question { name: &name, record: RecordType::TXT, recursion: true, unchecked: false }.message()
    }

    fn answer(request: &Message) -> Message {
        let mut answer = Message::response(request.metadata.id, OpCode::Query);
        answer.queries.clone_from(&request.queries);
        answer
    }

    #[test]
    fn given_an_answer_when_compared_with_the_request_then_all_of_it_must_fit() {
        let request = question();
        assert!(is_answer(&answer(&request), &request));

        let mut other_id = answer(&request);
        other_id.metadata.id = other_id.metadata.id.wrapping_add(1);
        let mut other_name = answer(&request);
        other_name.queries[0].set_name(Name::root());
        let mut no_response = answer(&request);
        no_response.metadata.message_type = MessageType::Query;
        let mut no_question = answer(&request);
        no_question.queries.clear();
        for (name, wrong) in [
            ("another identifier", &other_id),
            ("another name", &other_name),
            ("a query", &no_response),
            ("no question", &no_question),
        ] {
            assert!(!is_answer(wrong, &request), "{name}");
        }
        no_question.metadata.response_code = ResponseCode::Refused;
        assert!(is_answer(&no_question, &request), "a refusal without question");
    }

    #[test]
    fn given_extended_errors_when_told_then_named_and_bounded() {
        for (data, expected) in [
            (&[0, 7][..], Some("signature expired".to_owned())),
            (&[0, 6, b'n', b'o', b'\n'], Some("DNSSEC bogus: no".to_owned())),
            (&[1, 0, 0xff], Some("extended error 256: \u{fffd}".to_owned())),
            (&[0], None),
        ] {
            let mut answer = answer(&question());
            let mut edns = Edns::new();
            edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, data.to_vec()));
            answer.set_edns(edns);
            assert_eq!(told(&answer), expected);
        }
        assert_eq!(told(&answer(&question())), None);
    }
}
