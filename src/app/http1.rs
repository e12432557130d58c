//! Sites that HTTP/2 is not offered for: found while serving, kept over restarts, forgotten when an operator says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

use crate::causes::with_causes;
use crate::proxy::Http1Observer;
use crate::store::{NtlmSeen, Store, StoreError};
use crate::time::{Clock, SystemClock};
use crate::tls::Resolver;

/// What is known of them.
pub(super) struct NtlmSites {
    store: Store,
    resolver: Arc<Resolver>,
    /// One change of the file at a time.
    sites: Mutex<BTreeMap<String, NtlmSeen>>,
}

impl NtlmSites {
    /// Reads what was found before; a file that cannot be read costs a connection or two, so that it is only told.
    pub(super) fn new(store: Store, resolver: Arc<Resolver>) -> Self {
        let sites = store.load_ntlm_sites().unwrap_or_else(|error| {
            warn!(error = with_causes(&error), "sites with NTLM cannot be read; they will be found again");
            BTreeMap::new()
        });
        Self { store, resolver, sites: Mutex::new(sites) }
    }

    /// Offers no HTTP/2 for those that are known; for sites that are new in the configuration too.
    pub(super) fn apply(&self) {
        let sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        sites.keys().for_each(|site| _ = self.resolver.offer_only_http1(site));
    }

    /// Since when a site is one of them.
    pub(super) fn seen(&self, site: &str) -> Option<NtlmSeen> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner).get(site).cloned()
    }

    /// Keeps those that are found from now on.
    pub(super) fn observer(self: &Arc<Self>) -> Http1Observer {
        let sites = self.clone();
        Arc::new(move |site| {
            let (sites, site) = (sites.clone(), site.to_owned());
            tokio::task::spawn_blocking(move || sites.keep(site));
        })
    }

    fn keep(&self, site: String) {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = sites.entry(site.clone()).or_insert_with(|| NtlmSeen { at: SystemClock.now() }).clone();
        if let Err(error) = self.store.change_ntlm_sites(|kept| _ = kept.insert(site.clone(), seen)) {
            warn!(
                site,
                error = with_causes(&error),
                "a site with NTLM cannot be kept; it is found again after a restart"
            );
        }
    }

    /// Offers HTTP/2 again until the server asks for NTLM once more; `false` when it is offered.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing has changed then.
    pub(super) fn forget(&self, site: &str) -> Result<bool, StoreError> {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        self.store.change_ntlm_sites(|kept| _ = kept.remove(site))?;
        let was_known = sites.remove(site).is_some();
        let was_withheld = self.resolver.offer_http2(site);
        if was_known || was_withheld {
            info!(site, "HTTP/2 is offered again, as asked");
        }
        Ok(was_known || was_withheld)
    }
}
