//! The guides for RCO M5 and FLOWFACT: whoever follows one ends with a certificate that phones accept. Each language says the same.

use std::fs;
use std::path::Path;
use std::time::Duration;

use portvakt::pki::Fingerprint;

use crate::support::ca::self_signed;
use crate::support::home::{Home, Portvakt, run};
use crate::support::pebble::{Pebble, Settings};
use crate::support::{Curl, Nginx};

const LANGUAGES: [&str; 4] = ["en", "sv", "nb", "de"];
const GUIDES: [&str; 2] = ["rco-m5", "flowfact"];

#[test]
fn given_each_guide_when_its_languages_are_compared_then_they_say_the_same() {
    for guide in GUIDES {
        let english = Guide::read(guide, "en");
        assert!(english.commands().len() >= 10 && english.blocks("toml").len() == 2, "{guide}");
        for language in &LANGUAGES[1..] {
            let other = Guide::read(guide, language);
            let settings =
                |of: &Guide| of.blocks("toml").iter().map(|block| without_remarks(block)).collect::<Vec<_>>();
            assert_eq!(settings(&other), settings(&english), "{guide}.{language}");
            assert_eq!(other.shape(), english.shape(), "{guide}.{language}");
            let commands = |of: &Guide| of.commands().iter().map(|line| without_language(line)).collect::<Vec<_>>();
            assert_eq!(commands(&other), commands(&english), "{guide}.{language}");
        }
        for (index, language) in LANGUAGES.iter().enumerate() {
            let text = Guide::read(guide, language).text;
            let missing = LANGUAGES
                .iter()
                .enumerate()
                .find(|(at, other)| *at != index && !text.contains(&format!("]({guide}.{other}.md)")));
            assert_eq!(missing, None, "{guide}.{language} links to the others");
        }
    }
}

#[test]
fn given_each_configuration_of_the_guides_when_checked_offline_then_good() {
    for (guide, language) in all() {
        for text in Guide::read(guide, language).blocks("toml") {
            let home = Home::new();
            fs::write(home.file(), &text).unwrap();
            let output = run(home.path(), &["check", "--config", "portvakt.toml", "--offline"]);
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !told.contains("warning"), "{guide}.{language}: {text}\n{told}");
        }
    }
}

