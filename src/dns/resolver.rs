//! Lookups.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;

use super::caa::{Caa, CaaRecord};
use super::error::{LookupError, Why};
use super::exchange::{self, Question};
use super::{parse, written};
use crate::platform;

/// Asks name servers. Clones share its settings.
///
/// Every method is given an absolute name, with or without the dot at its end, and ends within [`DEADLINE`]. An empty list
/// says that the name exists and has no such record. Aliases (CNAME) are followed where nothing else is said.
///
/// # Errors
///
/// Every method gives a [`LookupError`] when there is no answer, also when there is no such name.
#[derive(Clone, Debug)]
pub struct Resolver {
    servers: Servers,
    recursion: bool,
}

#[derive(Clone, Debug)]
enum Servers {
    /// Read before each lookup, since they change with the network.
    System,
    Given(Arc<[SocketAddr]>),
}

/// A zone: the part of DNS that is administered together (RFC 1034 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its apex, such as `example.com`.
    pub name: String,
    /// Host name of the server that changes are made at (MNAME of its SOA).
    pub primary: String,
}

impl Resolver {
    /// Asks the system's resolvers.
    pub const fn system() -> Self {
        Self { servers: Servers::System, recursion: true }
    }

    /// Asks these resolvers, in their order; with none, the system's.
    pub fn with_servers(servers: &[SocketAddr]) -> Self {
        match servers {
            [] => Self::system(),
            _ => Self { servers: Servers::Given(servers.into()), recursion: true },
        }
    }

    /// Asks this one server for what it knows itself: an authoritative one.
    pub fn authoritative(server: SocketAddr) -> Self {
        Self { servers: Servers::Given([server].into()), recursion: false }
    }

    /// The IPv4 addresses of a host (A).
    pub async fn ipv4(&self, host: &str) -> Result<Vec<Ipv4Addr>, LookupError> {
        let found = self.lookup(host, RecordType::A).await?;
        Ok(found
            .into_iter()
            .filter_map(|data| if let RData::A(address) = data { Some(address.0) } else { None })
            .collect())
    }

    /// The IPv6 addresses of a host (AAAA).
    pub async fn ipv6(&self, host: &str) -> Result<Vec<Ipv6Addr>, LookupError> {
        let found = self.lookup(host, RecordType::AAAA).await?;
        Ok(found
            .into_iter()
            .filter_map(|data| if let RData::AAAA(address) = data { Some(address.0) } else { None })
            .collect())
    }

    /// The texts of a name (TXT); the strings of one record are joined.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, LookupError> {
        let found = self.lookup(name, RecordType::TXT).await?;
        Ok(found.into_iter().filter_map(text).collect())
    }

    /// Host names of the name servers of a zone (NS).
    pub async fn name_servers(&self, zone: &str) -> Result<Vec<String>, LookupError> {
        let found = self.lookup(zone, RecordType::NS).await?;
        Ok(found
            .into_iter()
            .filter_map(|data| if let RData::NS(host) = data { Some(written(&host.0)) } else { None })
            .collect())
    }

    /// Where the aliases (CNAME) of a name lead, each step; empty for a name that is no alias, or does not exist.
    pub async fn aliases(&self, name: &str) -> Result<Vec<String>, LookupError> {
        let mut chain = vec![name_of(name, RecordType::CNAME)?];
        loop {
            let answer = self.ask(last(&chain), RecordType::CNAME).await?;
            if !extend(&mut chain, &answer)? {
                return Ok(chain.iter().skip(1).map(written).collect());
            }
        }
    }

    /// The zone that a name lies in, whether the name exists or not.
    pub async fn zone(&self, name: &str) -> Result<Zone, LookupError> {
        let mut at = name_of(name, RecordType::SOA)?;
        loop {
            let answer = self.ask(&at, RecordType::SOA).await?;
            let starts = answer.answers.iter().chain(&answer.authorities);
            let above = starts.filter(|start| start.name.zone_of(&at)).find_map(|start| match &start.data {
                RData::SOA(soa) => Some(Zone { name: written(&start.name), primary: written(&soa.mname) }),
                _ => None,
            });
            match above {
                Some(zone) => return Ok(zone),
                None if at.is_root() => return Err(error(&at, RecordType::SOA, Why::NoSuchName)),
                None => at = at.base_name(),
            }
        }
    }

    /// Who may issue certificates for a name: the CAA records at the name, or else at the nearest name above that has any
    /// (RFC 8659 §3). The `*.` of a wildcard is left out before.
    pub async fn caa(&self, name: &str) -> Result<Caa, LookupError> {
        let mut at = name_of(name.strip_prefix("*.").unwrap_or(name), RecordType::CAA)?;
        while !at.is_root() {
            let found = match self.follow(at.clone(), RecordType::CAA).await {
                Err(error) if error.is_no_such_name() => Vec::new(),
                other => other?,
            };
            let records: Vec<_> = found.into_iter().filter_map(caa_record).collect();
            if !records.is_empty() {
                return Ok(Caa { at: Some(written(&at)), records });
            }
            at = at.base_name();
        }
        Ok(Caa { at: None, records: Vec::new() })
    }

    async fn lookup(&self, name: &str, record: RecordType) -> Result<Vec<RData>, LookupError> {
        self.follow(name_of(name, record)?, record).await
    }

    /// The records at the end of a name's aliases.
    async fn follow(&self, name: Name, record: RecordType) -> Result<Vec<RData>, LookupError> {
        let mut chain = vec![name];
        loop {
            let answer = self.ask(last(&chain), record).await?;
            let is_longer = extend(&mut chain, &answer)?;
            let end = last(&chain);
            let data: Vec<_> = answer
                .answers
                .iter()
                .filter(|found| found.record_type() == record && found.name == *end)
                .map(|found| found.data.clone())
                .collect();
            match answer.metadata.response_code {
                // It is about the last of the aliases (RFC 6604 §3).
                ResponseCode::NXDomain => return Err(error(end, record, Why::NoSuchName)),
                _ if !data.is_empty() || !is_longer => return Ok(data),
                _ => {}
            }
        }
    }

    /// An answer that says something: records, none, or no such name.
    async fn ask(&self, name: &Name, record: RecordType) -> Result<Message, LookupError> {
        let servers = self.servers().await.map_err(|why| error(name, record, why))?;
        let question = Question { name, record, recursion: self.recursion, unchecked: false };
        let asked = timeout(DEADLINE, async {
            let mut first = None;
            for server in servers.iter() {
                match ask_one(*server, question).await {
                    Ok(answer) => return Ok(answer),
                    Err(why) if first.as_ref().is_none_or(Why::is_silence) => first = Some(why),
                    Err(_) => {}
                }
            }
            Err(first.unwrap_or(Why::Deadline { after: DEADLINE }))
        });
        let answer = asked.await.unwrap_or(Err(Why::Deadline { after: DEADLINE }));
        answer.map_err(|why| error(name, record, why))
    }

    async fn servers(&self) -> Result<Arc<[SocketAddr]>, Why> {
        match &self.servers {
            Servers::Given(servers) => Ok(servers.clone()),
            Servers::System => match tokio::task::spawn_blocking(platform::name_servers).await {
                Ok(Ok(servers)) => Ok(servers.into()),
                Ok(Err(source)) => Err(Why::NoServers { source }),
                Err(error) => Err(Why::NoServers { source: error.into() }),
            },
        }
    }
}

