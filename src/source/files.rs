//! Identities from files that somebody else renews.
//!
//! One way for every form: all files are read, then taken apart by what their bytes are, then put together.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{FileForm, FileSettings, PasswordSource};
use crate::pki::{
    Assembled, CertificateChain, ChainError, Fingerprint, Identity, IdentityError, KeyError, Password, PasswordError,
    Pkcs12, Pkcs12Error, PrivateKey,
};

/// Files with certificates and a key, for a server's identity and for a client's.
///
/// # Why
///
/// A change is seen by content, not by time or inode: Kubernetes swaps a symbolic link two folders up, and `cp -p` keeps
/// the time.
#[derive(Clone, Debug)]
pub struct FilesSource {
    settings: FileSettings,
    seen: Option<Look>,
}

/// What the files held, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look(Vec<Content>);

impl FilesSource {
    /// Names the files; reads nothing yet.
    pub fn new(settings: FileSettings) -> Self {
        Self { settings, seen: None }
    }

    /// Reads the identity. Blocks, and decrypts for a second perhaps.
    ///
    /// What was seen counts as known to [`FilesSource::changed`] even when it is no identity, so that a fault is told once
    /// and not at every look.
    ///
    /// # Errors
    ///
    /// One [`FilesError`] at least for what is wrong, each with the file at fault.
    pub fn load(&mut self) -> Result<Assembled, Vec<FilesError>> {
        for _ in 0..TRIES {
            match self.load_once() {
                // Read while they were being replaced: half of one, half of the other.
                Err(_) if self.changed() => {}
                result => return result,
            }
        }
        self.load_once()
    }

    /// Whether a file differs from what [`FilesSource::load`] saw last; true before the first. Blocks.
    pub fn changed(&self) -> bool {
        self.seen.as_ref() != Some(&self.look())
    }

    /// What the files hold now. Blocks.
    pub fn look(&self) -> Look {
        Look(self.settings.paths().into_iter().map(|path| Content::of(&read(path))).collect())
    }

    fn load_once(&mut self) -> Result<Assembled, Vec<FilesError>> {
        let paths = self.settings.paths();
        let files: Vec<_> = paths.into_iter().map(|path| FileRead { path, bytes: read(path) }).collect();
        self.seen = Some(Look(files.iter().map(|file| Content::of(&file.bytes)).collect()));
        Reading { settings: &self.settings, files, errors: Vec::new() }.finish()
    }
}

/// One file, as it was read.
struct FileRead<'a> {
    path: &'a Path,
    bytes: io::Result<Zeroizing<Vec<u8>>>,
}

/// Takes files apart, and notes all that is wrong.
struct Reading<'a> {
    settings: &'a FileSettings,
    files: Vec<FileRead<'a>>,
    errors: Vec<FilesError>,
}