/// Every flag is read before `--help` answers, so a flag that does not exist ends with exit code 2.
#[test]
fn given_each_command_of_the_guides_when_typed_then_its_verb_and_flags_exist() {
    let home = Home::new();
    for (guide, language) in all() {
        let guide = Guide::read(guide, language);
        let commands = guide.commands();
        let own: Vec<_> =
            commands.iter().filter_map(|line| line.trim_start_matches("sudo ").strip_prefix("portvakt ")).collect();
        assert!(own.len() >= 7, "{own:?}");
        for command in own {
            let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
            let output = run(home.path(), &words);
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// Way A as it is written: commands and configuration come from the guide. Laid beside it in `conf.d`: ports, the state
/// directory, and pebble for Let's Encrypt; nginx stands for IIS, and shows a certificate that it has made itself.
#[test]
fn given_way_a_for_rco_when_followed_then_phones_accept_the_server_and_only_the_api_needs_https() {
    let (first, second) = (self_signed(&["WIN-SERVER"]), self_signed(&["WIN-SERVER"]));
    let mut iis = Nginx::start_tls(&first);
    let way = Way::new(&iis);

    way.type_in("check ");
    let mut portvakt = Portvakt::launch(way.home.path(), &["run", "--config", "portvakt.toml"]);
    portvakt.wait_ready(&way.home);
    way.home.wait_certificate("door.example.se", "issued", Duration::from_secs(90));
    assert_eq!(way.get("https", "/M5UserAPI/doors"), 200);
    assert!(way.type_in("upstream show ").contains(&Fingerprint::of(&first.der).to_string()));
    assert!(way.type_in("doctor ").contains("Android phones accept this server"));
    assert_eq!([way.get("http", "/M5UserAPI/doors"), way.get("http", "/")], [200, 200], "only watched");

    way.write(&way.written.replace("\"observe\"", "\"permanent\""));
    way.type_in("reload ");
    assert_eq!([way.get("http", "/M5UserAPI/doors"), way.get("http", "/")], [403, 200], "enforced");

    iis.show(&second);
    assert_eq!(way.get("https", "/M5UserAPI/doors"), 502, "another certificate is not believed");
    way.type_in_with("upstream accept ", |word| match word.len() {
        95 => Fingerprint::of(&second.der).to_string(),
        _ => word.to_owned(),
    });
    assert_eq!(way.get("https", "/M5UserAPI/doors"), 200);
}

/// Somebody who follows the guide for RCO, in a folder in place of `/etc/portvakt`.
struct Way {
    home: Home,
    pebble: Pebble,
    guide: Guide,
    written: String,
}

impl Way {
    fn new(iis: &Nginx) -> Self {
        let home = Home::new();
        let pebble = Pebble::start(Settings::on(home.http, home.https));
        let guide = Guide::read("rco-m5", "en");
        let written = guide.blocks("toml")[0].replace("192.168.10.5", &format!("127.0.0.1:{}", iis.https));
        let acme = pebble.acme_section().replace("agree_tos = true\n", "");
        let (http, https, admin) = (home.http, home.https, home.admin);
        let world = format!(
            "state_dir = \"state\"\n[listen]\nhttp = \"127.0.0.1:{http}\"\nhttps = \"127.0.0.1:{https}\"\n\
             admin = \"127.0.0.1:{admin}\"\n{acme}"
        );
        fs::create_dir(home.path().join("conf.d")).unwrap();
        fs::write(home.path().join("conf.d/world.toml"), world).unwrap();
        let way = Self { home, pebble, guide, written };
        way.write(&way.written);
        way
    }

    fn write(&self, text: &str) {
        fs::write(self.home.file(), text).unwrap();
    }

    /// Runs the guide's first command that begins so, and gives what it tells.
    fn type_in(&self, begin: &str) -> String {
        self.type_in_with(begin, str::to_owned)
    }

    fn type_in_with(&self, begin: &str, change: impl Fn(&str) -> String) -> String {
        let commands = self.guide.commands();
        let own = commands.iter().filter_map(|line| line.trim_start_matches("sudo ").strip_prefix("portvakt "));
        let command = own.clone().find(|line| line.starts_with(begin)).expect("the guide has it");
        let root = self.pebble.issued_root().display().to_string();
        let host = format!("door.example.se:{}", self.home.https);
        let words = command.split(' ').map(change).map(|word| match word.as_str() {
            "/etc/portvakt/portvakt.toml" => "portvakt.toml".to_owned(),
            _ => word.replace("https://door.example.se", &format!("https://{host}")),
        });
        let mut words: Vec<String> = words.collect();
        if begin == "doctor " {
            words.extend(["--address", "127.0.0.1", "--trust-anchors", &root].map(str::to_owned));
        }
        let output = run(self.home.path(), &words.iter().map(String::as_str).collect::<Vec<_>>());
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {told}");
        told
    }

    /// The status of an answer.
    fn get(&self, scheme: &str, path: &str) -> u16 {
        let port = if scheme == "https" { self.home.https } else { self.home.http };
        let curl = Curl::new().resolve("door.example.se", port).cacert(&self.pebble.issued_root());
        curl.get(&format!("{scheme}://door.example.se:{port}{path}")).status
    }
}

struct Guide {
    text: String,
}

impl Guide {
    fn read(name: &str, language: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("deploy/guides/{name}.{language}.md"));
        Self { text: fs::read_to_string(path).unwrap() }
    }

    /// Code blocks of one language.
    fn blocks(&self, language: &str) -> Vec<String> {
        let opening = format!("```{language}\n");
        let ends = |rest: &str| rest.split_once("```").map(|(block, _)| block.to_owned());
        self.text.split(&opening).skip(1).map(|rest| ends(rest).expect("a code block ends")).collect()
    }

    fn commands(&self) -> Vec<String> {
        self.blocks("sh").concat().lines().map(str::to_owned).collect()
    }

    /// How many headings, points and table rows, in their order.
    fn shape(&self) -> String {
        let marks = self.text.lines().filter_map(|line| {
            ["# ", "## ", "- ", "| ", "```", "1. ", "2. ", "3. ", "4. "].into_iter().find(|mark| line.starts_with(mark))
        });
        marks.map(str::trim).collect()
    }
}

fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    GUIDES.into_iter().flat_map(|guide| LANGUAGES.into_iter().map(move |language| (guide, language)))
}

fn without_remarks(block: &str) -> Vec<String> {
    block.lines().map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned()).collect()
}

/// The report's name and language differ.
fn without_language(line: &str) -> String {
    let words =
        line.split(' ').filter(|word| !LANGUAGES.contains(word) && *word != "--lang" && !word.ends_with(".html"));
    words.collect::<Vec<_>>().join(" ")
}
