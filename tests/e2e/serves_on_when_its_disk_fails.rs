//! A full, read-only, foreign or damaged state directory takes no certificate out of service, deletes nothing, and is told
//! in the log, in the metrics and on the status page.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::clock::PATIENCE;
use crate::support::disk::Disk;
use crate::support::tls::served;
use crate::support::{Echo, Home, Portvakt, eventually};

#[test]
fn given_a_full_disk_when_started_then_the_stored_certificate_serves() {
    let scene = Scene::new(&["m5.test"]);
    let before = scene.issued();
    scene.disk.fill();

    let portvakt = scene.disk.start(&scene.home);

    assert_eq!(scene.served(), before);
    assert_eq!(scene.home.admin("/readyz?cert=strict").status, 200);
    assert_eq!(scene.home.metrics().one("portvakt_certificate_stored", &[("cert", "m5.test")]), 1.0);
    drop(portvakt);
}

#[test]
fn given_a_read_only_disk_when_started_then_the_stored_certificate_serves() {
    let scene = Scene::new(&["m5.test"]);
    let before = scene.issued();
    scene.disk.remount("ro");

    let _portvakt = scene.disk.start(&scene.home);

    assert_eq!(scene.served(), before);
    assert_eq!(scene.home.admin("/readyz?cert=strict").status, 200);
}

#[test]
fn given_a_disk_that_is_full_when_another_certificate_is_wanted_then_the_old_one_serves_and_the_trouble_is_told() {
    let scene = Scene::new(&["m5.test"]);
    let before = scene.issued();
    let portvakt = scene.disk.start(&scene.home);
    let refused = || scene.home.metrics().one("portvakt_storage_errors_total", &[("op", "write")]);
    assert_eq!(refused(), 0.0);
    scene.disk.fill();
    let mark = portvakt.child.mark();

    scene.configure(&["m5.test", "api.m5.test"]);
    assert!(portvakt.reload(&scene.home));

    portvakt.child.wait_line_after(mark, "that the disk is full", |line| line.contains("free some space"));
    assert_eq!(scene.served(), before);
    assert!(scene.home.admin("/status.json").text().contains("free some space"));
    assert!(refused() >= 1.0);
}

#[test]
#[ignore = "long: the pause after a failure"]
fn given_a_disk_that_was_full_when_it_has_room_again_then_the_certificate_is_got_without_a_restart() {
    for trouble in [Trouble::Full, Trouble::ReadOnly] {
        let scene = Scene::new(&["m5.test"]);
        let before = scene.issued();
        let portvakt = scene.disk.start(&scene.home);
        trouble.begin(&scene.disk);
        scene.configure(&["m5.test", "api.m5.test"]);
        assert!(portvakt.reload(&scene.home));
        assert_eq!(scene.served(), before);

        trouble.end(&scene.disk);

        eventually("another certificate is served", A_PAUSE, || (scene.served() != before).then_some(()));
        scene.home.wait_metrics("it is stored", PATIENCE, |metrics| {
            (metrics.one("portvakt_certificate_stored", &[("cert", "m5.test")]) == 1.0).then_some(())
        });
        assert!(scene.folder().join("2/key.pem").exists());
    }
}

#[test]
fn given_one_damage_to_the_newest_generation_when_started_then_one_that_is_whole_serves_loudly_and_nothing_is_deleted()
{
    type Damage = fn(&Scene);
    let rows: &[(&str, Damage)] = &[
        ("chain cut short", |scene| scene.cut("2/chain.pem")),
        ("chain empty", |scene| scene.write("2/chain.pem", "")),
        ("key garbage", |scene| scene.write("2/key.pem", "garbage")),
        ("key empty", |scene| scene.write("2/key.pem", "")),
        ("meta garbage", |scene| scene.write("2/meta.json", "{ garbage")),
        ("meta empty", |scene| scene.write("2/meta.json", "")),
        ("pointer to nowhere", |scene| scene.write("current", "7\n")),
        ("key of another owner", |scene| scene.disk.forbid(Path::new("certs/m5.test/2/key.pem"))),
        ("folder of another owner", |scene| scene.disk.forbid(Path::new("certs/m5.test/2"))),
    ];
    for (name, damage) in rows {
        let scene = Scene::new(&["m5.test"]);
        let first = scene.issued();
        let second = scene.second();
        assert_ne!(first, second);
        damage(&scene);
        let files = scene.count();

        let portvakt = scene.disk.start(&scene.home);

        let expected = if name.starts_with("pointer") { &second } else { &first };
        assert_eq!(&scene.served(), expected, "{name}");
        portvakt.child.wait_line("the damage", |line| line.contains("ERROR") && line.contains(NOT_CURRENT));
        assert_eq!(scene.home.metrics().one("portvakt_certificate_stored", &[("cert", "m5.test")]), 0.0, "{name}");
        assert!(scene.home.admin("/status.json").text().contains(NOT_CURRENT), "{name}");
        assert_eq!(scene.home.admin("/readyz?cert=strict").status, 200, "{name}");
        assert!(scene.count() >= files, "{name}: something was deleted");
    }
}

