//! Locks between processes that share a state directory.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Store, StoreError, atomic};
use crate::platform;

/// A lock that is held until this drops, or the process ends in whatever way.
#[derive(Debug)]
#[must_use = "the lock is released when this drops"]
pub struct LockGuard {
    /// The operating system releases the lock when it is closed. The file stays: removing it would let two processes hold
    /// locks on two files of one name.
    file: File,
    /// Dropped after it was unlocked: what is not shown as held is free.
    _shown: Option<Shown>,
}

impl Drop for LockGuard {
    /// A child that was started a moment ago may hold the file still, until it runs its own program.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Store {
    /// Takes the right to order the certificate of this name; `None` while another process has it, or another caller here.
    ///
    /// It guards ordering and saving, never serving or loading.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the lock file cannot be made, or the file system knows no locks.
    pub fn lock(&self, name: &str) -> Result<Option<LockGuard>, StoreError> {
        let path = self.layout.lock(name);
        let file = open(&path)?;
        match file.try_lock() {
            Ok(()) => {
                // For people alone; a full disk does not keep anybody from ordering.
                let _ = sign(&file);
                self.locks.had(name);
                Ok(Some(LockGuard { file, _shown: Some(Shown::new(&self.locks, name)) }))
            }
            Err(TryLockError::WouldBlock) => {
                self.locks.refused(name);
                Ok(None)
            }
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error)),
        }
    }

    /// Whether the lock of this name is held by this store, or a clone of it.
    pub fn holds_lock(&self, name: &str) -> bool {
        lock(&self.locks.held).contains_key(name)
    }

    /// The locks that this store holds, or a clone of it, by name.
    pub fn held_locks(&self) -> Vec<String> {
        lock(&self.locks.held).keys().cloned().collect()
    }

    /// Tells `waited` of each lock that is had from now on how long it was waited for; zero where it was free. Only who
    /// calls first is told.
    ///
    /// Who is refused and asks again and again has waited since the first refusal; who gives up is not told of.
    pub fn tell_lock_waits(&self, waited: impl Fn(Duration) + Send + Sync + 'static) {
        // Nobody else tells.
        let _ = self.locks.waited.set(Box::new(waited));
    }

    /// Who has taken the right to order the certificate of this name last, for people; `None` where nobody can tell, as on
    /// Windows while he has it.
    pub fn lock_holder(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.layout.lock(name)).ok()?;
        let line = text.lines().next()?.trim();
        (!line.is_empty()).then(|| line.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect())
    }

    /// Takes the right to make the internal CA. Waits for a process that is making it, which takes milliseconds.
    ///
    /// # Errors
    ///
    /// As [`Store::lock`].
    pub fn lock_internal_ca(&self) -> Result<LockGuard, StoreError> {
        self.wait(&self.layout.ca().join("lock"))
    }

    /// Takes the lock of a file, made when needed. Waits for whoever has it.
    pub(super) fn wait(&self, path: &Path) -> Result<LockGuard, StoreError> {
        let file = open(path)?;
        let since = Instant::now();
        file.lock().map_err(StoreError::io("lock", path))?;
        self.locks.tell(since.elapsed());
        Ok(LockGuard { file, _shown: None })
    }
}

/// What is to be shown of the locks of one state directory.
#[derive(Default)]
pub(super) struct Locks {
    /// How many guards there are, by name: one, but for a moment between a release and the next.
    held: Mutex<BTreeMap<String, usize>>,
    /// When a lock was refused first and last, by name.
    refused: Mutex<BTreeMap<String, (Instant, Instant)>>,
    waited: OnceLock<Box<dyn Fn(Duration) + Send + Sync>>,
}

impl Locks {
    fn refused(&self, name: &str) {
        let (now, mut refused) = (Instant::now(), lock(&self.refused));
        // Whoever has given up does not wait any more.
        refused.retain(|_, (_, last)| now.duration_since(*last) < GIVEN_UP);
        refused.entry(name.to_owned()).or_insert((now, now)).1 = now;
    }

