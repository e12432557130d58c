//! Who we are to an upstream that asks.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use crate::pki::Identity;

/// The client identity of one name; swapped while requests go on, which keep the one that they began with.
pub struct ClientIdentity {
    name: String,
    in_use: ArcSwapOption<Identity>,
}

impl ClientIdentity {
    /// The configured name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the next connection shows; `None` before there is one.
    pub fn in_use(&self) -> Option<Arc<Identity>> {
        self.in_use.load_full()
    }

    /// Shows another one from the next connection on.
    pub fn publish(&self, identity: Identity) {
        self.in_use.store(Some(Arc::new(identity)));
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every client identity, by name. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct ClientIdentities(Arc<Mutex<HashMap<String, Arc<ClientIdentity>>>>);

impl ClientIdentities {
    /// The one of a name, from now on always the same.
    pub fn get(&self, name: &str) -> Arc<ClientIdentity> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(ClientIdentity { name: name.to_owned(), in_use: ArcSwapOption::empty() });
        all.entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// Forgets all others. Who holds one keeps it.
    pub fn retain(&self, names: &[&str]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| names.contains(&&**name));
    }
}
