//! Which files a process may open from now on, for good.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading, and running it as a program.
    Run,
    /// Reading, writing, making and removing.
    Write,
}

/// Files and folders, each with all below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// To be read.
    pub read: Vec<PathBuf>,
    /// To be read and run.
    pub run: Vec<PathBuf>,
    /// To be read, written, made and removed.
    pub write: Vec<PathBuf>,
}

impl Places {
    /// Lets more be opened.
    pub fn add(&mut self, access: Access, path: PathBuf) {
        let paths = match access {
            Access::Read => &mut self.read,
            Access::Run => &mut self.run,
            Access::Write => &mut self.write,
        };
        paths.push(path);
    }

    /// Whether `path` may be opened, wherever links lead from it. It need not be there.
    pub fn allow(&self, access: Access, path: &Path) -> bool {
        let path = real(path);
        let holds = |folders: &[PathBuf]| folders.iter().any(|folder| path.starts_with(folder));
        match access {
            Access::Read => holds(&self.read) || holds(&self.run) || holds(&self.write),
            Access::Run => holds(&self.run),
            Access::Write => holds(&self.write),
        }
    }

    /// What of it is there, under its real name, each once.
    fn settled(&self) -> Self {
        let settled = |paths: &[PathBuf]| {
            let mut paths: Vec<_> = paths.iter().filter_map(|path| path.canonicalize().ok()).collect();
            paths.sort();
            paths.dedup();
            paths
        };
        Self { read: settled(&self.read), run: settled(&self.run), write: settled(&self.write) }
    }
}

/// The name of a file without links; of one that is not there, that of its folder with its own.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => real(folder).join(name),
        _ => path.to_owned(),
    })
}

/// What the kernel sees to from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// All that can be opened: of what was asked for, what was there.
    pub places: Places,
    /// The kernel's version of Landlock; `None` where the processes before this one, each of which confined the next, have
    /// left it nothing to add.
    pub version: Option<u32>,
    /// What this kernel is too old to see to; empty is nothing.
    pub missing: String,
}

/// Lets this process, and every program that it starts, open nothing but `places` from now on, and signal no process but its
/// own; what is open stays open. There is no way back. A place that is not there is left out: it cannot be made either, unless
/// its folder is among those to be written to.
///
/// By Landlock; neither TCP nor the connecting to sockets is concerned. To be called before the first other thread starts: the
/// kernel confines the thread that asks.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] where the kernel has no Landlock, or it is switched off; else the system's own.
pub fn confine(places: &Places) -> io::Result<Confinement> {
    if fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1) {
        return Err(io::Error::other("other threads run already, which would not be confined"));
    }
    let confinement = confine_thread(places)?;
    IS_CONFINED.store(true, Ordering::Relaxed);
    Ok(confinement)
}

fn confine_thread(places: &Places) -> io::Result<Confinement> {
    let places = places.settled();
    let version = system::confine(&places)?;
    Ok(Confinement { places, version, missing: missing(version) })
}

/// What mends it when [`confine`] fails.
pub const CONFINE_FIX: &str = "set `landlock = false`, or run it on Linux 5.19 or newer with `landlock` in \
                               /sys/kernel/security/lsm, where no filter of system calls forbids it";

/// Whether [`confine`] could be called.
///
/// # Errors
///
/// As [`confine`].
pub fn can_confine() -> io::Result<()> {
    system::can_confine()
}

/// Whether this process has confined itself.
pub(super) fn is_confined() -> bool {
    IS_CONFINED.load(Ordering::Relaxed)
}

static IS_CONFINED: AtomicBool = AtomicBool::new(false);

/// What a version of Landlock does not see to, of what is asked for.
fn missing(version: Option<u32>) -> String {
    let since = [(3, "cutting files short"), (5, "commands to devices"), (6, "signals to other processes")];
    let missing: Vec<_> = since
        .iter()
        .filter(|(since, _)| version.is_some_and(|version| version < *since))
        .map(|(_, what)| *what)
        .collect();
    missing.join(", ")
}

#[cfg(target_os = "linux")]
mod system {
    use std::error::Error;
    use std::io;

    use landlock::{
        ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, LandlockStatus, RestrictionStatus, Ruleset,
        RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
    };

    use super::Places;