impl Reading<'_> {
    fn finish(mut self) -> Result<Assembled, Vec<FilesError>> {
        self.note_unreadable();
        let password = self.password();
        let parts = match &self.settings.form {
            FileForm::Pair { chain, key } => self.pair(chain, key, password.as_ref()),
            FileForm::Pkcs12(file) => self.pkcs12(file, password.as_ref()),
        };
        let (Some((certificates, key)), true) = (parts, self.errors.is_empty()) else { return Err(self.errors) };
        Identity::assemble(certificates, key).map_err(|source| {
            let key = match &self.settings.form {
                FileForm::Pair { key, .. } => key,
                FileForm::Pkcs12(file) => file,
            };
            vec![FilesError::Mismatch { chain: self.settings.main().to_owned(), key: key.clone(), source }]
        })
    }

    fn note_unreadable(&mut self) {
        for file in &mut self.files {
            if let Err(error) = &mut file.bytes {
                let error = std::mem::replace(error, io::ErrorKind::Other.into());
                self.errors.push(FilesError::unreadable(file.path, error));
            }
        }
    }

    fn bytes(&self, path: &Path) -> Option<&[u8]> {
        let file = self.files.iter().find(|file| file.path == path)?;
        file.bytes.as_ref().ok().map(|bytes| bytes.as_slice())
    }

    fn password(&mut self) -> Option<Password> {
        match self.settings.password.as_ref()? {
            PasswordSource::Given(password) => Some(password.clone()),
            PasswordSource::File(path) => match Password::from_file(self.bytes(path)?) {
                Ok(password) => Some(password),
                Err(source) => {
                    self.errors.push(FilesError::Password { path: path.clone(), source });
                    None
                }
            },
        }
    }

    fn pair(&mut self, chain: &[PathBuf], key: &Path, password: Option<&Password>) -> Option<Parts> {
        let mut certificates = Vec::new();
        for path in chain {
            let found = self.bytes(path).map(CertificateChain::certificates_of_file);
            match found {
                Some(Ok(found)) => certificates.extend(found),
                Some(Err(source)) => self.errors.push(FilesError::Chain { path: path.clone(), source }),
                None => {}
            }
        }
        // Without the password that is to come from a broken file, the key would be blamed too.
        if password.is_none() && self.settings.password.is_some() {
            return None;
        }
        match PrivateKey::from_file(self.bytes(key)?, password) {
            Ok(key) => Some((certificates, key)),
            Err(source) => {
                self.errors.push(FilesError::Key { path: key.to_owned(), source });
                None
            }
        }
    }

    fn pkcs12(&mut self, file: &Path, password: Option<&Password>) -> Option<Parts> {
        if password.is_none() && self.settings.password.is_some() {
            return None;
        }
        match Pkcs12::read(self.bytes(file)?, password) {
            Ok(Pkcs12 { certificates, key }) => Some((certificates, key)),
            Err(source) => {
                self.errors.push(FilesError::Pkcs12 { path: file.to_owned(), source });
                None
            }
        }
    }
}

