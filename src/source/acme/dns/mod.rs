//! dns-01: control over a name proven by a text in DNS (RFC 8555 §8.4); and dns-persist-01, by one that the operator
//! publishes and that stays (draft-ietf-acme-dns-persist). The only ways for wildcards.
//!
//! In: [`DnsSettings`], and for each authorization a name and a value. Out: a TXT record that the CA will find, and its
//! removal. The record is added at the end of the aliases of `_acme-challenge.NAME`, so that a zone may delegate just
//! this; records beside it stay. May import `dns`, `store` and `platform`.
//!
//! # Promises
//!
//! - A record is noted in the store before it is added, and the note goes with the record. Whatever happens between, the
//!   next attempt for the certificate removes it: another error, a deadline, `kill -9`.
//! - The CA is told only when every name server of the zone has the record.

mod acme_dns;
mod error;
mod exec;
mod persist;
mod propagation;
mod rfc2136;
mod settings;

pub use error::DnsError;
pub use persist::{PersistRecord, Published};
pub use settings::{
    AcmeDnsSettings, DnsSettings, ExecSettings, KeyFileError, ProviderSettings, Rfc2136Settings, TsigSettings,
};

use std::sync::Arc;

use async_trait::async_trait;
use tracing::{debug, info, warn};

use self::acme_dns::AcmeDns;
use self::exec::Exec;
use self::rfc2136::Rfc2136;
use super::AcmeSource;
use crate::causes::with_causes;
use crate::dns::Resolver;
use crate::source::{Order, blocking};
use crate::store::{Store, StoreError, TextRecord};
use crate::time::Clock;

impl AcmeSource {
    /// Who proves names over DNS.
    pub(super) fn dns(&self) -> Result<Dns01, DnsError> {
        let settings = self.settings.dns.as_ref().ok_or(DnsError::NoProvider)?;
        let provider = settings.provider.clone().ok_or(DnsError::NoProvider)?;
        Ok(Dns01::new(settings, provider, &self.store, &self.clock))
    }

    /// Removes the texts that stand in DNS for a certificate. What cannot be removed is told, and stays noted.
    pub(super) async fn clean_dns(&self, order: &Order) {
        let certificate = order.certificate.as_str();
        let cleaned = match noted(&self.store, certificate).await {
            Ok(texts) if texts.is_empty() => return,
            Ok(texts) => match self.dns() {
                Ok(dns) => dns.clean(certificate, texts).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error.into()),
        };
        if let Err(error) = cleaned {
            warn!(certificate, error = with_causes(&error), "texts may stay in DNS");
        }
    }
}

/// Puts texts into DNS, and takes them away.
#[async_trait]
trait Provider: Send + Sync {
    /// Adds a record beside those of the same name; one that is there already is fine.
    async fn add(&self, text: &TextRecord) -> Result<(), DnsError>;

    /// Removes this record alone; one that is not there is fine.
    async fn remove(&self, text: &TextRecord) -> Result<(), DnsError>;
}

/// dns-01 for the orders of one certificate at a time.
pub(super) struct Dns01 {
    settings: DnsSettings,
    resolver: Resolver,
    provider: Box<dyn Provider>,
    store: Store,
}

impl Dns01 {
    pub(super) fn new(
        settings: &DnsSettings,
        provider: ProviderSettings,
        store: &Store,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let resolver = Resolver::with_servers(&settings.resolvers);
        let provider: Box<dyn Provider> = match provider {
            ProviderSettings::Rfc2136(settings) => {
                Box::new(Rfc2136 { settings, resolver: resolver.clone(), clock: clock.clone() })
            }
            ProviderSettings::AcmeDns(settings) => Box::new(AcmeDns { settings, resolver: resolver.clone() }),
            ProviderSettings::Exec(settings) => Box::new(Exec(settings)),
        };
        Self { settings: settings.clone(), resolver, provider, store: store.clone() }
    }

    /// Adds the text for an identifier; a wildcard is proven at the name below it (RFC 8555 §8.4).
    pub(super) async fn present(&self, certificate: &str, identifier: &str, value: &str) -> Result<(), DnsError> {
        let asked = asked_name(identifier);
        let end = self.resolver.aliases(&asked).await?.pop();
        let text = TextRecord { name: end.unwrap_or_else(|| asked.clone()), asked, value: value.to_owned() };
        let mut texts = noted(&self.store, certificate).await?;
        if !texts.contains(&text) {
            texts.push(text.clone());
            note(&self.store, certificate, texts).await?;
        }
        let added = self.provider.add(&text).await;
        match &added {
            Ok(()) => debug!(certificate, name = text.name, "text added"),
            Err(error) if error.is_refusal() => {
                let mut texts = noted(&self.store, certificate).await?;
                texts.retain(|other| *other != text);
                note(&self.store, certificate, texts).await?;
            }
            // It may be there all the same, so the note stays.
            Err(_) => {}
        }
        added
    }

    /// Waits until every name server has all texts that stand for a certificate.
    pub(super) async fn propagated(&self, certificate: &str) -> Result<(), DnsError> {
        self.wait(&noted(&self.store, certificate).await?).await
    }

    /// Removes the texts that stand for a certificate. What cannot be removed is told, and tried again next time.
    async fn clean(&self, certificate: &str, texts: Vec<TextRecord>) -> Result<(), DnsError> {
        let mut left = Vec::new();
        for text in texts {
            match self.provider.remove(&text).await {
                Ok(()) => info!(certificate, name = text.name, "text removed"),
                Err(error) => {
                    let (name, error) = (&text.name, with_causes(&error));
                    warn!(
                        certificate,
                        name, error, "a text stays in DNS; its removal is tried again with the next order"
                    );
                    left.push(text);
                }
            }
        }
        Ok(note(&self.store, certificate, left).await?)
    }
}

/// Where the CA asks for an identifier.
fn asked_name(identifier: &str) -> String {
    format!("_acme-challenge.{}", identifier.strip_prefix("*.").unwrap_or(identifier))
}

async fn noted(store: &Store, certificate: &str) -> Result<Vec<TextRecord>, StoreError> {
    let name = certificate.to_owned();
    blocking(store, move |store| store.load_texts(&name)).await
}

async fn note(store: &Store, certificate: &str, texts: Vec<TextRecord>) -> Result<(), StoreError> {
    let name = certificate.to_owned();
    blocking(store, move |store| store.save_texts(&name, &texts)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_wildcard_when_asked_for_then_at_the_name_below_it() {
        for identifier in ["m5.test", "*.m5.test"] {
            assert_eq!(asked_name(identifier), "_acme-challenge.m5.test");
        }
    }
}
