//! Whether a text is seen at every name server that a CA may ask.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info};

use super::{Dns01, DnsError};
use crate::dns::{Resolver, Server};
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
            places.retain(|place| lacking.iter().any(|(name, _)| *name == place.name));
        }
    }

    /// Each name with what must be seen, and where.
    async fn places(&self, texts: &[TextRecord]) -> Result<Vec<Place>, DnsError> {
        let mut values: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for text in texts {
            values.entry(&text.name).or_default().push(text.value.clone());
        }
        let mut places = Vec::new();
        for (name, values) in values {
            for server in self.servers(name).await? {
                let addresses = server.addresses(&self.resolver).await?;
                let is_own = self.settings.nameservers.is_empty();
                let (name, values) = (name.to_owned(), values.clone());
                places.push(Place { name, values, server, addresses, is_own });
            }
        }
        Ok(places)
    }

    /// The name servers that answer for a name.
    async fn servers(&self, name: &str) -> Result<Vec<Server>, DnsError> {
        if !self.settings.nameservers.is_empty() {
            return Ok(self.settings.nameservers.clone());
        }
        let zone = self.resolver.zone(name).await?.name;
        let hosts = self.resolver.name_servers(&zone).await?;
        Ok(hosts.into_iter().map(|host| Server { host, port: Server::PORT }).collect())
    }
}

/// One name at one server.
#[derive(Clone, Debug)]
struct Place {
    name: String,
    values: Vec<String>,
    server: Server,
    addresses: Vec<SocketAddr>,
    /// The zone's own, which is asked for what it knows itself; one that the operator names may ask others.
    is_own: bool,
}

impl Place {
    /// Why the values are not seen here; `None` when they are.
    ///
    /// A server may have addresses that we cannot reach, such as IPv6 ones: it counts when one of its addresses has the
    /// values and none answers without them.
    async fn lack(&self) -> Option<String> {
        let (mut seen, mut silent) = (false, None);
        for address in &self.addresses {
            let resolver = match self.is_own {
                true => Resolver::authoritative(*address),
                false => Resolver::with_servers(&[*address]),
            };
            match resolver.texts(&self.name).await {
                Ok(texts) if self.values.iter().all(|value| texts.contains(value)) => seen = true,
                Ok(_) => return Some(format!("{} ({address}) does not have it", self.server)),
                Err(error) if error.is_no_such_name() => {
                    return Some(format!("{} ({address}) does not have it", self.server));
                }
                Err(error) => silent = Some(format!("{}: {}", self.server, error.why)),
            }
        }
        match (seen, silent) {
            (true, _) => None,
            (false, Some(silent)) => Some(silent),
            (false, None) => Some(format!("{} has no address", self.server)),
        }
    }
}

/// Looks everywhere at once; what is lacking, by name and in words.
async fn look(places: &[Place]) -> Vec<(String, String)> {
    let mut looks = JoinSet::new();
    for place in places.iter().cloned() {
        looks.spawn(async move { place.lack().await.map(|why| (place.name, why)) });
    }
    let mut lacking: Vec<_> = looks.join_all().await.into_iter().flatten().collect();
    lacking.sort();
    lacking
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
