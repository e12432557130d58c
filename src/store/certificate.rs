//! Identities in generations, and the record of their lifecycle.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, atomic, document};
use crate::pki::{CertificateChain, Identity, IdentityError, PrivateKey};
use crate::platform;
use crate::time::Timestamp;

/// What is kept beside a certificate, since the certificate does not say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Who issued it, such as `acme https://acme.example/directory` or `internal`.
    pub source: String,
    /// When we got it.
    pub issued_at: Timestamp,
    /// What it was ordered for.
    pub identifiers: Vec<String>,
    /// What the settings asked for then, in the words of the lifecycle; empty in what an older portvakt has kept.
    #[serde(default)]
    pub product: String,
    /// Directory of the ACME CA that issued it; `None` for other sources, and in what an older portvakt has kept.
    #[serde(default)]
    pub directory: Option<String>,
}

impl Meta {
    /// Directory of the ACME CA that has issued it. An older portvakt kept it in the words for people alone.
    pub fn issued_by(&self) -> Option<&str> {
        self.directory.as_deref().or_else(|| self.source.strip_prefix("acme "))
    }
}

/// An identity as it was found.
#[derive(Clone, Debug)]
pub struct Stored<I = Identity> {
    /// Number of the generation, counted from 1.
    pub generation: u64,
    /// Chain and key, which belong together.
    pub identity: I,
    /// What was saved beside them.
    pub meta: Meta,
    /// Why this is not the generation that it should be; `None` when it is.
    pub fallback: Option<String>,
    /// Why the pointer names no generation, though the newest is whole and is this one; `None` when it names one.
    pub unpointed: Option<String>,
}

impl Store {
    /// Saves a new generation of a certificate, makes it the current one, and gives its number.
    ///
    /// The last three are kept, and others until thirty days after their end. To be called under [`Store::lock`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the generation before stays the current one then.
    pub fn save_identity(&self, name: &str, identity: &Identity, meta: &Meta) -> Result<u64, StoreError> {
        let folder = Generations::of(self, name);
        let number = folder.numbers()?.last().map_or(1, |last| last.saturating_add(1));
        folder.write(number, identity, meta)?;
        if let Err(error) = folder.point_to(number) {
            // Each try would leave another one; nobody can want it without the pointer.
            let _ = fs::remove_dir_all(folder.generation(number));
            return Err(error);
        }
        folder.prune(number, meta.issued_at);
        Ok(number)
    }

    /// Makes another generation the current one, such as the one before. To be called under [`Store::lock`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the pointer is as before then.
    pub fn point_to(&self, name: &str, generation: u64) -> Result<(), StoreError> {
        Generations::of(self, name).point_to(generation)
    }

    /// Lets the pointer name the newest generation again, when it names none and that generation is whole.
    ///
    /// Nothing else is mended: where a generation is damaged, what was there is worth a look. To be called under
    /// [`Store::lock`].
    ///
    /// # Errors
    ///
    /// As [`Store::load_identity`], and [`StoreError::Io`] when the disk refuses; all is as before then.
    pub fn mend_pointer(&self, name: &str) -> Result<(), StoreError> {
        match self.load_identity(name)? {
            Some(Stored { generation, unpointed: Some(_), .. }) => Generations::of(self, name).point_to(generation),
            _ => Ok(()),
        }
    }

