//! A name server that knows one answer: every name has the address 127.0.0.1, and nothing else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

/// Starts it on a free port, for UDP and TCP, and for the rest of the process.
pub(crate) fn start() -> SocketAddr {
    let (udp, tcp) = bind();
    let address = udp.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((length, client)) = udp.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..length]) {
                let _ = udp.send_to(&answer, client);
            }
        }
    });
    thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Two sockets with the same number.
fn bind() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
        let address = tcp.local_addr().expect("a bound listener has an address");
        if let Ok(udp) = UdpSocket::bind(address) {
            return (udp, tcp);
        }
    }
}

/// Messages over TCP stand behind their length (RFC 1035 §4.2.2).
fn serve(mut stream: TcpStream) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        let Some(answer) = answer(&query) else { return };
        let length = u16::try_from(answer.len()).expect("our answers are short");
        if stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).is_err() {
            return;
        }
    }
}

/// Answers a query with one question (RFC 1035 §4.1): the address for A, no records for all else.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let name = query.get(12..)?.iter().position(|&byte| byte == 0)? + 1;
    let question = query.get(12..12 + name + 4)?;
    let is_address = question.get(name..name + 2)? == [0, 1];
    let mut answer = Vec::with_capacity(64);
    answer.extend(query.get(..2)?);
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    answer.extend(question);
    if is_address {
        // The name of the question, type A, class IN, sixty seconds, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
