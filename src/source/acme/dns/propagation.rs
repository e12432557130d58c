//! Whether a text is seen at every name server that a CA may ask.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info};

use super::{Dns01, DnsError};
use crate::dns::{LookupError, Resolver, Server};
use crate::store::TextRecord;

impl Dns01 {
    /// Waits until every text is seen at every name server that matters.
    pub(super) async fn wait(&self, texts: &[TextRecord]) -> Result<(), DnsError> {
        let (begun, patience) = (Instant::now(), self.settings.propagation_timeout);
        let mut places = self.places(texts).await?;
        let mut pause = FIRST_PAUSE;
        loop {
            let lacking = look(&places).await;
            let Some((name, _)) = lacking.first() else { return Ok(()) };
            if begun.elapsed() + pause > patience {
                let of_name = lacking.iter().filter(|(lacks, _)| lacks == name).map(|(_, why)| why.as_str());
                let told: Vec<_> = of_name.collect();
                return Err(DnsError::NotPropagated { name: name.clone(), lacking: told.join("; "), after: patience });
            }
            if pause == FIRST_PAUSE {
                info!(name, lacking = lacking[0].1, "waiting until the text is at all name servers");
            }
            debug!(?lacking, "not everywhere yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            places.retain(|(place, _)| lacking.iter().any(|(name, _)| *name == place.name));
        }
    }

    /// Each name with what must be seen, and where.
    async fn places(&self, texts: &[TextRecord]) -> Result<Vec<(Place, Vec<String>)>, DnsError> {
        let mut values: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for text in texts {
            values.entry(&text.name).or_default().push(text.value.clone());
        }
        let mut wanted = Vec::new();
        for (name, values) in values {
            let found = places(&self.resolver, &self.settings.nameservers, name).await?;
            wanted.extend(found.into_iter().map(|place| (place, values.clone())));
        }
        Ok(wanted)
    }
}

/// The name servers that answer for a name: those that the operator names, else the zone's.
pub(super) async fn places(resolver: &Resolver, named: &[Server], name: &str) -> Result<Vec<Place>, LookupError> {
    let is_own = named.is_empty();
    let servers = match is_own {
        false => named.to_vec(),
        true => {
            let zone = resolver.zone(name).await?.name;
            let hosts = resolver.name_servers(&zone).await?;
            hosts.into_iter().map(|host| Server { host, port: Server::PORT }).collect()
        }
    };
    let mut places = Vec::new();
    for server in servers {
        let addresses = server.addresses(resolver).await?;
        places.push(Place { name: name.to_owned(), server, addresses, is_own });
    }
    Ok(places)
}

/// One name at one server.
#[derive(Clone, Debug)]
pub(super) struct Place {
    name: String,
    pub(super) server: Server,
    addresses: Vec<SocketAddr>,
    /// The zone's own, which is asked for what it knows itself; one that the operator names may ask others.
    is_own: bool,
}

/// Why something is not seen at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// An address answers without it; what it has in its place.
    Without(SocketAddr, String),
    /// Nobody answers.
    Silent(String),
}

impl Place {
    /// Why what `judge` looks for is not seen here; `None` when it is.
    ///
    /// A server may have addresses that we cannot reach, such as IPv6 ones: it counts when one of its addresses has what is
    /// looked for and none answers without.
    pub(super) async fn lack(&self, judge: impl Fn(&[String]) -> Result<(), String>) -> Option<Lack> {
        let (mut seen, mut silent) = (false, None);
        for address in &self.addresses {
            let resolver = match self.is_own {
                true => Resolver::authoritative(*address),
                false => Resolver::with_servers(&[*address]),
            };
            let texts = match resolver.texts(&self.name).await {
                Err(error) if error.is_no_such_name() => Ok(Vec::new()),
                other => other,
            };
            match texts.map(|texts| judge(&texts)) {
                Ok(Ok(())) => seen = true,
                Ok(Err(found)) => return Some(Lack::Without(*address, found)),
                Err(error) => silent = Some(format!("{}: {}", self.server, error.why)),
            }
        }
        match (seen, silent) {
            (true, _) => None,
            (false, Some(silent)) => Some(Lack::Silent(silent)),
            (false, None) => Some(Lack::Silent(format!("{} has no address", self.server))),
        }
    }
}

/// Looks everywhere at once; what is lacking, by name and in words.
async fn look(places: &[(Place, Vec<String>)]) -> Vec<(String, String)> {
    let mut looks = JoinSet::new();
    for (place, values) in places.iter().cloned() {
        looks.spawn(async move {
            let has_all = |texts: &[String]| match values.iter().all(|value| texts.contains(value)) {
                true => Ok(()),
                false => Err("does not have it".to_owned()),
            };
            let why = match place.lack(has_all).await? {
                Lack::Without(address, found) => format!("{} ({address}) {found}", place.server),
                Lack::Silent(why) => why,
            };
            Some((place.name, why))
        });
    }
    let mut lacking: Vec<_> = looks.join_all().await.into_iter().flatten().collect();
    lacking.sort();
    lacking
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