    /// Loads the current generation of a certificate or, when it is damaged, the newest that can be read.
    ///
    /// `None` when none was ever saved, or the first was not finished.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoneReadable`] when all are damaged, [`StoreError::Io`] when the folder cannot be read. Neither is a
    /// reason not to serve.
    pub fn load_identity(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        let folder = Generations::of(self, name);
        let numbers = folder.numbers()?;
        let (current, unpointed) = match folder.current() {
            Ok(current) => (Some(current), None),
            Err(reason) => (None, Some(reason)),
        };
        let is_any_finished = || numbers.iter().any(|number| folder.is_finished(*number));
        if numbers.is_empty() || (current.is_none() && !is_any_finished()) {
            return Ok(None);
        }
        let mut damages = Vec::new();
        let others = numbers.into_iter().rev().filter(|number| Some(*number) != current);
        for generation in current.into_iter().chain(others) {
            match folder.read(generation) {
                Ok((identity, meta)) if damages.is_empty() => {
                    return Ok(Some(Stored { generation, identity, meta, fallback: None, unpointed }));
                }
                Ok((identity, meta)) => {
                    let fallback = Some(unpointed.into_iter().chain(damages).collect::<Vec<_>>().join("; "));
                    return Ok(Some(Stored { generation, identity, meta, fallback, unpointed: None }));
                }
                Err(reason) => damages.push(format!("generation {generation}: {reason}")),
            }
        }
        let reasons = unpointed.into_iter().chain(damages).collect::<Vec<_>>().join("; ");
        Err(StoreError::NoneReadable { name: name.to_owned(), reasons })
    }

    /// Saves the record of a certificate's lifecycle.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the record before is unharmed then.
    pub fn save_record<T: Serialize>(&self, name: &str, record: &T) -> Result<(), StoreError> {
        document::save(&self.record(name), record)
    }

    /// Loads the record of a certificate's lifecycle; `None` when there is none, or a damaged one, which is logged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the file is there but cannot be read.
    pub fn load_record<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        document::load_or_warn(&self.record(name))
    }

    fn record(&self, name: &str) -> PathBuf {
        self.layout.certificate(name).join("lifecycle.json")
    }
}

/// The folder of one certificate.
pub(super) struct Generations {
    folder: PathBuf,
}

impl Generations {
    pub(super) fn of(store: &Store, name: &str) -> Self {
        Self { folder: store.layout.certificate(name) }
    }

    fn pointer(&self) -> PathBuf {
        self.folder.join("current")
    }

    fn point_to(&self, number: u64) -> Result<(), StoreError> {
        atomic::write(&self.pointer(), format!("{number}\n").as_bytes())
    }

    pub(super) fn generation(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }

    /// All that are there, whole or not, in rising order.
    pub(super) fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let refused = || StoreError::io("list the folder", &self.folder);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(refused()(error)),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            numbers.extend(number_of(&entry.map_err(refused())?));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The generation that the pointer names, or why there is none.
    pub(super) fn current(&self) -> Result<u64, String> {
        let text = document::read(&self.pointer()).map_err(|error| error.with_causes())?;
        let text = text.ok_or_else(|| format!("`{}` is missing", self.pointer().display()))?;
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
        number.ok_or_else(|| format!("`{}` holds no number of a generation", self.pointer().display()))
    }

    fn meta(&self, number: u64) -> PathBuf {
        self.generation(number).join("meta.json")
    }

    /// Whether it was written to its end, whatever has become of it since; not so when a crash came between.
    fn is_finished(&self, number: u64) -> bool {
        self.meta(number).exists()
    }

    fn write(&self, number: u64, identity: &Identity, meta: &Meta) -> Result<(), StoreError> {
        atomic::create_dir(&self.folder)?;
        let unfinished = Unfinished(Some(self.generation(number)));
        let folder = self.generation(number);
        platform::create_private_dir(&folder).map_err(StoreError::io("create the folder", &folder))?;
        write_new(&folder.join("key.pem"), identity.key().to_pem().as_bytes())?;
        write_new(&folder.join("chain.pem"), identity.chain().to_pem().as_bytes())?;
        atomic::sync(&folder)?;
        // Last and whole, as it says that the others are: see `is_finished`.
        document::save(&self.meta(number), meta)?;
        atomic::sync(&self.folder)?;
        unfinished.finish();
        Ok(())
    }

    pub(super) fn read(&self, number: u64) -> Result<(Identity, Meta), String> {
        let folder = self.generation(number);
        let bytes = |file: &str| {
            let bytes = document::read(&folder.join(file)).map_err(|error| error.with_causes())?;
            bytes.ok_or_else(|| format!("`{file}` is missing"))
        };
        let chain =
            CertificateChain::from_pem(&bytes("chain.pem")?).map_err(|error| format!("`chain.pem`: {error}"))?;
        warn_if_open(&folder.join("key.pem"));
        let key = PrivateKey::from_pem(&bytes("key.pem")?).map_err(|error| format!("`key.pem`: {error}"))?;
        let identity = Identity::new(chain, key).map_err(|error: IdentityError| error.to_string())?;
        let meta = serde_json::from_slice(&bytes("meta.json")?).map_err(|error| format!("`meta.json`: {error}"))?;
        Ok((identity, meta))
    }

