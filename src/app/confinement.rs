//! `landlock`: the process lets itself open nothing but what the configuration needs.
//!
//! # Why
//!
//! What every process needs is wider than one would like, since a right to a file does not cover the one that is renamed over
//! it: name resolution reads `/etc/hosts` and `/etc/resolv.conf` anew, and a process that could not after a change of the
//! network would be down at night. Below `/proc`, a right to the numbers of this process would not cover its successor's.
//! The modes of files hold as before, and the kernel keeps a confined process out of the memory of all others.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::rights::RightsError;
use super::{AppError, Inherited};
use crate::config::{Config, Need, needs, sockets};
use crate::platform::{self, Confinement, Places};

/// Confines this process, when the configuration says so. Before the runtime is started: rights are those of a thread.
///
/// # Errors
///
/// [`AppError::Rights`] when the kernel cannot: nobody is to believe in a protection that is not there.
pub fn confine(config: &Config, inherited: &mut Inherited) -> Result<(), AppError> {
    if !config.landlock {
        return Ok(());
    }
    make_folders(config)?;
    let own = own(config);
    let mut places = with_system(own.clone());
    if let Some(program) = &inherited.program {
        // An upgrade runs what lies there by then.
        places.run.extend(Need::program(program.file()).folders());
    }
    let confinement = platform::confine(&places).map_err(RightsError::Confine)?;
    tell(&own, &confinement);
    inherited.confined = Some(confinement);
    Ok(())
}

/// What `landlock` leaves to a process with this configuration, for people; `None` is everything.
pub fn in_words(config: &Config) -> Option<String> {
    let places = config.landlock.then(|| own(config))?;
    let mut text =
        String::from("landlock: beside what every process needs, portvakt and the programs that it starts can\n");
    for (what, paths) in [("read", &places.read), ("run", &places.run), ("write", &places.write)] {
        if !paths.is_empty() {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "  {what:<6} {}", listed(paths));
        }
    }
    Some(text)
}

/// What is not there yet could not be allowed, and not be made later.
fn make_folders(config: &Config) -> Result<(), RightsError> {
    let path = &config.state_dir;
    platform::create_private_dir(path).map_err(|source| RightsError::StateDir { path: path.clone(), source })?;
    for folder in sockets(config).filter_map(Path::parent) {
        // Told when the socket is opened.
        let _ = platform::create_private_dir(folder);
    }
    Ok(())
}

/// What a configuration needs, beside what every process does.
fn own(config: &Config) -> Places {
    let mut places = Places::default();
    for need in needs(config) {
        need.folders().into_iter().for_each(|folder| places.add(need.access, folder));
    }
    for paths in [&mut places.read, &mut places.run, &mut places.write] {
        paths.sort();
        paths.dedup();
    }
    places
}

/// With what libraries, name resolution, numbers of the process, programs and collected bodies need.
fn with_system(mut places: Places) -> Places {
    let resolution = RESOLUTION.iter().filter_map(|file| Path::new(file).canonicalize().ok());
    // Where links lead that networks keep: `/run/systemd/resolve` and its like.
    let resolution = resolution.filter_map(|file| file.parent().map(Path::to_owned));
    places.read.extend(READ.iter().map(PathBuf::from).chain(resolution.filter(|folder| folder.parent().is_some())));
    places.run.extend(RUN.iter().map(PathBuf::from));
    places.write.extend([PathBuf::from("/dev/null"), std::env::temp_dir()]);
    places
}

fn tell(own: &Places, confinement: &Confinement) {
    let version = confinement.version.map(tracing::field::display);
    let (read, run, write) = (listed(&own.read), listed(&own.run), listed(&own.write));
    match confinement.missing.as_str() {
        "" => info!(version, read, run, write, "confined: beside what every process needs, these can be opened alone"),
        missing => warn!(
            version,
            read, run, write, missing, "confined, as far as this kernel can; Linux 6.12 sees to what is missing"
        ),
    }
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Settings of the C library; numbers for `process_*`; how many processors the group may use.
const READ: &[&str] = &["/etc", "/proc", "/sys/devices/system", "/sys/fs/cgroup", "/dev/urandom", "/dev/random"];
/// What names are resolved by.
const RESOLUTION: &[&str] = &["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"];
/// Programs and what they load, of the usual systems and of those that keep them elsewhere.
const RUN: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Purpose, from_text};

    #[test]
    fn given_a_configuration_when_told_then_what_it_names_and_nothing_when_it_is_not_confined() {
        let text = "state_dir = \"/no/state\"\ncontrol = \"/no/run/a.sock\"\nacme = { agree_tos = true, dns = { provider = \"exec\", \
                    command = [\"/no/hooks/dns\"] } }\n[log.access]\npath = \"/no/log/a.log\"\n[metrics]\n\
                    textfile = \"/no/prom/a.prom\"\n[[site]]\ndomain = \"app.example.com\"\n\
                    upstream = \"http://127.0.0.1:8080\"\n[[site]]\ndomain = \"b.example.com\"\n\
                    upstream = \"http://127.0.0.1:8080\"\ncertificate = { chain = \"/no/certs/b.pem\", key = \"/no/keys/b.key\" }\n";
        let words =
            |text: &str| in_words(&from_text("a.toml", text, Path::new("/no"), Purpose::CheckOffline).unwrap().config);
        assert_eq!(words(text), None);
        let told = words(&format!("landlock = true\n{text}")).unwrap();
        let lines: Vec<_> = told.lines().skip(1).collect();
        assert_eq!(
            lines,
            ["  read   /no/certs, /no/keys", "  run    /no/hooks", "  write  /no/log, /no/prom, /no/run, /no/state"]
        );
    }
}
