//! What was asked of each CA, as far as its limits count it.

use super::{LockGuard, Store, StoreError, document};
use crate::lifecycle::budget::Ledger;

impl Store {
    /// Loads the ledger of a directory; an empty one when there is none, or when it is damaged, after a warning: what is
    /// forgotten is at worst refused by the CA.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when it cannot be read.
    pub fn load_ledger(&self, directory: &str) -> Result<Ledger, StoreError> {
        Ok(document::load_or_warn(&self.layout.account(directory).join(LEDGER))?.unwrap_or_default())
    }

    /// Changes the ledger of a directory, which no other process does meanwhile, and gives what `change` gave. Waits for
    /// one that does, which takes milliseconds. Nothing is written when nothing has changed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the ledger before is unharmed then.
    pub fn change_ledger<T>(&self, directory: &str, change: impl FnOnce(&mut Ledger) -> T) -> Result<T, StoreError> {
        let folder = self.layout.account(directory);
        let _guard: LockGuard = self.wait(&folder.join("ledger.lock"))?;
        let before = self.load_ledger(directory)?;
        let mut ledger = before.clone();
        let outcome = change(&mut ledger);
        if ledger != before {
            document::save(&folder.join(LEDGER), &ledger)?;
        }
        Ok(outcome)
    }
}

const LEDGER: &str = "ledger.json";

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;
    use crate::lifecycle::budget::{Ask, Limits};
    use crate::time::Timestamp;

    const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn issue(ledger: &mut Ledger) {
        let (limits, identifiers) = (Limits::of(DIRECTORY).unwrap(), ["m5.test.se".to_owned()]);
        ledger.issued(limits, &Ask { account: None, identifiers: &identifiers, replaces: false }, NOW);
    }

    fn is_refused(ledger: &Ledger) -> bool {
        let (limits, identifiers) = (Limits::of(DIRECTORY).unwrap(), ["m5.test.se".to_owned()]);
        ledger.judge(limits, &Ask { account: None, identifiers: &identifiers, replaces: false }, NOW).is_err()
    }

    #[test]
    fn given_changes_by_many_at_once_when_loaded_then_none_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| store.change_ledger(DIRECTORY, issue).unwrap());
            }
        });
        assert!(!is_refused(&store.load_ledger(DIRECTORY).unwrap()));
        store.change_ledger(DIRECTORY, issue).unwrap();
        assert!(is_refused(&store.load_ledger(DIRECTORY).unwrap()));
        assert_eq!(store.load_ledger("https://acme.test/other").unwrap(), Ledger::default());
    }

    #[test]
    fn given_a_damaged_ledger_when_changed_then_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.change_ledger(DIRECTORY, issue).unwrap();
        let path = store.layout.account(DIRECTORY).join(LEDGER);
        for damaged in ["", "{", "[]", "\0", r#"{"issued": 7}"#] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(store.load_ledger(DIRECTORY).unwrap(), Ledger::default(), "{damaged}");
            store.change_ledger(DIRECTORY, issue).unwrap();
            assert_ne!(store.load_ledger(DIRECTORY).unwrap(), Ledger::default(), "{damaged}");
        }
    }
}
