//! `portvakt schema` describes configurations as they are: every good one that we show is valid, a slip is not, and editors read it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::support::home::run;
use crate::support::peers::{kubernetes, program};

#[test]
fn given_every_configuration_that_we_show_when_held_against_the_schema_then_valid() {
    let mut shown = files("config", "toml");
    shown.extend(files("deploy", "toml"));
    shown.push(PathBuf::from("tests/data/shape.toml"));
    let mut texts: Vec<_> = shown.iter().map(|path| (name(path), read(path))).collect();
    let (pages, guides) = (files("src/config/pages", "md"), files("deploy/guides", "md"));
    assert!(texts.len() > 9 && pages.len() > 90 && guides.len() > 8, "{} {}", texts.len(), pages.len());
    for path in pages.iter().chain(&guides).chain([&PathBuf::from("README.md")]) {
        let text = read(path);
        // A page shows the mistake first.
        let good = text.split_once("\n## Right\n").map_or(text.as_str(), |(_, right)| right);
        texts.extend(blocks(good).into_iter().map(|block| (name(path), block)));
    }
    assert!(texts.len() > 110, "{}", texts.len());

    assert_eq!(faults(&texts), Vec::<String>::new());
}

#[test]
fn given_configurations_with_slips_when_held_against_the_schema_then_each_is_found() {
    let told = files("tests/data/bad", "txt").into_iter().map(|path| (path.with_extension("toml"), read(&path)));
    // Unknown keys, wrong types, unknown words, numbers out of range.
    let codes = ["PV0102", "PV0103", "PV0205", "PV0207"].map(|code| format!("error[{code}]"));
    let slips = told.filter(|(path, told)| path.is_file() && codes.iter().any(|code| told.contains(code)));
    let slips: Vec<_> = slips.map(|(path, _)| (name(&path), read(&path))).collect();
    assert!(slips.len() > 5, "{slips:?}");

    let found: BTreeSet<_> =
        faults(&slips).iter().filter_map(|fault| Some(fault.split_once(':')?.0.to_owned())).collect();

    let missed: Vec<_> = slips.iter().filter(|(name, _)| !found.contains(name)).map(|(name, _)| name).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn given_an_editor_when_the_first_line_names_the_schema_then_it_marks_a_slip_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("portvakt.schema.json"), schema()).unwrap();
    let taplo = |text: &str| {
        fs::write(dir.path().join("portvakt.toml"), format!("#:schema ./portvakt.schema.json\n{text}")).unwrap();
        let output = Command::new(program("taplo")).args(["check", "portvakt.toml"]).current_dir(&dir).output();
        let output = output.expect("taplo starts");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let full = read(Path::new("config/portvakt.toml"));

    let (is_good, told) = taplo(&full);
    assert!(is_good, "{told}");
    for (right, wrong, words) in [
        ("drain = \"30s\"", "drian = \"30s\"", "drian"),
        ("watch = true", "watch = \"yes\"", "boolean"),
        ("mode = \"temporary\"", "mode = \"sometimes\"", "sometimes"),
    ] {
        assert!(full.contains(right), "{right}");
        let (is_good, told) = taplo(&full.replacen(right, wrong, 1));
        assert!(!is_good && told.contains(words), "{wrong}: {told}");
    }
}

/// What is wrong with each text, its name first.
fn faults(texts: &[(String, String)]) -> Vec<String> {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("schema.json");
    fs::write(&file, schema()).unwrap();
    let mut python = Command::new(program("python3"));
    python.arg("-s").env("PYTHONPATH", kubernetes()).env("PYTHONDONTWRITEBYTECODE", "1");
    python.arg(root().join("tests/support/schema.py")).arg(file);
    let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().expect("piped").write_all(json!(texts).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn schema() -> Vec<u8> {
    let output = run(Path::new("/"), &["schema"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Every block of TOML in a page; one that goes on with a configuration is one too.
fn blocks(page: &str) -> Vec<String> {
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(str::to_owned).collect()
}

/// The files below a folder whose name ends so, sorted.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|found| found == end) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
