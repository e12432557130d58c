//! Identities from two PEM files that somebody else renews.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::pki::{CertificateChain, ChainError, Fingerprint, Identity, IdentityError, KeyError, PrivateKey};

/// A chain file and a key file. They may be one file.
///
/// # Why
///
/// A change is seen by content, not by time or inode: Kubernetes swaps a symbolic link two folders up, and `cp -p` keeps
/// the time.
#[derive(Clone, Debug)]
pub struct FilesSource {
    chain: PathBuf,
    key: PathBuf,
    seen: Option<[Content; 2]>,
}

impl FilesSource {
    /// Names the files; reads nothing yet.
    pub fn new(chain: PathBuf, key: PathBuf) -> Self {
        Self { chain, key, seen: None }
    }

    /// Reads the identity. Blocks.
    ///
    /// What was seen counts as known to [`FilesSource::changed`] even when it is no identity, so that a fault is told once
    /// and not at every look.
    ///
    /// # Errors
    ///
    /// [`FilesError`], which names the file at fault.
    pub fn load(&mut self) -> Result<Identity, FilesError> {
        for _ in 0..TRIES {
            match self.load_once() {
                // Read while both were being replaced: half of one, half of the other.
                Err(FilesError::Mismatch { .. }) if self.changed() => {}
                result => return result,
            }
        }
        self.load_once()
    }

    /// Whether a file differs from what [`FilesSource::load`] saw last; true before the first. Blocks.
    pub fn changed(&self) -> bool {
        let now = [&self.chain, &self.key].map(|path| Content::of(&read(path)));
        self.seen.as_ref() != Some(&now)
    }

    fn load_once(&mut self) -> Result<Identity, FilesError> {
        let (chain, key) = (read(&self.chain), read(&self.key));
        self.seen = Some([Content::of(&chain), Content::of(&key)]);
        let chain = chain.map_err(|source| FilesError::unreadable(&self.chain, source))?;
        let key = key.map_err(|source| FilesError::unreadable(&self.key, source))?;
        let chain = CertificateChain::from_pem(&chain)
            .map_err(|source| FilesError::Chain { path: self.chain.clone(), source })?;
        let key = PrivateKey::from_pem(&key).map_err(|source| FilesError::Key { path: self.key.clone(), source })?;
        Identity::new(chain, key).map_err(|source| FilesError::Mismatch {
            chain: self.chain.clone(),
            key: self.key.clone(),
            source,
        })
    }
}

/// Why two files are no identity.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The operating system refused.
    #[error("cannot read `{path}`{mend}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What to do about it, behind a `; `, or nothing.
        mend: String,
        /// Its reason.
        source: io::Error,
    },
    /// The chain file holds no chain.
    #[error("no certificate chain in `{path}`")]
    Chain {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ChainError,
    },
    /// The key file holds no key that can be used.
    #[error("no private key in `{path}`")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// Each is good, but not with the other.
    #[error("`{chain}` and `{key}` do not go together")]
    Mismatch {
        /// The chain file.
        chain: PathBuf,
        /// The key file.
        key: PathBuf,
        /// In what way.
        source: IdentityError,
    },
}

impl FilesError {
    fn unreadable(path: &Path, source: io::Error) -> Self {
        let mend = match source.kind() {
            io::ErrorKind::PermissionDenied => format!("; let {} read it", crate::platform::user()),
            io::ErrorKind::NotFound => "; is the path right, and has the file been put there?".to_owned(),
            _ => String::new(),
        };
        Self::Unreadable { path: path.to_owned(), mend, source }
    }
}

/// What a file held, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Digest(Fingerprint),
    Unreadable(io::ErrorKind),
}

impl Content {
    fn of(read: &io::Result<Zeroizing<Vec<u8>>>) -> Self {
        match read {
            Ok(bytes) => Self::Digest(Fingerprint::of(bytes)),
            Err(error) => Self::Unreadable(error.kind()),
        }
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{size} bytes, expected {LARGEST} at most")));
    }
    // One byte more than the file has, so that the buffer never grows and leaves a copy of a key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A chain of a hundred certificates is far below it; a wrong path to a disk image is not.
const LARGEST: u64 = 1024 * 1024;
/// How often both files are read again while they are being replaced.
const TRIES: usize = 3;

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fs;

    use super::*;
    use crate::time::Timestamp;

    fn identity() -> Identity {
        Identity::self_signed(&["m5.test".to_owned()], Timestamp::from_unix(0), Timestamp::from_unix(1)).unwrap()
    }

    /// A source with a good pair, already loaded.
    fn loaded() -> (tempfile::TempDir, FilesSource) {
        let dir = tempfile::tempdir().unwrap();
        let mut source = FilesSource::new(dir.path().join("c.pem"), dir.path().join("k.pem"));
        write(&source, &identity());
        source.load().unwrap();
        (dir, source)
    }

