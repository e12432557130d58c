//! The state directory: what must outlive the process.
//!
//! In: identities, records, orders, accounts and the internal CA. Out: the same, after a restart or a power cut. Imports
//! `pki`, `platform` and `time`, serde for its files; all calls block, so async callers wrap them in `spawn_blocking`.
//!
//! ```text
//! version                                 layout of this folder, `major.minor`
//! certs/<name>/<n>/{chain,key}.pem        one generation of an identity, and meta.json about it
//! certs/<name>/current                    which generation is served
//! certs/<name>/lifecycle.json             the plan
//! certs/<name>/order-<host>-<hash>.json   an order that waits for its CA; `order.json` of an older portvakt
//! certs/<name>/dns.json                   texts that stand in DNS for that order
//! acme/<host>-<hash>/account.json         one account for each directory; the one before in account.prev.json
//! acme/<host>-<hash>/account.next.json    the key that it is about to have; account.unused.json one that the CA has not taken
//! acme/<host>-<hash>/ledger.json          what was asked of the CA, as far as its limits count it
//! ca/{root,key}.pem                       the internal CA
//! upstreams/<address>.json                the certificate of an upstream that was believed at first use
//! notify/<name>.json                      what a notifier has told, and is still to tell
//! ntlm.json                               sites that HTTP/2 is not offered for
//! locks/<name>.lock                       who may order; never who may serve
//! ```
//!
//! # Promises
//!
//! - A reader never sees half a file, nor a key and a chain of different generations.
//! - What is saved is on the disk when the call returns (`fsync` of file and folder).
//! - Folders are 0700, files 0600. Nothing is deleted but, when a new generation is saved, those beyond the last
//!   three that ended thirty days ago, and the oldest beyond sixteen. Starting deletes nothing.
//! - A damaged certificate, record or order never stops serving: the newest readable generation is given, with the reason.
//!   A pointer that names nothing is written anew where the newest generation is whole.
//! - A damaged account or internal CA is an error that says how to mend it, since making a new one in silence would cost
//!   the CA's patience or every client's trust.

mod account;
mod atomic;
mod ca;
mod certificate;
mod document;
mod error;
mod failures;
mod generation;
mod http1;
mod known;
mod layout;
mod ledger;
mod lock;
mod notify;
mod order;
mod proof;
mod text;

use std::path::Path;
use std::sync::Arc;

pub use account::{Account, Credentials};
pub use certificate::{Meta, Stored};
pub use error::StoreError;
pub use failures::{Operation, failures};
pub use generation::Generation;
pub use http1::NtlmSeen;
pub use known::{KnownBy, KnownPeer, RefusedPeer, Replaced};
pub use lock::LockGuard;
pub use notify::notifier_lock;
pub use order::OrderRecord;
pub use proof::{FailedProof, Proof};
pub use text::TextRecord;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::platform;
use layout::Layout;
use lock::Locks;

/// A state directory. Clones share it, and so may several processes.
#[derive(Clone, Debug)]
pub struct Store {
    layout: Layout,
    locks: Arc<Locks>,
}

impl Store {
    /// Opens a state directory, and makes it (0700) when it is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when it cannot be made or read, [`StoreError::TooNew`] when a later portvakt has changed its
    /// layout, [`StoreError::Damaged`] when its `version` file says nothing.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let layout = Layout::new(dir);
        atomic::create_dir(layout.root())?;
        if platform::is_mode_too_open(layout.root()).unwrap_or(false) {
            tracing::debug!(path = %dir.display(), "the state directory can be entered by others; its keys cannot be read");
        }
        match document::read(&layout.version())? {
            None => atomic::write(&layout.version(), format!("{MAJOR}.{MINOR}\n").as_bytes())?,
            Some(text) => check_version(&layout, &text)?,
        }
        Ok(Self { layout, locks: Arc::default() })
    }

    /// The one beside it for rehearsals: nothing of them may come near what is served.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn for_rehearsals(&self) -> Result<Self, StoreError> {
        Self::open(&self.layout.root().join("rehearsal"))
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.layout.root()
    }
}

/// Loads a JSON file of ours that lies elsewhere; `None` when it is not there. `mend` is the advice for a damaged one.
///
/// # Errors
///
/// [`StoreError::Io`] when it cannot be read, [`StoreError::Damaged`] when it is not JSON of this shape.
pub(crate) fn load_private<T: DeserializeOwned>(path: &Path, mend: &'static str) -> Result<Option<T>, StoreError> {
    document::load(path, mend)
}

/// Saves a JSON file of ours that lies elsewhere (0600), whole or not at all.
///
/// # Errors
///
/// [`StoreError::Io`]; the file before is unharmed then.
pub(crate) fn save_private<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    document::save(path, value)
}

/// A later minor version adds files or fields that we pass over; a later major one moves what we need.
fn check_version(layout: &Layout, text: &[u8]) -> Result<(), StoreError> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    let major = text.split_once('.').map_or(text, |(major, _)| major);
    match major.parse::<u32>() {
        Ok(major) if major <= MAJOR => Ok(()),
        Ok(_) => Err(StoreError::TooNew {
            path: layout.root().to_owned(),
            found: text.to_owned(),
            known: format!("{MAJOR}.{MINOR}"),
        }),
        Err(_) => Err(StoreError::damaged(
            layout.version(),
            format!("expected a version such as `{MAJOR}.{MINOR}`, found `{}`", text.escape_debug()),
            "if this is portvakt's state directory, delete the file; else correct `state_dir`",
        )),
    }
}

/// Layout that this program reads and writes.
const MAJOR: u32 = 1;
const MINOR: u32 = 0;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn given_no_folder_when_opened_then_made_private_with_a_version() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a/state");

        let store = Store::open(&dir).unwrap();

        assert_eq!(store.dir(), dir);
        assert_eq!(fs::read_to_string(dir.join("version")).unwrap(), "1.0\n");
        assert!(
            !platform::is_mode_too_open(&dir).unwrap() && !platform::is_mode_too_open(&dir.join("version")).unwrap()
        );
    }

    #[test]
    fn given_one_version_file_when_opened_then_taken_or_refused() {
        for (text, expected) in [
            ("1.0\n", None),
            ("1", None),
            ("1.7\r\n", None),
            ("0.9", None),
            ("2.0\n", Some("made by a later portvakt (layout `2.0`, known up to `1.0`)")),
            ("", Some("expected a version such as `1.0`, found ``")),
            ("one", Some("found `one`")),
            ("1x", Some("found `1x`")),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("version"), text).unwrap();
            let error = Store::open(dir.path()).err().map(|error| error.to_string());
            assert_eq!(error.is_some(), expected.is_some(), "{text:?}: {error:?}");
            assert!(error.unwrap_or_default().contains(expected.unwrap_or_default()), "{text:?}");
        }
    }

    #[test]
    fn given_a_file_in_the_way_when_opened_then_the_error_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Store::open(&file.join("state")).unwrap_err().to_string();
        assert!(error.starts_with("cannot create the folder") && error.contains("file/state"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn given_a_folder_that_nobody_can_write_to_when_opened_then_the_error_says_how_to_mend_it() {
        let error = Store::open(Path::new("/sys/portvakt")).unwrap_err().to_string();
        assert!(error.starts_with("cannot create the folder `/sys/portvakt`; "), "{error}");
        assert!(error.contains("give user id ") || error.contains("read-only"), "{error}");
    }
}