    fn had(&self, name: &str) {
        let (now, refused) = (Instant::now(), lock(&self.refused).remove(name));
        let waiting = refused.filter(|(_, last)| now.duration_since(*last) < GIVEN_UP);
        self.tell(waiting.map_or(Duration::ZERO, |(first, _)| now.duration_since(first)));
    }

    fn tell(&self, waited: Duration) {
        if let Some(tell) = self.waited.get() {
            tell(waited);
        }
    }
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locks").field("held", &self.held).finish_non_exhaustive()
    }
}

/// Shows a lock as held until it drops.
#[derive(Debug)]
struct Shown {
    locks: Arc<Locks>,
    name: String,
}

impl Shown {
    fn new(locks: &Arc<Locks>, name: &str) -> Self {
        *lock(&locks.held).entry(name.to_owned()).or_default() += 1;
        Self { locks: locks.clone(), name: name.to_owned() }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let mut held = lock(&self.locks.held);
        if let Some(guards) = held.get_mut(&self.name) {
            *guards -= 1;
            if *guards == 0 {
                held.remove(&self.name);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes down whose it is.
fn sign(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "process {} on {}", std::process::id(), platform::host_name())
}

fn open(path: &Path) -> Result<File, StoreError> {
    if let Some(dir) = path.parent() {
        atomic::create_dir(dir)?;
    }
    platform::open_private_file(path).map_err(StoreError::io("open", path))
}

/// Of what a lock file says, which others may have written.
const LONGEST_NAME: usize = 128;
/// Whoever waits for a lock asks every five seconds at most.
const GIVEN_UP: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_two_stores_on_one_folder_when_locked_then_one_holds_it_until_it_drops() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = [(); 2].map(|()| Store::open(dir.path()).unwrap());

        let guard = first.lock("m5").unwrap();
        assert!(guard.is_some());
        assert!(second.lock("m5").unwrap().is_none());
        assert!(first.lock("m5").unwrap().is_none());
        assert!(second.lock("other").unwrap().is_some());
        if cfg!(target_os = "linux") {
            let holder = second.lock_holder("m5").unwrap();
            assert!(holder.starts_with(&format!("process {} on ", std::process::id())), "{holder}");
        }
        assert_eq!(second.lock_holder("nobody's"), None);

        drop(guard);
        assert!(second.lock("m5").unwrap().is_some());
    }

    #[test]
    fn given_the_ca_being_made_when_another_asks_then_it_has_to_wait() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let other = || open(&dir.path().join("ca/lock")).unwrap();

        let guard = store.lock_internal_ca().unwrap();
        assert!(matches!(other().try_lock(), Err(TryLockError::WouldBlock)));
        drop(guard);
        other().try_lock().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn given_a_lock_when_held_and_waited_for_then_both_are_told_and_not_of_who_gives_up() {
        let dir = tempfile::tempdir().unwrap();
        let [holder, waiter] = [(); 2].map(|()| Store::open(dir.path()).unwrap());
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        waiter.clone().tell_lock_waits(move |waited| tell.lock().unwrap().push(waited.as_secs()));
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));

        let guard = holder.lock("m5").unwrap();
        assert!(holder.clone().holds_lock("m5") && !waiter.holds_lock("m5"));
        for _ in 0..3 {
            assert!(waiter.lock("m5").unwrap().is_none());
            pass(5).await;
        }
        drop(guard);
        assert!(!holder.holds_lock("m5"));
        let waited_for = waiter.lock("m5").unwrap();
        assert_eq!(waiter.held_locks(), ["m5"]);
        drop(waited_for);

        let guard = holder.lock("m5").unwrap();
        assert!(waiter.lock("m5").unwrap().is_none());
        drop(guard);
        pass(3600).await;
        drop(waiter.lock("m5").unwrap());
        drop(waiter.lock_internal_ca().unwrap());

        assert_eq!(*told.lock().unwrap(), [15, 0, 0]);
        assert!(waiter.held_locks().is_empty());
    }
}