    /// Removes generations that nobody will want back, and older ones that were never finished. A failure is no reason to
    /// call the new certificate unsaved.
    fn prune(&self, current: u64, now: Timestamp) {
        let older: Vec<u64> =
            self.numbers().unwrap_or_default().into_iter().filter(|number| *number < current).collect();
        let (whole, unfinished): (Vec<u64>, Vec<u64>) = older.into_iter().partition(|number| self.is_finished(*number));
        let whole: Vec<_> = whole.into_iter().map(|number| (number, self.not_after(number))).collect();
        for number in surplus(&whole, now).into_iter().chain(unfinished) {
            let folder = self.generation(number);
            if let Err(error) = fs::remove_dir_all(&folder) {
                tracing::warn!(path = %folder.display(), %error, "could not remove an old generation");
            }
        }
    }

    /// When a generation ends; `None` when it does not say so.
    fn not_after(&self, number: u64) -> Option<Timestamp> {
        let chain = document::read(&self.generation(number).join("chain.pem")).ok()??;
        Some(CertificateChain::from_pem(&chain).ok()?.leaf().not_after)
    }
}

/// Which of the generations before a new one go: given in rising order, with the end of each that can be read.
///
/// The newest stay whatever they are. Of the others those go that ended [`KEPT_AFTER_END`] ago, and beyond [`MOST`] the
/// oldest, so that a certificate that is renewed at every start cannot fill the disk.
fn surplus(older: &[(u64, Option<Timestamp>)], now: Timestamp) -> Vec<u64> {
    let beyond = &older[..older.len().saturating_sub(KEPT - 1)];
    let too_many = older.len().saturating_sub(MOST - 1);
    let is_over = |not_after: Option<Timestamp>| not_after.is_some_and(|end| end + KEPT_AFTER_END <= now);
    let goes = |(at, (_, not_after)): &(usize, &(u64, Option<Timestamp>))| *at < too_many || is_over(*not_after);
    beyond.iter().enumerate().filter(goes).map(|(_, (number, _))| *number).collect()
}

/// A generation that is being written, removed when it is not finished.
struct Unfinished(Option<PathBuf>);

impl Unfinished {
    fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(folder) = self.0.take() {
            // What cannot be removed is passed over by the next reader and pruned by the next writer.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn number_of(entry: &fs::DirEntry) -> Option<u64> {
    let name = entry.file_name();
    let name = name.to_str()?;
    let number: u64 = name.parse().ok()?;
    // `007` and `+7` are none of ours.
    (number.to_string() == name && entry.file_type().ok()?.is_dir()).then_some(number)
}

/// We write it closed, so somebody has opened it: he must hear of it, but a served certificate is worth more.
fn warn_if_open(key: &Path) {
    if platform::is_mode_too_open(key).unwrap_or(false) {
        tracing::warn!(path = %key.display(), "others can read a private key; close it with `chmod 600`");
    }
}

/// In a folder that nobody reads yet, so that no rename is needed.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || {
        let mut file = platform::open_private_file(path)?;
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(StoreError::io("write", path))
}