    /// Gives the version of Landlock.
    pub(super) fn confine(places: &Places) -> io::Result<Option<u32>> {
        match try_confine(places) {
            Ok(status) if status.ruleset == RulesetStatus::NotEnforced => Err(reason(status.landlock)),
            Ok(status) => Ok(version(status.landlock)),
            // Each upgrade confines once more what was confined before; the kernel keeps sixteen of them.
            Err(error) if number(&error) == Some(E2BIG) => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn try_confine(places: &Places) -> Result<RestrictionStatus, RulesetError> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let all = AccessFs::from_all(NEWEST);
        let rules = |paths, access: BitFlags<AccessFs>| path_beneath_rules(paths, access);
        let ruleset = Ruleset::default().handle_access(all)?.scope(Scope::Signal)?.create()?;
        let ruleset = ruleset.add_rules(rules(&places.read, read))?;
        let ruleset = ruleset.add_rules(rules(&places.run, read | AccessFs::Execute))?;
        // What is written is not run.
        let ruleset = ruleset.add_rules(rules(&places.write, all & !AccessFs::Execute))?;
        ruleset.restrict_self()
    }

    /// Makes a set of rules that nothing is done with.
    pub(super) fn can_confine() -> io::Result<()> {
        let made =
            || Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(OLDEST)?.create();
        match made() {
            Ok(_) => Ok(()),
            Err(error) => Err(match number(&error).map(io::Error::from_raw_os_error) {
                Some(refused) => io::Error::new(refused.kind(), format!("the system refuses Landlock: {refused}")),
                None => io::Error::new(io::ErrorKind::Unsupported, NONE),
            }),
        }
    }

    fn reason(status: LandlockStatus) -> io::Error {
        io::Error::new(
            io::ErrorKind::Unsupported,
            match status {
                LandlockStatus::NotEnabled => "Landlock is switched off in this kernel",
                LandlockStatus::NotImplemented | LandlockStatus::Available { .. } => NONE,
            },
        )
    }

    fn version(status: LandlockStatus) -> Option<u32> {
        match status {
            LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => None,
            LandlockStatus::Available { effective_abi, kernel_abi } => {
                Some(kernel_abi.and_then(|version| version.try_into().ok()).unwrap_or(effective_abi as u32))
            }
        }
    }

    /// The system's own number, at the end of the row of causes.
    fn number(error: &RulesetError) -> Option<i32> {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return error.raw_os_error();
            }
            next = error.source();
        }
        None
    }

    /// Of files: opening, making, moving, cutting short, and the commands of devices (Linux 6.10). An older kernel does what it
    /// knows.
    const NEWEST: ABI = ABI::V5;
    /// Linux 5.19: a kernel before it refuses every rename from one folder to another.
    const OLDEST: AccessFs = AccessFs::Refer;
    /// "Argument list too long": of layers.
    const E2BIG: i32 = 7;
    const NONE: &str =
        "the kernel has no Landlock, or one from before Linux 5.19, or a filter of system calls forbids it";
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    use super::Places;

    pub(super) fn confine(_: &Places) -> io::Result<Option<u32>> {
        Err(unsupported())
    }

    pub(super) fn can_confine() -> io::Result<()> {
        Err(unsupported())
    }

    fn unsupported() -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, "Landlock belongs to Linux, and this is another system")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_places_when_asked_then_what_lies_below_them_is_allowed_and_no_more() {
        let places =
            Places { read: vec!["/no/etc".into()], run: vec!["/no/bin".into()], write: vec!["/no/state".into()] };
        for (access, path, expected) in [
            (Access::Read, "/no/etc", true),
            (Access::Read, "/no/etc/conf.d/a.toml", true),
            (Access::Read, "/no/etcetera", false),
            (Access::Read, "/no", false),
            (Access::Read, "/no/bin/hook", true),
            (Access::Read, "/no/state/a", true),
            (Access::Run, "/no/bin/hook", true),
            (Access::Run, "/no/etc/hook", false),
            (Access::Run, "/no/state/hook", false),
            (Access::Write, "/no/state/certs/a", true),
            (Access::Write, "/no/etc/a", false),
            (Access::Write, "/no/bin/a", false),
        ] {
            assert_eq!(places.allow(access, Path::new(path)), expected, "{access:?} {path}");
        }
    }

    #[test]
    fn given_a_version_when_asked_what_it_lacks_then_what_came_after_it() {
        let three = "cutting files short, commands to devices, signals to other processes";
        for (version, expected) in
            [(Some(2), three), (Some(5), "signals to other processes"), (Some(6), ""), (Some(99), ""), (None, "")]
        {
            assert_eq!(missing(version), expected, "{version:?}");
        }
    }
}

