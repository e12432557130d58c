//! What can go wrong with the state directory.

use std::io;
use std::path::{Path, PathBuf};

use super::failures::{Operation, note};
use crate::causes;
use crate::platform;

/// Why something could not be saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {operation} `{path}`{mend}")]
    Io {
        /// What was tried, such as `write`.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What to do about it, behind a `; `, or nothing.
        mend: String,
        /// Its reason.
        source: io::Error,
    },
    /// A later portvakt has written here.
    #[error(
        "the state directory `{path}` was made by a later portvakt (layout `{found}`, known up to `{known}`); \
         run that version, or use another `state_dir`"
    )]
    TooNew {
        /// The state directory.
        path: PathBuf,
        /// Its layout.
        found: String,
        /// The newest layout that this program knows.
        known: String,
    },
    /// A file holds something else than it should.
    #[error("`{path}` is damaged: {reason}; {mend}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        mend: &'static str,
    },
    /// Generations are there, none of them whole.
    #[error(
        "no stored generation of the certificate `{name}` can be read: {reasons}; a new certificate will replace them"
    )]
    NoneReadable {
        /// The certificate's name.
        name: String,
        /// What is wrong with each.
        reasons: String,
    },
    /// It must not be replaced in silence.
    #[error("`{path}` is there already; move it away if it shall be replaced")]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    /// There is no state directory.
    pub(crate) fn nowhere() -> Self {
        let path = PathBuf::from("state_dir");
        Self::Io { operation: "find", path, mend: String::new(), source: io::ErrorKind::NotFound.into() }
    }

    /// For `map_err`: an I/O error with what was tried, and where. It is counted.
    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            note(Operation::of(operation));
            Self::Io { operation, path: path.to_owned(), mend: mend(source.kind()), source }
        }
    }

    /// A file that holds something else than it should. It is counted.
    pub(super) fn damaged(path: PathBuf, reason: String, mend: &'static str) -> Self {
        note(Operation::Decode);
        Self::Damaged { path, reason, mend }
    }

    /// As a whole, with its causes, for a reason in a log line.
    pub(super) fn with_causes(&self) -> String {
        causes::with_causes(self)
    }
}

fn mend(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::PermissionDenied => {
            format!("; give {} access to it, or set another `state_dir`", platform::user())
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; the file system is read-only, mount it writable or set another `state_dir`".to_owned()
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space, what was stored before is unharmed".to_owned()
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "; a file stands where a folder is needed, move it away".to_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_refusal_when_told_then_names_operation_path_and_mend() {
        for (kind, word) in [
            (io::ErrorKind::PermissionDenied, "access to it, or set another `state_dir`"),
            (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
            (io::ErrorKind::StorageFull, "free some space"),
            (io::ErrorKind::NotADirectory, "a file stands"),
        ] {
            let error = StoreError::io("write", Path::new("/state/x"))(kind.into());
            assert!(error.to_string().starts_with("cannot write `/state/x`; "), "{error}");
            assert!(error.to_string().contains(word), "{error}");
            assert!(error.with_causes().ends_with(&format!(": {kind}")), "{}", error.with_causes());
        }
    }

    #[test]
    #[cfg(unix)]
    fn given_a_permission_error_when_told_then_names_the_user() {
        let error = StoreError::io("read", Path::new("k"))(io::ErrorKind::PermissionDenied.into()).to_string();
        assert!(error.contains(&format!("give user id {} access", rustix::process::geteuid().as_raw())), "{error}");
    }
}
