//! Every generation of a certificate, for people who want to go back to one.

use super::certificate::Generations;
use super::{Meta, Store, StoreError};
use crate::pki::{CertificateChain, Identity};

/// One generation as it was found.
#[derive(Debug)]
pub struct Generation {
    /// Counted from 1.
    pub number: u64,
    /// The pointer names it.
    pub is_current: bool,
    /// What it holds, or why it cannot be used.
    pub content: Result<(CertificateChain, Meta), String>,
}

impl Store {
    /// All generations of a certificate, the newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the folder cannot be read.
    pub fn generations(&self, name: &str) -> Result<Vec<Generation>, StoreError> {
        let folder = Generations::of(self, name);
        let current = folder.current().ok();
        let numbers = folder.numbers()?;
        let of = |number| Generation {
            number,
            is_current: Some(number) == current,
            content: folder.read(number).map(|(identity, meta)| (identity.chain().clone(), meta)),
        };
        Ok(numbers.into_iter().rev().map(of).collect())
    }

    /// Loads one generation, current or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when it is not there, or not whole.
    pub fn load_generation(&self, name: &str, number: u64) -> Result<(Identity, Meta), StoreError> {
        let folder = Generations::of(self, name);
        let damaged = |reason| StoreError::damaged(folder.generation(number), reason, "name another generation");
        folder.read(number).map_err(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn given_two_generations_when_one_is_pointed_to_then_it_is_current_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let now = Timestamp::from_unix(1_795_311_180);
        let identity = Identity::self_signed(&["m5.test".to_owned()], now, now).unwrap();
        let meta = Meta {
            source: "internal".to_owned(),
            issued_at: now,
            identifiers: vec!["m5.test".to_owned()],
            product: String::new(),
            directory: None,
        };
        for _ in 0..2 {
            store.save_identity("m5", &identity, &meta).unwrap();
        }
        store.point_to("m5", 1).unwrap();
        std::fs::write(dir.path().join("certs/m5/2/chain.pem"), "").unwrap();

        let all = store.generations("m5").unwrap();

        let told: Vec<_> = all.iter().map(|one| (one.number, one.is_current, one.content.is_ok())).collect();
        assert_eq!(told, [(2, false, false), (1, true, true)]);
        assert_eq!(store.load_generation("m5", 1).unwrap().1, meta);
        assert!(store.load_generation("m5", 2).unwrap_err().to_string().contains("m5/2` is damaged"));
        assert!(store.load_generation("m5", 3).is_err());
        assert!(store.generations("other").unwrap().is_empty());
    }
}