async fn ask_one(server: SocketAddr, question: Question<'_>) -> Result<Message, Why> {
    let answer = exchange::ask(server, question).await?;
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
        ResponseCode::Refused => Err(Why::Refused { server }),
        ResponseCode::ServFail => {
            let detail = exchange::told(&answer);
            match fails_only_checked(server, question).await {
                true => Err(Why::Dnssec { server, detail }),
                false => Err(Why::ServerFailure { server, detail }),
            }
        }
        code => Err(Why::Code { server, code: code.to_string() }),
    }
}

/// Whether the server has an answer for those who do not ask it to check signatures.
async fn fails_only_checked(server: SocketAddr, question: Question<'_>) -> bool {
    let again = exchange::ask(server, Question { unchecked: true, ..question }).await;
    question.recursion && again.is_ok_and(|answer| answer.metadata.response_code != ResponseCode::ServFail)
}

/// Adds the aliases that an answer holds to the chain; whether there were any.
fn extend(chain: &mut Vec<Name>, answer: &Message) -> Result<bool, LookupError> {
    let before = chain.len();
    loop {
        let end = last(chain);
        let target = answer.answers.iter().filter(|record| record.name == *end).find_map(|record| match &record.data {
            RData::CNAME(target) => Some(target.0.clone()),
            _ => None,
        });
        let Some(target) = target else { return Ok(chain.len() > before) };
        if chain.len() > MOST_ALIASES || chain.contains(&target) {
            return Err(error(&target, RecordType::CNAME, Why::Loop));
        }
        chain.push(target);
    }
}

/// A chain begins with the name that was asked for, so it has a last one.
fn last(chain: &[Name]) -> &Name {
    chain.last().expect("a chain is made with its first name, and only grows")
}

fn name_of(name: &str, record: RecordType) -> Result<Name, LookupError> {
    parse(name).ok_or_else(|| LookupError { record: record.into(), name: name.to_owned(), why: Why::NotAName })
}

fn error(name: &Name, record: RecordType, why: Why) -> LookupError {
    LookupError { record: record.into(), name: written(name), why }
}

fn text(data: RData) -> Option<String> {
    let RData::TXT(text) = data else { return None };
    Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned())
}

fn caa_record(data: RData) -> Option<CaaRecord> {
    let RData::CAA(caa) = data else { return None };
    let value = String::from_utf8_lossy(&caa.value).into_owned();
    Some(CaaRecord { is_critical: caa.issuer_critical, tag: caa.tag.to_ascii_lowercase(), value })
}

/// The longest that one question takes, over all servers.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Longer chains are a mistake; resolvers give up at about as many.
const MOST_ALIASES: usize = 8;
