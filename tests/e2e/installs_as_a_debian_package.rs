//! The Debian package, which cargo-deb makes, installs, upgrades, and removes cleanly: what the operator has is kept until he purges it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::peers::program;
use crate::support::podman::deploy;

#[test]
fn given_the_package_when_looked_into_then_it_has_what_belongs_to_it() {
    let dir = TempDir::new().unwrap();
    let package = build(dir.path(), None);

    let field =
        |name: &str| text(&Command::new(program("dpkg-deb")).arg("-f").arg(&package).arg(name).output().unwrap());
    assert_eq!(field("Version"), concat!(env!("CARGO_PKG_VERSION"), "-1"));
    assert!(field("Depends").starts_with("libc6 (>= 2."), "{}", field("Depends"));
    let unpacked = dir.path().join("unpacked");
    let status = Command::new(program("dpkg-deb")).arg("-x").arg(&package).arg(&unpacked).status().unwrap();
    assert!(status.success());
    let unit = fs::read_to_string(unpacked.join("usr/lib/systemd/system/portvakt.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/portvakt run") && !unit.contains("/usr/local"), "{unit}");
    for path in [
        "usr/lib/systemd/system/portvakt.socket",
        "usr/share/man/man1/portvakt.1.gz",
        "usr/share/bash-completion/completions/portvakt",
        "usr/share/doc/portvakt/copyright",
        "usr/share/doc/portvakt/runbooks/PortvaktAcmeFailing.md",
        "usr/share/doc/portvakt/grafana/portvakt.json",
        "usr/share/portvakt/portvakt.schema.json",
    ] {
        assert!(fs::metadata(unpacked.join(path)).unwrap_or_else(|_| panic!("{path}")).len() > 100, "{path}");
    }
    let mode = fs::metadata(unpacked.join("usr/bin/portvakt")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[test]
#[ignore = "long: a Debian of its own is fetched and installed"]
fn given_a_bare_debian_when_installed_upgraded_removed_and_purged_then_nothing_is_lost_and_nothing_left() {
    let dir = TempDir::new().unwrap();
    let debian = Debian::bootstrap(dir.path());
    debian.pretend_that_systemd_runs();
    let before = debian.files();
    debian.take(&build(dir.path(), None), "old.deb");
    debian.take(&build(dir.path(), Some("99.0.0")), "new.deb");

    debian.run(&["dpkg", "-i", "/root/old.deb"]);
    assert_eq!(debian.told_systemd(), ["daemon-reload"], "nothing is started");
    debian.run(&["portvakt", "check", "--offline", "--config", "/etc/portvakt/portvakt.toml"]);
    let config = debian.root.join("etc/portvakt/portvakt.toml");
    let mine = fs::read_to_string(&config).unwrap() + "# a line of the operator's\n";
    fs::write(&config, &mine).unwrap();
    let key = debian.root.join("var/lib/portvakt/key");
    fs::create_dir_all(key.parent().unwrap()).unwrap();
    fs::write(&key, "a key").unwrap();

    debian.run(&["dpkg", "-i", "/root/new.deb"]);
    assert_eq!(debian.told_systemd(), ["daemon-reload", "daemon-reload", "try-restart portvakt.service"]);
    assert_eq!(debian.run(&["dpkg-query", "-W", "-f=${Version}", "portvakt"]), "99.0.0");
    assert_eq!(fs::read_to_string(&config).unwrap(), mine);

    debian.run(&["dpkg", "--remove", "portvakt"]);
    assert_eq!(debian.told_systemd(), ["disable --now portvakt.socket portvakt.service", "daemon-reload"]);
    assert!(!debian.root.join("usr/bin/portvakt").exists());
    assert_eq!(fs::read_to_string(&config).unwrap(), mine);
    assert!(key.exists());

    debian.run(&["dpkg", "--purge", "portvakt"]);
    assert_eq!(debian.told_systemd(), ["daemon-reload"]);
    fs::remove_file(debian.root.join("root/old.deb")).unwrap();
    fs::remove_file(debian.root.join("root/new.deb")).unwrap();
    assert_eq!(debian.files(), before);
}

/// `deploy/debian/build` around the built program, which is stripped first.
fn build(dir: &Path, version: Option<&str>) -> PathBuf {
    let stripped = dir.join("portvakt");
    let strip = Command::new(program("strip")).arg("-o").arg(&stripped).arg(env!("CARGO_BIN_EXE_portvakt")).status();
    assert!(strip.expect("strip starts").success());
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let cargo_deb = program("cargo-deb").parent().expect("a folder").to_owned();
    let path = std::env::join_paths(std::iter::once(cargo_deb).chain(std::env::split_paths(&folders))).unwrap();
    let mut build = Command::new(deploy("debian/build"));
    build.arg(&stripped).arg(dir).args([version.unwrap_or_default(), "--fast"]).env("PATH", path);
    let output = build.output().expect("the script starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // It tells the path of what it has made.
    PathBuf::from(text(&output))
}

/// The smallest Debian of this machine's own release, in a folder.
struct Debian {
    root: PathBuf,
}

impl Debian {
    fn bootstrap(dir: &Path) -> Self {
        let root = dir.join("debian");
        let release = fs::read_to_string("/etc/os-release").unwrap();
        let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).expect("Debian");
        let mut debootstrap = Command::new(program("debootstrap"));
        let output = debootstrap.args(["--variant=minbase", suite]).arg(&root).output().expect("debootstrap starts");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "debootstrap, which needs root and a mirror: {told}");
        Self { root }
    }

    /// The folder by which packages know it, and a `systemctl` that notes what it is told.
    fn pretend_that_systemd_runs(&self) {
        fs::create_dir_all(self.root.join("run/systemd/system")).unwrap();
        let systemctl = self.root.join("usr/bin/systemctl");
        assert!(!systemctl.exists(), "a minimal Debian has none");
        fs::write(&systemctl, "#!/bin/sh\necho \"$@\" >>/run/told\n").unwrap();
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(self.root.join("run/told"), "").unwrap();
    }

    /// What `systemctl` was told since the last look.
    fn told_systemd(&self) -> Vec<String> {
        let notes = self.root.join("run/told");
        let told = fs::read_to_string(&notes).unwrap();
        fs::write(&notes, "").unwrap();
        told.lines().map(str::to_owned).collect()
    }

    fn take(&self, package: &Path, name: &str) {
        fs::copy(package, self.root.join("root").join(name)).unwrap();
    }

    fn run(&self, command: &[&str]) -> String {
        let mut chroot = Command::new(program("chroot"));
        chroot.arg(&self.root).args(command).env_clear();
        chroot.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
        let output = chroot.output().expect("chroot starts");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        text(&output)
    }

    /// Every path; not what the kernel shows, and not dpkg's own notes of the day.
    fn files(&self) -> Vec<String> {
        let found = self.run(&["find", "/", "-xdev", "-not", "-path", "/proc/*", "-not", "-path", "/sys/*"]);
        let mut paths: Vec<_> = found.lines().map(str::to_owned).collect();
        paths.sort();
        paths
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
