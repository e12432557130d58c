//! A small disk of portvakt's own, which a test can fill, make read-only and give to another user.
//!
//! It is a tmpfs in namespaces of its own, so that nobody needs rights for it; they live as long as the process that holds
//! them open.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::Child;
use super::home::{Home, Portvakt};
use super::peers::program;

/// A disk at a home's state directory.
pub(crate) struct Disk {
    holder: Child,
    mount: PathBuf,
}

impl Disk {
    /// Mounts one of 256 KiB where `home` keeps its state.
    pub(crate) fn at(home: &Home) -> Self {
        let mount = home.state();
        fs::create_dir_all(&mount).expect("the folder to mount on");
        let script = "mount -t tmpfs -o size=256k,mode=700 none \"$0\" && echo mounted && exec sleep 100000";
        let mut command = Command::new(program("unshare"));
        let holder = Child::start("disk", command.args(["-rm", "sh", "-c", script]).arg(&mount));
        holder.wait_line("that it is mounted", |line| line == "mounted");
        Self { holder, mount }
    }

    /// Its folder, as it is seen from here.
    pub(crate) fn path(&self) -> PathBuf {
        let inside = self.mount.strip_prefix("/").expect("a home's path is absolute");
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside)
    }

    /// Starts portvakt on it, and waits until it is ready.
    pub(crate) fn start(&self, home: &Home) -> Portvakt {
        let mut portvakt = self.launch(home);
        portvakt.wait_ready(home);
        portvakt
    }

    /// Starts portvakt on it.
    pub(crate) fn launch(&self, home: &Home) -> Portvakt {
        let mut command = self.inside();
        command.current_dir(home.path()).env_remove("RUST_LOG").env_remove("STATE_DIRECTORY");
        command.arg(env!("CARGO_BIN_EXE_portvakt")).args(["run", "--config"]).arg(home.file());
        Portvakt { child: Child::start("portvakt", &mut command) }
    }

    /// Takes all the room there is.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.path().join("ballast")).expect("a file with room for nothing");
        while file.write_all(&[0; 512]).is_ok() {}
        assert!(fs::write(self.path().join("more"), [0; 4096]).is_err(), "the disk is not full");
        let _ = fs::remove_file(self.path().join("more"));
    }

    /// Gives the room back.
    pub(crate) fn free(&self) {
        fs::remove_file(self.path().join("ballast")).expect("the disk was filled");
    }

    /// Mounts it anew as `ro` or `rw`.
    pub(crate) fn remount(&self, how: &str) {
        let mount = program("mount");
        let status = self.inside().arg(mount).args(["-o", &format!("remount,{how}")]).arg(&self.mount).status();
        assert!(status.is_ok_and(|status| status.success()), "cannot remount {how}");
    }

    /// Lets nobody of the disk's own read `path`, which lies on it: as root by another owner, else by mode.
    pub(crate) fn forbid(&self, path: &Path) {
        let path = self.path().join(path);
        let given = Command::new("chown").args(["-R", "12345:12345"]).arg(&path).status();
        if !given.is_ok_and(|status| status.success()) {
            let status = Command::new("chmod").args(["-R", "000"]).arg(&path).status();
            assert!(status.is_ok_and(|status| status.success()), "cannot forbid {}", path.display());
        }
    }

    /// A command in the disk's namespaces.
    fn inside(&self) -> Command {
        let mut command = Command::new(program("nsenter"));
        command.args(["--preserve-credentials", "-U", "-m", "-t", &self.holder.id().to_string()]);
        command
    }
}
