//! How often the disk refused, or held something else than it should.
//!
//! # Why
//!
//! They are counted where the error is made, for the whole process: so no call can forget it, nor one that passes over its
//! error. A process has one state directory.

use std::sync::atomic::{AtomicU64, Ordering};

/// What failed, as a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A file could not be read, or a folder listed.
    Read,
    /// A file or folder could not be written or made durable.
    Write,
    /// A file could not be removed.
    Remove,
    /// A lock could not be asked for.
    Lock,
    /// A file holds something else than it should.
    Decode,
}

impl Operation {
    /// Every value.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Remove, Self::Lock, Self::Decode];

    /// As a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Remove => "remove",
            Self::Lock => "lock",
            Self::Decode => "decode",
        }
    }

    /// Of the words that an error says it in.
    pub(super) fn of(words: &str) -> Self {
        match words {
            "read" | "list the folder" => Self::Read,
            "remove" => Self::Remove,
            "lock" | "open" => Self::Lock,
            _ => Self::Write,
        }
    }
}

/// How often each operation has failed since the process began.
pub fn failures() -> [(Operation, u64); Operation::ALL.len()] {
    Operation::ALL.map(|operation| (operation, FAILURES[operation as usize].load(Ordering::Relaxed)))
}

/// Counts a failure.
pub(super) fn note(operation: Operation) {
    FAILURES[operation as usize].fetch_add(1, Ordering::Relaxed);
}

/// In the order of [`Operation::ALL`].
static FAILURES: [AtomicU64; Operation::ALL.len()] = [const { AtomicU64::new(0) }; Operation::ALL.len()];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{Store, atomic, document};
    use super::*;

    /// Other tests count beside it, so that only a rise can be seen.
    fn rises(operation: Operation, work: impl FnOnce()) -> bool {
        let count = || FAILURES[operation as usize].load(Ordering::Relaxed);
        let before = count();
        work();
        count() > before
    }

    #[test]
    fn given_each_failure_when_it_happens_then_it_is_counted_as_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file) = (dir.path().join("folder"), dir.path().join("file.json"));
        fs::create_dir_all(folder.join("inside")).unwrap();
        fs::write(&file, "{").unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        fs::create_dir_all(dir.path().join("state/locks/m5.lock")).unwrap();

        assert!(rises(Operation::Read, || assert!(document::read(&folder).is_err())));
        assert!(rises(Operation::Write, || assert!(atomic::write(&folder, b"new").is_err())));
        assert!(rises(Operation::Remove, || assert!(atomic::remove(&folder).is_err())));
        assert!(rises(Operation::Lock, || assert!(store.lock("m5").is_err())));
        assert!(rises(Operation::Decode, || assert!(document::load::<u8>(&file, "").is_err())));
    }
}
