//! podman with a store of its own, and the image that `deploy/container` makes of the built program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::peers::program;

/// podman; its containers end with it.
pub(crate) struct Podman {
    dir: TempDir,
}

impl Podman {
    /// An empty store. Nothing is asked of systemd, of control groups, or of a network.
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        fs::write(dir.path().join("containers.conf"), SETTINGS).expect("the settings are written");
        Self { dir }
    }

    /// A folder that lasts as long as the store, open to whoever containers run as.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        fs::create_dir_all(&folder).expect("the folder is made");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("the folder is opened");
        folder
    }

    /// `podman`, to be given arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(program("podman"));
        command.env("CONTAINERS_CONF", self.dir.path().join("containers.conf")).env_remove("NOTIFY_SOCKET");
        command.arg("--root").arg(self.dir.path().join("store")).arg("--runroot").arg(self.dir.path().join("run"));
        command.args(["--storage-driver", "vfs"]);
        command
    }

    /// Runs it to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("podman starts")
    }

    /// Runs it to its end, and gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "podman {arguments:?}: {told}");
        String::from_utf8(output.stdout).expect("podman prints text").trim().to_owned()
    }

    /// Builds the last stage of `deploy/container/Dockerfile` as `portvakt:test`; the stage before is played by the built
    /// program and by the scripts that it calls.
    pub(crate) fn build_portvakt(&self) {
        let stage = self.folder("stage");
        self.lay_out(&stage.join("image"));
        let file = deploy("container/Dockerfile");
        let context = format!("build={}", stage.display());
        let mut build = self.command();
        build.args(["build", "--format", "docker", "--layers=false", "--pull=never", "--build-context", &context]);
        build.arg("--file").arg(file).args(["--tag", IMAGE]).arg(env!("CARGO_MANIFEST_DIR"));
        let output = build.output().expect("podman starts");
        assert!(output.status.success(), "podman build: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Builds `app`: a server that answers every request for `/` with [`GREETING`], on port 3000 of loopback.
    pub(crate) fn build_app(&self) {
        let folder = self.folder("app");
        fs::copy(program("busybox"), folder.join("busybox")).expect("busybox is copied");
        fs::write(folder.join("index.html"), GREETING).expect("the page is written");
        let file = "FROM scratch\nCOPY busybox /\nCOPY index.html /www/\n\
                    CMD [\"/busybox\", \"httpd\", \"-f\", \"-p\", \"127.0.0.1:3000\", \"-h\", \"/www\"]\n";
        fs::write(folder.join("Dockerfile"), file).expect("the file is written");
        self.run(&["build", "--layers=false", "--tag", "app", &folder.display().to_string()]);
    }

    /// The root of the image, by `rootfs`.
    pub(crate) fn lay_out(&self, root: &Path) {
        let stripped = self.dir.path().join("portvakt");
        let strip =
            Command::new(program("strip")).arg("-o").arg(&stripped).arg(env!("CARGO_BIN_EXE_portvakt")).status();
        assert!(strip.expect("strip starts").success());
        let laid = Command::new(deploy("container/rootfs")).arg(&stripped).arg(root).output().expect("rootfs starts");
        assert!(laid.status.success(), "{}", String::from_utf8_lossy(&laid.stderr));
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.output(&["pod", "rm", "--all", "--force", "--time", "0"]);
        let _ = self.output(&["rm", "--all", "--force", "--time", "0", "--volumes"]);
    }
}

/// The file at `path` below `deploy/`.
pub(crate) fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

/// What [`Podman::build_portvakt`] builds.
pub(crate) const IMAGE: &str = "localhost/portvakt:test";

/// What [`Podman::build_app`]'s server says.
pub(crate) const GREETING: &str = "hello from the application";

/// Modest limits: podman would ask for more than whoever runs the tests may have.
const SETTINGS: &str = "[engine]
runtime = \"runc\"
cgroup_manager = \"cgroupfs\"
events_logger = \"file\"
[containers]
default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]
";
