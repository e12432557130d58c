//! From files to checked settings.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::{self, Check};
use super::code::Code;
use super::environment::{Environment, Machine};
use super::merge::merge;
use super::origin::COMMAND_LINE;
use super::problem::{Place, Problem, Problems, Source, quoted};
use super::raw::{self, Table};
use super::show::{Shown, Tree};
use super::{CommandLine, Config};

/// What a configuration is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To run. An expired certificate is a warning; ports are left to whoever binds them.
    Run,
    /// To be checked by a person. An address that cannot be listened on now is a warning.
    Check,
    /// To be checked where there are no keys, ports or network: no key, chain or trust anchor is opened. In the
    /// settings, Mozilla's roots stand in for trust anchors: they are not for running.
    CheckOffline,
}

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is to be done.
    pub config: Config,
    /// What somebody should look at.
    pub warnings: Problems,
    tree: Tree,
}

impl Loaded {
    /// All that is written, with its places.
    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What is written, all files in one.
    pub fn written(&self) -> Shown {
        self.tree.written()
    }

    /// What is written, and every default: a configuration that means the same, wherever it lies.
    pub fn effective(&self) -> Shown {
        self.tree.effective(&self.config)
    }
}

/// Reads `file` and, beside it, `conf.d/*.toml` in the order of their names.
///
/// Tables are merged, `[[tables]]` appended; anything else may be set in one file only. Relative paths in all of them
/// begin at the folder of `file`.
///
/// # Errors
///
/// Every problem, warnings included, when one of them is an error.
pub fn load(file: &Path, purpose: Purpose) -> Result<Loaded, Problems> {
    load_on(file, purpose, &Machine::default())
}

/// Does what [`load`] does, on another machine.
///
/// # Errors
///
/// As [`load`].
pub fn load_on(file: &Path, purpose: Purpose, environment: &dyn Environment) -> Result<Loaded, Problems> {
    let (texts, folder, files) = gather(file)?;
    assess(texts, &folder, files, purpose, environment)
}

/// Where the control socket of the process with this configuration lies, as far as can be told: the configuration may
/// have errors by now that it had not when the process read it.
///
/// # Errors
///
/// When a file cannot be read at all.
pub fn control_socket(file: &Path) -> Result<PathBuf, Problems> {
    let (texts, folder, files) = gather(file)?;
    let (root, problems) = parse_all(texts, &Machine::default());
    let Some(root) = root else { return Err(problems) };
    let (config, _, _) = Check::new(Purpose::CheckOffline, &Machine::default(), &folder, files).run(&root);
    Ok(config.control)
}

/// Names and texts of all files, the folder that they lie in, and what is to be watched.
fn gather(file: &Path) -> Result<Gathered, Problems> {
    let mut problems = Problems::default();
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let conf_d = folder.join("conf.d");
    let mut texts = Vec::new();
    let mut files = Vec::new();
    for path in [file.to_owned()].into_iter().chain(fragments(&conf_d, &mut problems)) {
        if let Some(text) = read(&path, &mut problems) {
            texts.push((path.display().to_string(), text));
        }
        files.push(absolute(&path));
    }
    if problems.has_errors() {
        return Err(problems);
    }
    files.push(absolute(&conf_d));
    Ok((texts, absolute(folder), files))
}

type Gathered = (Vec<(String, String)>, PathBuf, Vec<PathBuf>);

/// Reads a text that is no file. Problems name it `name`; relative paths begin at `base`.
///
/// # Errors
///
/// As [`load`].
pub fn from_text(name: &str, text: &str, base: &Path, purpose: Purpose) -> Result<Loaded, Problems> {
    from_text_on(name, text, base, purpose, &Machine::default())
}

/// Does what [`from_text`] does, on another machine.
///
/// # Errors
///
/// As [`load`].
pub fn from_text_on(
    name: &str,
    text: &str,
    base: &Path,
    purpose: Purpose,
    environment: &dyn Environment,
) -> Result<Loaded, Problems> {
    assess(vec![(name.to_owned(), text.to_owned())], &absolute(base), Vec::new(), purpose, environment)
}

/// Reads what was given on the command line in place of a file. Relative paths begin at the current folder.
///
/// # Errors
///
/// As [`load`]. Problems show the equivalent TOML, under the name `<command line>`.
pub fn from_args(args: &CommandLine, purpose: Purpose) -> Result<Loaded, Problems> {
    from_text(COMMAND_LINE, &args.to_toml(), Path::new(""), purpose)
}

