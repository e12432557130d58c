//! Texts that were put into DNS for an order, so that none outlives the process that put it there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, document};

/// A TXT record that answers a challenge (RFC 8555 §8.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextRecord {
    /// The name that the CA asks about, such as `_acme-challenge.example.com`.
    pub asked: String,
    /// The name that has the record: the same, or the end of its aliases.
    pub name: String,
    /// What it says.
    pub value: String,
}

impl Store {
    /// Saves which texts stand in DNS for a certificate, in place of those noted before; none removes the note.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the note before is unharmed then.
    pub fn save_texts(&self, name: &str, texts: &[TextRecord]) -> Result<(), StoreError> {
        match texts {
            [] => super::atomic::remove(&self.texts(name)),
            _ => document::save(&self.texts(name), &texts),
        }
    }

    /// Loads which texts stand in DNS for a certificate; none when the note is damaged, which is logged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the file is there but cannot be read.
    pub fn load_texts(&self, name: &str) -> Result<Vec<TextRecord>, StoreError> {
        Ok(document::load_or_warn(&self.texts(name))?.unwrap_or_default())
    }

    fn texts(&self, name: &str) -> PathBuf {
        self.layout.certificate(name).join("dns.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_texts_when_saved_then_loaded_until_there_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.load_texts("m5").unwrap(), []);

        let text = |value: &str| TextRecord { asked: "a".to_owned(), name: "b".to_owned(), value: value.to_owned() };
        store.save_texts("m5", &[text("1"), text("2")]).unwrap();
        assert_eq!(store.load_texts("m5").unwrap(), [text("1"), text("2")]);
        assert_eq!(store.load_texts("other").unwrap(), []);

        store.save_texts("m5", &[]).unwrap();
        store.save_texts("m5", &[]).unwrap();
        assert_eq!(store.load_texts("m5").unwrap(), []);
        assert!(!store.texts("m5").exists());
    }
}