/// Generations that are left whatever their age, the newest included.
const KEPT: usize = 3;
/// How long one is kept after its end: it may have to be shown what was served then.
const KEPT_AFTER_END: Duration = Duration::from_secs(30 * 86_400);
/// Generations that are left at most. Six-day certificates, renewed every third day, need twelve.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "*.m5.test";
    const NOW: Timestamp = Timestamp::from_unix(1_795_311_180);

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        (dir, store)
    }

    fn identity() -> Identity {
        Identity::self_signed(&["m5.test".to_owned()], NOW, NOW).unwrap()
    }

    fn meta() -> Meta {
        Meta {
            source: "internal".to_owned(),
            issued_at: NOW,
            identifiers: vec!["m5.test".to_owned()],
            product: "x".to_owned(),
            directory: None,
        }
    }

    fn fingerprint(identity: &Identity) -> String {
        identity.chain().leaf().fingerprint.to_string()
    }

    fn folder(store: &Store) -> PathBuf {
        store.layout.certificate(NAME)
    }

    /// A store with two generations, and their fingerprints.
    fn with_two() -> (tempfile::TempDir, Store, [String; 2]) {
        let (dir, store) = store();
        let identities = [identity(), identity()];
        for identity in &identities {
            store.save_identity(NAME, identity, &meta()).unwrap();
        }
        let fingerprints = [fingerprint(&identities[0]), fingerprint(&identities[1])];
        (dir, store, fingerprints)
    }

    #[test]
    fn given_nothing_saved_when_loaded_then_none() {
        let (_dir, store) = store();
        assert!(store.load_identity(NAME).unwrap().is_none());
    }

    #[test]
    fn given_an_identity_when_saved_then_another_process_loads_it() {
        let (dir, store) = store();
        let identity = identity();
        assert_eq!(store.save_identity(NAME, &identity, &meta()).unwrap(), 1);

        let stored = Store::open(dir.path()).unwrap().load_identity(NAME).unwrap().unwrap();
        assert_eq!((stored.generation, stored.fallback), (1, None));
        assert_eq!(stored.meta, meta());
        assert_eq!(stored.identity.chain().certificates(), identity.chain().certificates());
        assert_eq!(stored.identity.key().der(), identity.key().der());
    }

    #[test]
    fn given_five_that_have_ended_when_the_fifth_is_saved_then_those_stay_that_are_new_or_ended_lately() {
        for (days, left) in [(29, vec![1, 2, 3, 4, 5]), (30, vec![3, 4, 5])] {
            let (_dir, store) = store();
            let later = Meta { issued_at: NOW + Duration::from_secs(days * 86_400), ..meta() };
            let metas = [meta(), meta(), meta(), meta(), later];
            let saved = metas.map(|meta| store.save_identity(NAME, &identity(), &meta).unwrap());
            assert_eq!(saved, [1, 2, 3, 4, 5]);
            assert_eq!(Generations::of(&store, NAME).numbers().unwrap(), left, "{days} days");
            assert_eq!(store.load_identity(NAME).unwrap().unwrap().generation, 5);
        }
    }

    #[test]
    fn given_generations_before_a_new_one_when_sorted_out_then_the_long_ended_beyond_three_and_the_oldest_beyond_sixteen_go()
     {
        let (live, lately, over) = (Some(NOW + KEPT_AFTER_END), Some(NOW), Some(NOW - KEPT_AFTER_END));
        let rows: [(&str, Vec<_>, Vec<u64>); 7] = [
            ("none", vec![], vec![]),
            ("two over", vec![over, over], vec![]),
            ("three over", vec![over, over, over], vec![1]),
            ("three live", vec![live, live, live], vec![]),
            ("a live one among those over", vec![over, live, over, lately, over, over], vec![1, 3]),
            ("one that cannot be read", vec![None, over, over, over], vec![2]),
            ("seventeen live", vec![live; 17], vec![1, 2]),
        ];
        for (name, ends, expected) in rows {
            let older: Vec<_> = (1..).zip(ends).collect();
            assert_eq!(surplus(&older, NOW), expected, "{name}");
        }
    }

    #[test]
    fn given_one_damage_to_the_current_generation_when_loaded_then_the_one_before_and_the_reason() {
        type Damage = fn(&Path);
        let rows: [(&str, Damage, &str); 8] = [
            ("key cut", |dir| cut(&dir.join("2/key.pem")), "`key.pem`"),
            ("chain cut", |dir| cut(&dir.join("2/chain.pem")), "`chain.pem`"),
            ("meta cut", |dir| cut(&dir.join("2/meta.json")), "`meta.json`"),
            ("key empty", |dir| fs::write(dir.join("2/key.pem"), "").unwrap(), "`key.pem`"),
            ("chain gone", |dir| fs::remove_file(dir.join("2/chain.pem")).unwrap(), "`chain.pem` is missing"),
            (
                "foreign key",
                |dir| assert!(fs::copy(dir.join("1/key.pem"), dir.join("2/key.pem")).unwrap() > 0),
                "does not belong",
            ),
            ("generation gone", |dir| fs::remove_dir_all(dir.join("2")).unwrap(), "is missing"),
            ("pointer to nowhere", |dir| fs::write(dir.join("current"), "9").unwrap(), "generation 9"),
        ];
        for (name, damage, reason) in rows {
            let (_dir, store, fingerprints) = with_two();
            damage(&folder(&store));

            let stored = store.load_identity(NAME).unwrap().unwrap();

            // A damaged pointer leaves the newest generation whole.
            let expected = if name.starts_with("pointer") { 2 } else { 1 };
            assert_eq!(stored.generation, expected, "{name}");
            assert_eq!(fingerprint(&stored.identity), fingerprints[usize::try_from(expected).unwrap() - 1], "{name}");
            let fallback = stored.fallback.unwrap_or_default();
            assert!(fallback.contains(reason), "{name}: {fallback}");
        }
    }

    #[test]
    fn given_a_pointer_that_names_nothing_when_mended_then_the_newest_is_named_if_it_is_whole() {
        type Damage = fn(&Path);
        let rows: [(&str, Damage, &str); 2] = [
            ("empty", |dir| fs::write(dir.join("current"), "").unwrap(), "holds no number"),
            ("gone", |dir| fs::remove_file(dir.join("current")).unwrap(), "is missing"),
        ];
        for ((name, damage, reason), is_whole) in rows.into_iter().flat_map(|row| [(row, true), (row, false)]) {
            let (_dir, store, fingerprints) = with_two();
            damage(&folder(&store));
            if !is_whole {
                cut(&folder(&store).join("2/chain.pem"));
            }

            let before = store.load_identity(NAME).unwrap().unwrap();
            store.mend_pointer(NAME).unwrap();
            let after = store.load_identity(NAME).unwrap().unwrap();

            let expected = &fingerprints[usize::from(is_whole)];
            assert_eq!((&fingerprint(&before.identity), &fingerprint(&after.identity)), (expected, expected), "{name}");
            let told = [before.unpointed, before.fallback].map(|told| told.is_some_and(|told| told.contains(reason)));
            assert_eq!(told, [is_whole, !is_whole], "{name}");
            assert_eq!((after.unpointed, after.fallback.is_none()), (None, is_whole), "{name}");
        }
    }

    #[test]
    fn given_a_pointer_to_an_older_generation_when_loaded_then_that_one_without_complaint() {
        let (_dir, store, fingerprints) = with_two();
        fs::write(folder(&store).join("current"), "1\n").unwrap();
        let stored = store.load_identity(NAME).unwrap().unwrap();
        assert_eq!((fingerprint(&stored.identity), stored.fallback), (fingerprints[0].clone(), None));
    }

    #[test]
    fn given_all_damaged_when_loaded_then_an_error_with_every_reason() {
        let (_dir, store, _) = with_two();
        cut(&folder(&store).join("1/key.pem"));
        cut(&folder(&store).join("2/chain.pem"));
        let error = store.load_identity(NAME).unwrap_err().to_string();
        assert!(
            error.contains(NAME) && error.contains("generation 1: `key") && error.contains("generation 2: `ch"),
            "{error}"
        );
    }

    #[test]
    fn given_all_damaged_when_saved_then_the_new_one_is_given() {
        let (_dir, store, _) = with_two();
        cut(&folder(&store).join("1/key.pem"));
        cut(&folder(&store).join("2/key.pem"));
        assert_eq!(store.save_identity(NAME, &identity(), &meta()).unwrap(), 3);
        assert_eq!(store.load_identity(NAME).unwrap().unwrap().fallback, None);
    }

    #[test]
    fn given_a_crash_before_the_pointer_moved_when_saved_again_then_the_unfinished_one_is_gone() {
        let (_dir, store, fingerprints) = with_two();
        fs::create_dir(folder(&store).join("3")).unwrap();
        fs::write(folder(&store).join("3/key.pem"), "-----BEG").unwrap();

        let stored = store.load_identity(NAME).unwrap().unwrap();
        assert_eq!((fingerprint(&stored.identity), stored.fallback), (fingerprints[1].clone(), None));

        assert_eq!(store.save_identity(NAME, &identity(), &meta()).unwrap(), 4);
        assert_eq!(Generations::of(&store, NAME).numbers().unwrap(), [1, 2, 4]);
    }

    #[test]
    fn given_a_crash_within_the_first_generation_when_loaded_then_none_was_saved_and_the_next_is_given() {
        let (_dir, store) = store();
        let first = folder(&store).join("1");
        fs::create_dir_all(&first).unwrap();
        for file in ["key.pem", "chain.pem", ".new-x"] {
            fs::write(first.join(file), "").unwrap();
            assert!(store.load_identity(NAME).unwrap().is_none(), "{file}");
        }

        assert_eq!(store.save_identity(NAME, &identity(), &meta()).unwrap(), 2);
        assert_eq!(Generations::of(&store, NAME).numbers().unwrap(), [2]);
        assert_eq!(store.load_identity(NAME).unwrap().unwrap().fallback, None);
    }

    #[test]
    fn given_a_folder_that_cannot_be_written_when_saved_then_the_old_one_is_still_given() {
        let (_dir, store, fingerprints) = with_two();
        // A file where the next generation's folder must go: works for every user, root included.
        fs::write(folder(&store).join("3"), "").unwrap();
        let error = store.save_identity(NAME, &identity(), &meta()).unwrap_err().to_string();
        assert!(error.starts_with("cannot create the folder `") && error.contains("/3`; "), "{error}");
        let stored = store.load_identity(NAME).unwrap().unwrap();
        assert_eq!((fingerprint(&stored.identity), stored.fallback), (fingerprints[1].clone(), None));
    }

    #[test]
    #[cfg(unix)]
    fn given_a_saved_identity_when_looked_at_then_folders_0700_and_files_0600() {
        use std::os::unix::fs::PermissionsExt;

        let (dir, store, _) = with_two();
        store.save_record(NAME, &1).unwrap();
        let mut paths = vec![dir.path().join("certs"), dir.path().join("version")];
        let mut seen = 0;
        while let Some(path) = paths.pop() {
            let metadata = fs::metadata(&path).unwrap();
            let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(metadata.permissions().mode() & 0o777, expected, "{}", path.display());
            seen += 1;
            if metadata.is_dir() {
                paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        assert_eq!(seen, 13);
    }

    #[test]
    fn given_meta_from_a_later_portvakt_when_loaded_then_its_new_fields_are_passed_over() {
        let (_dir, store, _) = with_two();
        let path = folder(&store).join("2/meta.json");
        let later = fs::read_to_string(&path).unwrap().replacen('{', "{\"later\": [1],", 1);
        fs::write(&path, later).unwrap();
        assert_eq!(store.load_identity(NAME).unwrap().unwrap().fallback, None);
    }

    #[test]
    fn given_a_record_when_saved_then_loads_and_when_damaged_then_none() {
        let (_dir, store) = store();
        assert_eq!(store.load_record::<Meta>(NAME).unwrap(), None);
        store.save_record(NAME, &meta()).unwrap();
        assert_eq!(store.load_record(NAME).unwrap(), Some(meta()));
        cut(&folder(&store).join("lifecycle.json"));
        assert_eq!(store.load_record::<Meta>(NAME).unwrap(), None);
    }

    #[test]
    fn given_any_bytes_in_the_pointer_when_loaded_then_an_identity_is_given() {
        let (_dir, store) = store();
        store.save_identity(NAME, &identity(), &meta()).unwrap();
        // One store for all cases: saving waits for the disk.
        proptest!(|(bytes: Vec<u8>)| {
            fs::write(folder(&store).join("current"), bytes).unwrap();
            prop_assert_eq!(store.load_identity(NAME).unwrap().unwrap().generation, 1);
        });
    }

    fn cut(path: &Path) {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }
}