fn assess(
    texts: Vec<(String, String)>,
    base: &Path,
    files: Vec<PathBuf>,
    purpose: Purpose,
    environment: &dyn Environment,
) -> Result<Loaded, Problems> {
    let (root, mut problems) = parse_all(texts, environment);
    let Some(root) = root else { return Err(problems) };
    let (config, found, resolved) = Check::new(purpose, environment, base, files).run(&root);
    problems.extend(found);
    forget_what_follows_from_syntax(&mut problems);
    forget_what_follows_from_texts(&mut problems);
    problems.sort();
    let tree = Tree { root, resolved };
    if problems.has_errors() { Err(problems) } else { Ok(Loaded { config, warnings: problems, tree }) }
}

/// One tree out of all texts, with what is wrong with their form.
fn parse_all(texts: Vec<(String, String)>, environment: &dyn Environment) -> (Option<Table>, Problems) {
    let mut problems = Problems::default();
    let mut root = None;
    for (order, (name, text)) in texts.into_iter().enumerate() {
        let source = Arc::new(Source { order, name, text });
        let (table, found) = raw::parse(&source, environment);
        problems.extend(found);
        match &mut root {
            None => root = Some(table),
            Some(root) => merge(root, table, &mut problems),
        }
    }
    (root, problems)
}

/// After a syntax error something is missing from the tree. What is only missing because of that is not reported, nor
/// what stands on the same line; after a broken heading, nothing else can be told.
fn forget_what_follows_from_syntax(problems: &mut Problems) {
    let position = |problem: &Problem| problem.place.as_ref().map(|place| (place.source().order, place.line()));
    let is_syntax = |problem: &Problem| problem.code == Code::Syntax;
    let broken: Vec<_> = problems.iter().filter(|problem| is_syntax(problem)).filter_map(position).collect();
    if broken.is_empty() {
        return;
    }
    let is_heading = |problem: &Problem| problem.place.as_ref().is_some_and(|place| place.line_text().starts_with('['));
    let lost = problems.iter().any(|problem| is_syntax(problem) && is_heading(problem));
    problems.retain(|problem| {
        let follows = lost || problem.code.is_of_absence() || position(problem).is_some_and(|at| broken.contains(&at));
        is_syntax(problem) || !follows
    });
}

/// A value with a variable that is not set, or with a control character, is not looked at further.
fn forget_what_follows_from_texts(problems: &mut Problems) {
    let is_of_text = |problem: &Problem| matches!(problem.code, Code::UnsetVariable | Code::ControlCharacter);
    let texts = problems.iter().filter(|problem| is_of_text(problem));
    let texts: Vec<_> = texts.filter_map(|problem| problem.place.clone()).collect();
    problems.retain(|problem| {
        let is_value = |place: &&Place| place.text().starts_with(['"', '\'']);
        let value = problem.place.as_ref().filter(is_value);
        let follows = value.is_some_and(|value| texts.iter().any(|place| value.contains(place)));
        is_of_text(problem) || !follows
    });
}

/// `conf.d/*.toml`, by name.
fn fragments(folder: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Vec::new(),
        Err(error) => {
            problems.push(unreadable(folder, &check::reason(&error), NAME_THE_FILE));
            return Vec::new();
        }
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| is_fragment(path)).collect();
    files.sort();
    files
}

/// Editors leave hidden files behind.
fn is_fragment(path: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    path.extension().is_some_and(|extension| extension == "toml") && !is_hidden
}

fn read(path: &Path, problems: &mut Problems) -> Option<String> {
    let (why, fix) = match fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) if !text.contains('\0') => return Some(text),
        Ok(Err(error)) if !is_utf_16(error.as_bytes()) => {
            (format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()), SAVE_AS_UTF_8)
        }
        Ok(_) => ("it is UTF-16, which Windows calls Unicode".to_owned(), SAVE_AS_UTF_8),
        Err(error) => (check::reason(&error), NAME_THE_FILE),
    };
    problems.push(unreadable(path, &why, fix));
    None
}

/// By its byte order mark.
fn is_utf_16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}

fn unreadable(path: &Path, why: &str, fix: &str) -> Problem {
    let title = format!("cannot read the configuration {}", quoted(&path.display().to_string()));
    Problem::error(Code::Unreadable, title).why(why).fix(fix)
}

/// The path from the root; the current folder is asked when it is relative.
fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

