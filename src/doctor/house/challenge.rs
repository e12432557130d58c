//! Whether a CA's http-01 question would find its way to us: the same question, asked from here by the public name.
//!
//! A router that does not lead its own public address back inside (no hairpin NAT) answers nothing although all is well,
//! so that silence is only told, and another's answer is a fault.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::super::Options;
use super::super::finding::Finding;
use super::super::topic::Topic;
use super::Order;
use super::address::is_here;
use crate::config::Config;
use crate::control::{self, Reply, Request};
use crate::dns::Resolver;
use crate::source::ChallengeKind;

pub(super) async fn findings(
    config: &Config,
    resolver: &Resolver,
    orders: &[Order<'_>],
    options: &Options,
    is_running: bool,
) -> Vec<Finding> {
    let names: Vec<_> = orders
        .iter()
        .filter(|order| order.cas.first.challenges.contains(&ChallengeKind::Http01) && !order.name.starts_with("*."))
        .map(|order| order.name)
        .take(MOST_NAMES)
        .collect();
    let token = format!("portvakt-doctor-{:032x}", rand::random::<u128>());
    if names.is_empty() {
        return Vec::new();
    }
    // Either the process that runs answers, or we do ourselves for a moment.
    let _answering = match is_running {
        true => match control::ask(&config.control, Request::Answer { token: token.clone() }).await {
            Ok(Reply::Done(_)) => JoinSet::new(),
            Ok(Reply::Failed(_)) | Err(_) => return Vec::new(),
        },
        false => match answer(config, &token).await {
            Some(answering) => answering,
            None => return Vec::new(),
        },
    };
    let mut findings = Vec::new();
    for name in names {
        findings.extend(one(resolver, name, &token, options.http_port.unwrap_or(80)).await);
    }
    findings
}

async fn one(resolver: &Resolver, name: &str, token: &str, port: u16) -> Option<Finding> {
    for ip in super::address::of(resolver, name).await {
        let address = SocketAddr::new(ip, port);
        let facts = |detail: &str| {
            vec![("name", name.to_owned()), ("address", address.to_string()), ("detail", detail.to_owned())]
        };
        match tokio::time::timeout(LIMIT, ask(address, name, token)).await {
            Ok(Ok(text)) if text.trim_end().ends_with(token) => {}
            Ok(Ok(text)) => {
                let first: String =
                    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(80).collect();
                return Some(Finding::fault(Topic::ChallengeLost, facts(&first)));
            }
            Ok(Err(error)) if is_here(ip) => {
                return Some(Finding::fault(Topic::ChallengeLost, facts(&error.to_string())));
            }
            Ok(Err(error)) => return Some(Finding::note(Topic::ChallengeLost, facts(&error.to_string()))),
            Err(_elapsed) => return Some(Finding::note(Topic::ChallengeLost, facts("no answer in time"))),
        }
    }
    None
}

/// The whole answer, up to what a challenge's has at most.
async fn ask(address: SocketAddr, name: &str, token: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: portvakt/{} (doctor)\r\nConnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Answers on the configured listeners for plain HTTP until it is dropped; `None` when none can be opened.
async fn answer(config: &Config, token: &str) -> Option<JoinSet<()>> {
    let mut answering = JoinSet::new();
    let token: Arc<str> = token.into();
    for address in &config.listen.http {
        let Ok(listener) = TcpListener::bind(address).await else { continue };
        let token = token.clone();
        answering.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let token = token.clone();
                tokio::spawn(tokio::time::timeout(LIMIT, async move { reply(stream, &token).await }));
            }
        });
    }
    (!answering.is_empty()).then_some(answering)
}

/// Gives the token to whoever knows it.
async fn reply(mut stream: TcpStream, token: &str) -> std::io::Result<()> {
    let mut request = vec![0; 2048];
    let mut length = 0;
    while length < request.len() && !request[..length].windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut request[length..]).await? {
            0 => break,
            read => length += read,
        }
    }
    let wanted = format!("GET /.well-known/acme-challenge/{token} ");
    let body = if request[..length].starts_with(wanted.as_bytes()) { token } else { "" };
    let status = if body.is_empty() { "404 Not Found" } else { "200 OK" };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.shutdown().await
}

const LIMIT: Duration = Duration::from_secs(8);
const MOST_BYTES: u64 = 64 * 1024;
const MOST_NAMES: usize = 50;
