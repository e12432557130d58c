//! Sites that HTTP/2 is not offered for, since their servers know clients by their connections.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, document};
use crate::time::Timestamp;

/// A site whose server has asked for NTLM or Negotiate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NtlmSeen {
    /// When it did first.
    pub at: Timestamp,
}

impl Store {
    /// The sites, by name; none when the file is damaged, which is logged: they are found again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the file is there but cannot be read.
    pub fn load_ntlm_sites(&self) -> Result<BTreeMap<String, NtlmSeen>, StoreError> {
        Ok(document::load_or_warn(&self.layout.ntlm_sites())?.unwrap_or_default())
    }

    /// Changes the sites; the caller sees to it that nobody else does meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn change_ntlm_sites(&self, change: impl FnOnce(&mut BTreeMap<String, NtlmSeen>)) -> Result<(), StoreError> {
        let before = self.load_ntlm_sites()?;
        let mut sites = before.clone();
        change(&mut sites);
        if sites == before { Ok(()) } else { document::save(&self.layout.ntlm_sites(), &sites) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_sites_when_changed_then_loaded_and_none_for_a_damaged_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(store.load_ntlm_sites().unwrap().is_empty());
        let seen = NtlmSeen { at: Timestamp::from_unix(7) };

        store.change_ntlm_sites(|sites| _ = sites.insert("m5".into(), seen.clone())).unwrap();
        assert_eq!(store.load_ntlm_sites().unwrap(), BTreeMap::from([("m5".to_owned(), seen)]));
        store.change_ntlm_sites(|sites| _ = sites.remove("m5")).unwrap();
        assert!(store.load_ntlm_sites().unwrap().is_empty());

        std::fs::write(store.layout.ntlm_sites(), "{").unwrap();
        assert!(store.load_ntlm_sites().unwrap().is_empty());
    }
}
