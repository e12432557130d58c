//! Texts by dynamic update of the zone's primary (RFC 2136).

use std::sync::Arc;

use async_trait::async_trait;

use super::settings::Rfc2136Settings;
use super::{DnsError, Provider};
use crate::dns::{self, Action, Change, Resolver, UpdateError};
use crate::source::off_thread;
use crate::store::TextRecord;
use crate::time::Clock;

pub(super) struct Rfc2136 {
    pub(super) settings: Rfc2136Settings,
    pub(super) resolver: Resolver,
    pub(super) clock: Arc<dyn Clock>,
}

impl Rfc2136 {
    async fn change(&self, text: &TextRecord, action: Action) -> Result<(), DnsError> {
        let zone = match &self.settings.zone {
            Some(zone) => zone.clone(),
            None => self.resolver.zone(&text.name).await?.name,
        };
        let key = match self.settings.tsig.clone() {
            Some(tsig) => Some(off_thread(move || tsig.load()).await?),
            None => None,
        };
        let change = Change { zone: &zone, name: &text.name, text: &text.value, action };
        let mut outcome = Err(DnsError::NoAddress { server: self.settings.server.to_string() });
        for server in self.settings.server.addresses(&self.resolver).await? {
            let updated = dns::update(server, change, key.as_ref(), self.clock.now()).await;
            // Another address helps where nobody has answered.
            let is_final = !matches!(updated, Err(UpdateError::NoAnswer(_)));
            outcome = updated.map_err(|source| DnsError::Update { name: text.name.clone(), source });
            if is_final {
                break;
            }
        }
        outcome
    }
}

#[async_trait]
impl Provider for Rfc2136 {
    async fn add(&self, text: &TextRecord) -> Result<(), DnsError> {
        self.change(text, Action::Add { ttl: self.settings.ttl }).await
    }

    async fn remove(&self, text: &TextRecord) -> Result<(), DnsError> {
        self.change(text, Action::Remove).await
    }
}
