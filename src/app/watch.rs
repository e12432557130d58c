//! Notices that a file changed.
//!
//! # Why
//!
//! The files are read and compared every two seconds instead of asking the system for events: that also sees a Kubernetes
//! volume swap its links, a network drive, and an editor that replaces the file, and it needs no descriptor per folder.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The content of a set of files, as it was when last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot(Vec<(PathBuf, Option<u64>)>);

impl Snapshot {
    /// Reads every file, and of a folder the names in it; what cannot be read counts as absent.
    pub(super) fn take(paths: &[PathBuf]) -> Self {
        Self(paths.iter().map(|path| (path.clone(), digest_of(path).ok())).collect())
    }

    /// The same files, those that `earlier` has too as they were then.
    fn as_of(&self, earlier: &Self) -> Self {
        let was = |path: &Path| earlier.0.iter().find(|(known, _)| known == path).map(|(_, digest)| *digest);
        Self(self.0.iter().map(|(path, digest)| (path.clone(), was(path).unwrap_or(*digest))).collect())
    }
}

/// Decides when a change is to be acted on: it must have stood still for one interval, since editors and volumes write in
/// several steps.
#[derive(Debug)]
pub(super) struct Watch {
    acted_on: Snapshot,
    seen: Snapshot,
}

impl Watch {
    pub(super) fn new(start: Snapshot) -> Self {
        Self { acted_on: start.clone(), seen: start }
    }

    /// Goes on with the files of another configuration, looked at `now`. What has changed since the change that was acted
    /// on is a change still to be acted on: it may have come after the files were read.
    pub(super) fn go_on(&mut self, now: Snapshot) {
        self.acted_on = now.as_of(&self.acted_on);
        self.seen = now;
    }

    /// Takes the next look; `true` when a change has settled.
    pub(super) fn look(&mut self, now: Snapshot) -> bool {
        let has_settled = now == self.seen && now != self.acted_on;
        self.seen = now;
        if has_settled {
            self.acted_on = self.seen.clone();
        }
        has_settled
    }
}

fn digest_of(path: &Path) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    if path.is_dir() {
        let mut names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        names.hash(&mut hasher);
    } else {
        fs::read(path)?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// How often the files are looked at, and how long a change has to stand still.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_change_while_another_is_acted_on_when_going_on_then_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        let look = |files: &[PathBuf]| Snapshot::take(files);
        std::fs::write(&one, "1").unwrap();
        std::fs::write(&two, "1").unwrap();
        let mut watch = Watch::new(look(std::slice::from_ref(&one)));
        std::fs::write(&one, "2").unwrap();
        watch.look(look(std::slice::from_ref(&one)));
        assert!(watch.look(look(std::slice::from_ref(&one))));

        std::fs::write(&one, "3").unwrap();
        let both = [one, two];
        watch.go_on(look(&both));

        assert!(watch.look(look(&both)), "changed after it was read");
        assert!(!watch.look(look(&both)), "the file that is new is no change");
    }

    #[test]
    fn given_a_folder_when_a_file_is_added_then_that_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().join("conf.d")];
        let absent = Snapshot::take(&paths);
        std::fs::create_dir(&paths[0]).unwrap();
        let empty = Snapshot::take(&paths);
        std::fs::write(paths[0].join("a.toml"), "").unwrap();

        assert_ne!(absent, empty);
        assert_ne!(empty, Snapshot::take(&paths));
    }

    #[test]
    fn given_a_change_when_it_stands_still_then_it_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        let look = || Snapshot::take(std::slice::from_ref(&file));
        std::fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(look());
        assert!(!watch.look(look()));

        std::fs::write(&file, "2").unwrap();
        assert!(!watch.look(look()), "first seen");
        std::fs::write(&file, "3").unwrap();
        assert!(!watch.look(look()), "still changing");
        assert!(watch.look(look()), "settled");
        assert!(!watch.look(look()), "told already");

        std::fs::remove_file(&file).unwrap();
        assert!(!watch.look(look()));
        assert!(watch.look(look()), "a file that is gone is a change");
    }
}
