//! Files as bytes and as JSON. Any of them may hold a key, so all buffers are zeroized.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{StoreError, atomic};

/// All bytes of a file; `None` when it is not there.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    // One byte more than the file has, so that the buffer never grows and leaves no copy behind.
    let size = file.metadata().map_or(0, |metadata| metadata.len()).min(LARGEST);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    file.take(LARGEST).read_to_end(&mut bytes).map_err(StoreError::io("read", path))?;
    Ok(Some(bytes))
}

/// A value from a JSON file; `None` when the file is not there.
///
/// # Errors
///
/// [`StoreError::Damaged`] when it is not JSON of this shape, with `mend` as the advice.
pub(super) fn load<T: DeserializeOwned>(path: &Path, mend: &'static str) -> Result<Option<T>, StoreError> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Some(value)),
        // The line and the kind of fault only: the values beside it may be secret.
        Err(fault) => Err(StoreError::damaged(
            path.to_owned(),
            format!("no {:?} JSON at line {} column {}", fault.classify(), fault.line(), fault.column()).to_lowercase(),
            mend,
        )),
    }
}

/// As [`load`], but a damaged file counts as none, after a warning.
pub(super) fn load_or_warn<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    match load(path, "it will be made anew") {
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::warn!(%error, "passed over a damaged file in the state directory");
            Ok(None)
        }
        result => result,
    }
}

/// Saves a value as a JSON file, whole or not at all.
pub(super) fn save<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    atomic::write(path, &to_json(path, value)?)
}

/// Readable JSON with a line end.
fn to_json<T: Serialize>(path: &Path, value: &T) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut json = Zeroizing::new(Vec::with_capacity(16 * 1024));
    serde_json::to_writer_pretty(&mut *json, value)
        .map_err(|error| StoreError::io("write", path)(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    json.push(b'\n');
    Ok(json)
}

/// No file of ours comes near it; a foreign one must not fill the memory.
const LARGEST: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_damaged_file_when_loaded_then_the_error_shows_no_value_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        atomic::write(&path, b"{\n \"a\": \"hunter2\", \"b\": 3 }").unwrap();
        let error = load::<std::collections::BTreeMap<String, u8>>(&path, "mend it").unwrap_err();
        assert!(error.to_string().contains("line 2") && error.to_string().ends_with("; mend it"), "{error}");
        assert!(!error.with_causes().contains("hunter2"), "{error}");
    }

    #[test]
    fn given_a_damaged_or_missing_file_when_loaded_leniently_then_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        assert_eq!(load_or_warn::<u8>(&path).unwrap(), None);
        for damaged in ["", "{", "\"text\"", "\0\0\0", "300"] {
            atomic::write(&path, damaged.as_bytes()).unwrap();
            assert_eq!(load_or_warn::<u8>(&path).unwrap(), None, "{damaged}");
        }
        save(&path, &7u8).unwrap();
        assert_eq!(load_or_warn::<u8>(&path).unwrap(), Some(7));
    }
}