type Parts = (Vec<rustls::pki_types::CertificateDer<'static>>, PrivateKey);

/// Why files are no identity.
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
    /// The file holds no password.
    #[error("no password in `{path}`")]
    Password {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PasswordError,
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
    /// The PKCS #12 file cannot be opened, or does not hold what it should.
    #[error("no identity in `{path}`")]
    Pkcs12 {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Pkcs12Error,
    },
    /// Each is good, but not with the other.
    #[error("certificate and key do not go together in `{chain}` and `{key}`")]
    Mismatch {
        /// The chain file.
        chain: PathBuf,
        /// The key file; of PKCS #12 the same.
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

/// What one file held.
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

    /// Two files, and a source that reads them.
    struct Pair {
        chain: PathBuf,
        key: PathBuf,
        source: FilesSource,
    }

    impl Pair {
        fn new(chain: PathBuf, key: PathBuf) -> Self {
            let form = FileForm::Pair { chain: vec![chain.clone()], key: key.clone() };
            Self { chain, key, source: FilesSource::new(FileSettings { form, password: None }) }
        }

        fn load(&mut self) -> Result<Identity, Vec<FilesError>> {
            self.source.load().map(|assembled| assembled.identity)
        }

        fn changed(&self) -> bool {
            self.source.changed()
        }
    }

    /// A source with a good pair, already loaded.
    fn loaded() -> (tempfile::TempDir, Pair) {
        let dir = tempfile::tempdir().unwrap();
        let mut source = Pair::new(dir.path().join("c.pem"), dir.path().join("k.pem"));
        write(&source, &identity());
        source.load().unwrap();
        (dir, source)
    }

    fn write(source: &Pair, identity: &Identity) {
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
        let loaded = Pair::new(path.clone(), path).load().unwrap();
        assert_eq!(loaded.key().der(), identity.key().der());
    }

    #[test]
    fn given_one_change_when_asked_then_seen_once() {
        type Change = fn(&Pair);
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
            write(&Pair::new(there("tls.crt"), there("tls.key")), identity);
        }
        symlink("..1", dir.path().join("..data")).unwrap();
        for file in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(file), dir.path().join(file)).unwrap();
        }
        let mut source = Pair::new(dir.path().join("tls.crt"), dir.path().join("tls.key"));
        source.load().unwrap();

        symlink("..2", dir.path().join("..tmp")).unwrap();
        fs::rename(dir.path().join("..tmp"), dir.path().join("..data")).unwrap();

        assert!(source.changed());
        assert_eq!(source.load().unwrap().chain().certificates(), new.chain().certificates());
    }

    #[test]
    fn given_one_fault_when_loaded_then_the_error_names_the_file_and_the_reason() {
        type Fault = fn(&Pair);
        let rows: [(Fault, &str); 7] = [
            (|s| fs::remove_file(&s.chain).unwrap(), "c.pem`; is the path right"),
            (|s| fs::remove_file(&s.key).unwrap(), "k.pem`; is the path right"),
            (|s| fs::write(&s.chain, "junk").unwrap(), "c.pem`: no certificate found"),
            (|s| fs::write(&s.key, "junk").unwrap(), "k.pem`: no private key found"),
            (|s| fs::write(&s.key, identity().key().to_pem().as_bytes()).unwrap(), "k.pem`: the private key"),
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
            let error = source.load().unwrap_err().remove(0);
            let text = format!("{error}: {}", error.source().unwrap());
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn given_several_faults_when_loaded_then_all_are_told() {
        let (_dir, mut source) = loaded();
        fs::write(&source.chain, "junk").unwrap();
        fs::remove_file(&source.key).unwrap();
        let errors = source.load().unwrap_err();
        assert!(matches!(errors[..], [FilesError::Unreadable { .. }, FilesError::Chain { .. }]), "{errors:?}");
    }

    #[test]
    fn given_bankids_file_and_its_password_in_a_file_when_loaded_then_their_identity() {
        let dir = tempfile::tempdir().unwrap();
        let (file, password) = (dir.path().join("fp.p12"), dir.path().join("password"));
        fs::copy("tests/data/bankid/FPTestcert5_20240610-legacy.pfx", &file).unwrap();
        fs::write(&password, "qwerty123\r\n").unwrap();
        let settings =
            FileSettings { form: FileForm::Pkcs12(file), password: Some(PasswordSource::File(password.clone())) };
        let mut source = FilesSource::new(settings);

        let assembled = source.load().unwrap();
        assert_eq!(assembled.identity.chain().leaf().common_name, "FP Testcert 5");
        assert!(assembled.missing.unwrap().subject.contains("Testbank A RP CA v1 for BankID Test"));

        fs::write(&password, "other").unwrap();
        assert!(source.changed());
        let errors = source.load().unwrap_err();
        assert!(matches!(&errors[..], [FilesError::Pkcs12 { source: Pkcs12Error::WrongPassword, .. }]), "{errors:?}");
        fs::write(&password, "a\nb\n").unwrap();
        assert!(matches!(&source.load().unwrap_err()[..], [FilesError::Password { .. }]));
    }

    #[test]
    fn given_bankids_pem_when_loaded_then_the_encrypted_key_is_opened() {
        let path = PathBuf::from("tests/data/bankid/FPTestcert5_20240610.pem");
        let settings = |password: &str| FileSettings {
            form: FileForm::Pair { chain: vec![path.clone()], key: path.clone() },
            password: (!password.is_empty()).then(|| PasswordSource::Given(Password::new(password))),
        };
        FilesSource::new(settings("qwerty123")).load().unwrap();
        for (password, expected) in [("", "no password is given"), ("wrong", "the password is wrong")] {
            let error = FilesSource::new(settings(password)).load().unwrap_err().remove(0);
            assert!(error.source().unwrap().to_string().contains(expected), "{error:?}");
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