#[test]
fn given_a_pointer_that_names_nothing_when_started_then_the_newest_serves_and_the_pointer_is_mended_once_for_all() {
    type Damage = fn(&Scene);
    let rows: &[(&str, Damage)] = &[
        ("missing", |scene| fs::remove_file(scene.folder().join("current")).unwrap()),
        ("empty", |scene| scene.write("current", "")),
    ];
    for (name, damage) in rows {
        let scene = Scene::new(&["m5.test"]);
        scene.issued();
        let second = scene.second();
        damage(&scene);

        for is_told in [true, false] {
            let mut portvakt = scene.disk.start(&scene.home);
            assert_eq!(scene.served(), second, "{name}");
            assert_eq!(scene.home.metrics().one("portvakt_certificate_stored", &[("cert", "m5.test")]), 1.0, "{name}");
            portvakt.terminate();
            let lines = portvakt.child.lines();
            let told = lines.iter().any(|line| line.contains("the pointer to it was unusable"));
            assert_eq!(told, is_told, "{name}: {lines:?}");
            assert_eq!(fs::read_to_string(scene.folder().join("current")).unwrap(), "2\n", "{name}");
        }
    }
}

#[test]
fn given_a_state_directory_of_another_owner_when_started_then_it_says_whom_to_give_it_to() {
    let scene = Scene::new(&["m5.test"]);
    scene.issued();
    scene.disk.forbid(Path::new(""));

    let mut portvakt = scene.disk.launch(&scene.home);

    assert!(!portvakt.child.wait(PATIENCE).success());
    let words = portvakt.child.stderr() + &portvakt.child.stdout();
    assert!(words.contains("cannot read") && words.contains("access to it, or set another `state_dir`"), "{words}");
}

#[test]
fn given_a_state_directory_of_a_later_version_when_started_then_read_or_refused_with_the_version() {
    let scene = Scene::new(&["m5.test"]);
    let before = scene.issued();
    fs::write(scene.disk.path().join("version"), "1.9\n").unwrap();
    drop(scene.disk.start(&scene.home));
    assert_eq!(fs::read_to_string(scene.disk.path().join("version")).unwrap(), "1.9\n");
    assert_eq!(scene.issued(), before);

    fs::write(scene.disk.path().join("version"), "2.0\n").unwrap();
    let mut portvakt = scene.disk.launch(&scene.home);
    assert!(!portvakt.child.wait(PATIENCE).success());
    let words = portvakt.child.stderr() + &portvakt.child.stdout();
    assert!(words.contains("made by a later portvakt (layout `2.0`"), "{words}");
}

const NOT_CURRENT: &str = "of the certificate is served, not the current one";

#[derive(Clone, Copy)]
enum Trouble {
    Full,
    ReadOnly,
}

impl Trouble {
    fn begin(self, disk: &Disk) {
        match self {
            Self::Full => disk.fill(),
            Self::ReadOnly => disk.remount("ro"),
        }
    }

    fn end(self, disk: &Disk) {
        match self {
            Self::Full => disk.free(),
            Self::ReadOnly => disk.remount("rw"),
        }
    }
}

/// A site with a certificate of the internal CA, whose state lies on a small disk.
struct Scene {
    home: Home,
    disk: Disk,
    echo: Echo,
}

impl Scene {
    fn new(domains: &[&str]) -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let disk = Disk::at(&home);
        let scene = Self { home, disk, echo };
        scene.configure(domains);
        scene
    }

    fn configure(&self, domains: &[&str]) {
        let site = format!("domains = {domains:?}\nupstream = \"{}\"\ncertificate = \"internal\"\n", self.echo.url());
        self.home.configure("", &format!("[[site]]\n{site}"));
    }

    /// Starts and ends it, and gives the certificate that it has served.
    fn issued(&self) -> Vec<u8> {
        let mut portvakt: Portvakt = self.disk.start(&self.home);
        self.home.wait_certificate("m5.test", "issued", PATIENCE);
        let der = self.served();
        assert!(portvakt.terminate().success());
        der
    }

    /// Has a second generation made, for another name beside the first.
    fn second(&self) -> Vec<u8> {
        self.configure(&["m5.test", "api.m5.test"]);
        self.issued()
    }

    fn served(&self) -> Vec<u8> {
        served(self.home.https, "m5.test").expect("a certificate is served").to_vec()
    }

    fn folder(&self) -> std::path::PathBuf {
        self.disk.path().join("certs/m5.test")
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder().join(file), text).unwrap();
    }

    fn cut(&self, file: &str) {
        let bytes = fs::read(self.folder().join(file)).unwrap();
        fs::write(self.folder().join(file), &bytes[..bytes.len() / 2]).unwrap();
    }

    /// Files in the certificate's folder, those of its generations included.
    fn count(&self) -> usize {
        let inside = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let all = inside(&self.folder());
        all.iter().map(|path| if path.is_dir() { inside(path).len() } else { 1 }).sum()
    }
}

/// The longest first pause after a failure, and an attempt.
const A_PAUSE: Duration = Duration::from_secs(120);