/// Each in a thread of its own, which is confined alone and ends.
#[cfg(all(test, target_os = "linux"))]
mod on_this_kernel {
    use std::io::ErrorKind;
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::thread;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn given_a_confined_thread_when_it_opens_files_then_those_within_and_no_others() {
        let (own, writable, foreign) = (folder(), folder(), folder());
        fs::write(own.path().join("a"), "a").unwrap();
        fs::write(foreign.path().join("a"), "a").unwrap();
        symlink(foreign.path().join("a"), own.path().join("link")).unwrap();
        let places = Places {
            read: vec![own.path().to_owned(), "/nowhere/at/all".into()],
            run: ["/usr", "/bin", "/lib", "/lib64"].map(PathBuf::from).to_vec(),
            write: vec![writable.path().to_owned(), "/dev/null".into()],
        };

        let seen = confined(places, move |confinement| {
            let refused =
                |result: io::Result<()>| result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
            let writable = writable.path();
            assert!(confinement.version > Some(1) && !confinement.places.read.contains(&"/nowhere/at/all".into()));
            fs::read(own.path().join("a")).unwrap();
            fs::write(writable.join("new"), "x").unwrap();
            fs::rename(writable.join("new"), writable.join("b")).unwrap();
            assert!(refused(fs::read(own.path().join("link")).map(drop)), "a link leads outside");
            assert!(refused(fs::read(foreign.path().join("a")).map(drop)));
            assert!(refused(fs::read_dir(foreign.path()).map(drop)));
            assert!(refused(fs::write(own.path().join("b"), "")), "what is read is not written");
            assert!(refused(fs::write(foreign.path().join("b"), "")));
            assert!(refused(fs::remove_file(foreign.path().join("a"))));
            let script = format!("cat {0} && ! cat {1} && ! echo > {1}", shown(own.path()), shown(foreign.path()));
            let child = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            fs::copy("/bin/sh", writable.join("sh")).unwrap();
            assert!(refused(Command::new(writable.join("sh")).status().map(drop)), "what is written is not run");
            child
        });

        assert!(seen.status.success(), "what it starts is confined too: {}", String::from_utf8_lossy(&seen.stderr));
    }

    #[test]
    fn given_a_confined_thread_when_it_signals_another_process_then_only_those_it_has_started() {
        let mut outside = Command::new("sleep").arg("60").spawn().unwrap();
        let id = outside.id();
        let usr = Places { run: ["/usr", "/bin", "/lib", "/lib64"].map(PathBuf::from).to_vec(), ..writing(&folder()) };
        let (own, foreign, version) = confined(usr, move |confinement| {
            let kill = |id: u32| {
                let id = rustix::process::Pid::from_raw(id.try_into().unwrap()).unwrap();
                rustix::process::kill_process(id, rustix::process::Signal::KILL)
            };
            let mut inside = Command::new("sleep").arg("60").stdin(std::process::Stdio::piped()).spawn().unwrap();
            let killed = kill(inside.id());
            inside.wait().unwrap();
            (killed, kill(id), confinement.version)
        });
        outside.kill().unwrap();
        outside.wait().unwrap();
        assert_eq!(own, Ok(()));
        assert_eq!(foreign.is_err(), version >= Some(6), "Linux 6.12 and newer; this is version {version:?}");
    }

    #[test]
    fn given_more_layers_than_the_kernel_keeps_when_confined_then_what_is_there_holds() {
        let own = folder();
        let places = writing(&own);
        let last = confined(places.clone(), move |first| (0..20).fold(first, |_, _| confine_thread(&places).unwrap()));
        assert_eq!((last.version, &*last.missing), (None, ""));
    }

    #[test]
    fn given_other_threads_when_the_process_is_to_be_confined_then_it_is_refused() {
        let (ready, waiting) = std::sync::mpsc::channel::<()>();
        let other = thread::spawn(move || waiting.recv());
        assert!(confine(&Places::default()).unwrap_err().to_string().contains("other threads"));
        drop(ready);
        assert!(other.join().unwrap().is_err());
        assert!(!is_confined());
    }

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn writing(folder: &TempDir) -> Places {
        Places { write: vec![folder.path().to_owned(), "/dev/null".into()], ..Places::default() }
    }

    fn shown(folder: &Path) -> String {
        folder.join("a").display().to_string()
    }

    /// What `work` gives in a thread that is confined.
    ///
    /// # Panics
    /// When `work` does, and where the kernel has no Landlock: nothing could be shown then.
    fn confined<T: Send + 'static>(places: Places, work: impl FnOnce(Confinement) -> T + Send + 'static) -> T {
        can_confine().expect("this kernel has Landlock: without it the tests of `landlock` show nothing");
        let done = thread::spawn(move || work(confine_thread(&places).unwrap())).join();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