    fn write(source: &FilesSource, identity: &Identity) {
        fs::write(&source.chain, identity.chain().to_pem()).unwrap();
        fs::write(&source.key, identity.key().to_pem().as_bytes()).unwrap();
    }

    #[test]
    fn given_a_pair_of_files_when_loaded_then_the_identity_and_no_change_after() {
        let (_dir, mut source) = loaded();
        let next = identity();
        write(&source, &next);

        assert!(source.changed());
        assert_eq!(source.load().unwrap().chain().certificates(), next.chain().certificates());
        assert!(!source.changed());
    }

    #[test]
    fn given_one_file_for_both_when_loaded_then_the_identity() {
        let (dir, _) = loaded();
        let path = dir.path().join("both.pem");
        let identity = identity();
        fs::write(&path, format!("{}{}", *identity.key().to_pem(), identity.chain().to_pem())).unwrap();
        let loaded = FilesSource::new(path.clone(), path).load().unwrap();
        assert_eq!(loaded.key().der(), identity.key().der());
    }

    #[test]
    fn given_one_change_when_asked_then_seen_once() {
        type Change = fn(&FilesSource);
        let rows: [(&str, Change, bool); 6] = [
            ("nothing", |_| {}, false),
            ("same bytes written again", |s| fs::write(&s.chain, fs::read(&s.chain).unwrap()).unwrap(), false),
            ("chain", |s| fs::write(&s.chain, "other").unwrap(), true),
            ("key", |s| fs::write(&s.key, "other").unwrap(), true),
            ("chain gone", |s| fs::remove_file(&s.chain).unwrap(), true),
            ("key gone", |s| fs::remove_file(&s.key).unwrap(), true),
        ];
        for (name, change, expected) in rows {
            let (_dir, mut source) = loaded();
            change(&source);
            assert_eq!(source.changed(), expected, "{name}");
            assert_eq!(source.load().is_err(), expected, "{name}");
            assert!(!source.changed(), "{name}: told again");
        }
    }

    #[test]
    #[cfg(unix)]
    fn given_a_link_swapped_two_folders_up_when_asked_then_changed() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let [old, new] = [identity(), identity()];
        for (folder, identity) in [("..1", &old), ("..2", &new)] {
            fs::create_dir(dir.path().join(folder)).unwrap();
            let there = |file| dir.path().join(folder).join(file);
            write(&FilesSource::new(there("tls.crt"), there("tls.key")), identity);
        }
        symlink("..1", dir.path().join("..data")).unwrap();
        for file in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(file), dir.path().join(file)).unwrap();
        }
        let mut source = FilesSource::new(dir.path().join("tls.crt"), dir.path().join("tls.key"));
        source.load().unwrap();

        symlink("..2", dir.path().join("..tmp")).unwrap();
        fs::rename(dir.path().join("..tmp"), dir.path().join("..data")).unwrap();

        assert!(source.changed());
        assert_eq!(source.load().unwrap().chain().certificates(), new.chain().certificates());
    }

    #[test]
    fn given_one_fault_when_loaded_then_the_error_names_the_file_and_the_reason() {
        type Fault = fn(&FilesSource);
        let rows: [(Fault, &str); 7] = [
            (|s| fs::remove_file(&s.chain).unwrap(), "c.pem`; is the path right"),
            (|s| fs::remove_file(&s.key).unwrap(), "k.pem`; is the path right"),
            (|s| fs::write(&s.chain, "junk").unwrap(), "c.pem`: no certificate found"),
            (|s| fs::write(&s.key, "junk").unwrap(), "k.pem`: no private key found"),
            (
                |s| fs::write(&s.key, identity().key().to_pem().as_bytes()).unwrap(),
                "do not go together: the private key",
            ),
            (|s| fs::write(&s.chain, vec![b'x'; 2 << 20]).unwrap(), "c.pem`: 2097152 bytes"),
            (
                |s| {
                    fs::remove_file(&s.chain).unwrap();
                    fs::create_dir(&s.chain).unwrap();
                },
                "cannot read `",
            ),
        ];
        for (fault, expected) in rows {
            let (_dir, mut source) = loaded();
            fault(&source);
            let error = source.load().unwrap_err();
            let text = format!("{error}: {}", error.source().unwrap());
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn given_a_repaired_pair_when_loaded_then_good_again() {
        let (_dir, mut source) = loaded();
        fs::write(&source.key, "").unwrap();
        source.load().unwrap_err();
        write(&source, &identity());
        assert!(source.changed());
        source.load().unwrap();
    }
}