const SAVE_AS_UTF_8: &str = "save the file as UTF-8: editors offer it as `Encoding`, also Notepad";
const NAME_THE_FILE: &str = "name the file with `--config FILE`, and let portvakt's user read it";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::environment::tests::With;
    use crate::config::{Severity, Style};

    const FULL: &str = include_str!("../../config/portvakt.toml");

    fn read(text: &str) -> Result<Loaded, Problems> {
        let machine = With(&[("HOME", "/home/a")], false);
        from_text_on("test.toml", text, Path::new("/nowhere"), Purpose::CheckOffline, &machine)
    }

    /// Whatever is read, it does not panic, and its outcome agrees with its problems.
    fn is_sound(text: &str) {
        let problems = match read(text) {
            Ok(Loaded { warnings, .. }) => {
                assert!(warnings.iter().all(|problem| problem.severity == Severity::Warning), "{warnings}");
                warnings
            }
            Err(problems) => {
                assert!(problems.has_errors());
                problems
            }
        };
        assert_eq!(problems.to_json_lines().lines().count(), problems.iter().count());
        assert!(problems.render(Style::Color).ends_with(&format!("{}\n", problems.summary())));
    }

    /// A value of any type, to be put where another one is expected.
    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{0,8}".prop_map(|text| raw::string_literal(&text)),
            any::<i64>().prop_map(|number| number.to_string()),
            any::<bool>().prop_map(|value| value.to_string()),
            Just("1.5".to_owned()),
            Just("1979-05-27".to_owned()),
            Just("[]".to_owned()),
            Just("[[]]".to_owned()),
            Just("{}".to_owned()),
            Just("{ url = \"https://[::1]:1\", pin = [7] }".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn given_any_text_when_read_then_no_panic(text in "\\PC*") {
            is_sound(&text);
        }

        #[test]
        fn given_a_sample_with_something_put_in_when_read_then_no_panic(
            at in 0..FULL.len(), length in 0usize..9, put in ".{0,5}",
        ) {
            let start = FULL.floor_char_boundary(at);
            let end = FULL.ceil_char_boundary((start + length).min(FULL.len()));
            is_sound(&format!("{}{put}{}", &FULL[..start], &FULL[end..]));
        }

        #[test]
        fn given_a_sample_with_another_value_when_read_then_no_panic(
            line in 0..FULL.lines().count(), value in value(),
        ) {
            let replace = |(number, text): (usize, &str)| match text.split_once('=') {
                Some((key, _)) if number == line => format!("{}={value}\n", key.trim_start_matches("# ")),
                _ => format!("{text}\n"),
            };
            is_sound(&FULL.lines().enumerate().map(replace).collect::<String>());
        }
    }

    #[test]
    fn given_a_missing_file_when_loaded_then_it_is_named() {
        let problems = load(Path::new("/nowhere/portvakt.toml"), Purpose::Check).unwrap_err();
        let [problem] = problems.iter().as_slice() else { panic!("{problems}") };
        assert_eq!(problem.code, Code::Unreadable);
        assert!(problem.to_string().contains("`/nowhere/portvakt.toml`"), "{problem}");
    }

    #[test]
    fn given_latin_1_when_loaded_then_the_byte_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portvakt.toml");
        fs::write(&file, b"# caf\xe9\n").unwrap();
        let problems = load(&file, Purpose::Check).unwrap_err();
        assert!(problems.to_string().contains("byte 5 is not UTF-8"), "{problems}");
    }

    #[test]
    fn given_fragments_when_loaded_then_sites_follow_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let site = |name: &str| format!("[[site]]\ndomain = '{name}'\nupstream = 'http://127.0.0.1:1'\n");
        let file = folder.path().join("portvakt.toml");
        fs::write(&file, format!("acme = {{ agree_tos = true }}\n{}", site("main.example.com"))).unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        for (name, text) in [
            ("20-b.toml", site("b.example.com")),
            ("10-a.toml", site("a.example.com")),
            ("README", "not read".to_owned()),
            (".10-a.toml.swp", "not read".to_owned()),
            (".hidden.toml", "not read".to_owned()),
        ] {
            fs::write(folder.path().join("conf.d").join(name), text).unwrap();
        }
        let config = load(&file, Purpose::Run).unwrap().config;
        let names: Vec<_> = config.route.sites.iter().map(|site| site.name.as_str()).collect();
        assert_eq!(names, ["main.example.com", "a.example.com", "b.example.com"]);
        let watched =
            ["portvakt.toml", "conf.d/10-a.toml", "conf.d/20-b.toml", "conf.d"].map(|name| folder.path().join(name));
        assert_eq!(config.files, watched);
    }
}
