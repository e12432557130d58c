//! Where nobody scrapes, the metrics lie in a file that a textfile collector can read: whole, current, and as Prometheus wants.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::eventually;
use crate::support::peers::program;

#[test]
fn given_a_textfile_when_running_then_promtool_takes_it_and_everybody_may_read_it() {
    let stage = Stage::new();
    let folder = stage.home.path().join("collector");
    fs::create_dir(&folder).unwrap();
    stage.configure("metrics = { textfile = \"collector/portvakt.prom\" }\n", "");
    let mut portvakt = stage.home.start();
    let file = folder.join("portvakt.prom");
    let has = |part: &str| fs::read_to_string(&file).is_ok_and(|text| text.contains(part));

    eventually("the file is written", PATIENCE, || has("portvakt_build_info").then_some(()));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert!(has("portvakt_certificate_not_after_timestamp_seconds{cert=\"m5.test\""));
    let mut promtool = Command::new(program("promtool"));
    promtool.args(["check", "metrics"]).stdin(Stdio::from(File::open(&file).unwrap()));
    let output = promtool.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // At the end it is written once more, and nothing else is left in the folder.
    assert_eq!(stage.get("/").status, 200);
    assert!(portvakt.terminate().success());
    assert!(has("portvakt_http_requests_total{code=\"200\""));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn given_a_folder_that_is_gone_when_the_file_is_written_then_it_is_told_and_requests_are_served() {
    let stage = Stage::new();
    let folder = stage.home.path().join("collector");
    fs::create_dir(&folder).unwrap();
    stage.configure("metrics = { textfile = \"collector/portvakt.prom\" }\n", "");
    let mut portvakt = stage.home.start();
    eventually("the file is written", PATIENCE, || folder.join("portvakt.prom").is_file().then_some(()));

    // It may be written in this moment.
    eventually("the folder is gone", PATIENCE, || {
        let _ = fs::remove_dir_all(&folder);
        (!folder.exists()).then_some(())
    });
    assert_eq!(stage.get("/").status, 200);
    assert!(portvakt.terminate().success());

    let told = portvakt.child.lines().iter().filter(|line| line.contains("cannot be written to their file")).count();
    assert_eq!(told, 1);
}
