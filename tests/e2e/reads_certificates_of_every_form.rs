//! Whatever form a certificate comes in, the leaf and its intermediate are served; and a swap of it is noticed by nobody.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::stage::Stage;
use crate::support::ca::{Intermediate, replace};
use crate::support::clock::PATIENCE;
use crate::support::home::run;
use crate::support::load::Load;
use crate::support::openssl::s_client;
use crate::support::peers::program;
use crate::support::tls::served;
use crate::support::{Ca, Echo, Home, Leaf, eventually};

const PASSWORD: &str = "correct horse åäö";

#[test]
fn given_each_form_when_reloaded_then_leaf_and_intermediate_are_served() {
    let scene = Scene::new();
    scene.issue().write(scene.home.path(), "site");
    scene.configure("{ chain = 'site.pem', key = 'site.key' }");
    let portvakt = scene.home.start();
    let root = scene.home.path().join("root.pem");

    for form in FORMS {
        let leaf = scene.issue();
        scene.make(&leaf, form);
        scene.configure(form.certificate);

        assert!(portvakt.reload(&scene.home), "{}", form.name);

        let verify = ["-servername", "m5.test", "-CAfile", root.to_str().unwrap(), "-verify_hostname", "m5.test"];
        let said = s_client(scene.home.https, &verify);
        assert!(said.verified(), "{}: {}", form.name, said.text);
        assert_eq!(said.certificates(), 2, "{}: {}", form.name, said.text);
        assert_eq!(served(scene.home.https, "m5.test").unwrap(), leaf.der, "{}", form.name);
    }
    let log = portvakt.child.lines().join("\n");
    assert!(!log.contains(PASSWORD) && !log.contains("correct horse"), "the password is in the log");
}

#[test]
fn given_each_form_when_checked_then_no_problem_but_what_is_said_of_the_root() {
    let scene = Scene::new();
    for form in FORMS {
        scene.make(&scene.issue(), form);
        scene.configure(form.certificate);
        let output = run(scene.home.path(), &["check", "--config", "portvakt.toml"]);
        let words = words(&output);
        assert!(output.status.success(), "{}: {words}", form.name);
        // A root that is among the certificates is known by that, and its issuer is not missed.
        let is_missed = words.contains("PV0315");
        assert_eq!(is_missed, !form.has_root, "{}: {words}", form.name);
        assert!(!words.contains("error["), "{}: {words}", form.name);
    }
}

#[test]
fn given_a_chain_without_its_intermediate_when_checked_or_run_then_its_name_is_told() {
    let scene = Scene::new();
    let leaf = scene.issue();
    let alone = leaf.chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    leaf.write(scene.home.path(), "site");
    replace(&scene.home.path().join("site.pem"), alone);
    scene.configure("{ chain = 'site.pem', key = 'site.key' }");

    let output = run(scene.home.path(), &["check", "--config", "portvakt.toml"]);
    let mut portvakt = scene.home.start();
    assert!(portvakt.reload(&scene.home));
    portvakt.terminate();

    let words = words(&output);
    assert!(words.contains("CN=intermediate of the test"), "{words}");
    let lines = portvakt.child.lines();
    let told = lines.iter().filter(|line| line.contains("CN=intermediate of the test")).count();
    assert_eq!(told, 2, "once at the start, once at the reload: {lines:?}");
}

#[test]
fn given_a_chain_that_loses_its_intermediate_when_files_are_watched_then_its_name_is_told() {
    let scene = Scene::new();
    let leaf = scene.issue();
    leaf.write(scene.home.path(), "site");
    scene.configure("{ chain = 'site.pem', key = 'site.key' }");
    let portvakt = scene.home.start();

    let alone = leaf.chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    replace(&scene.home.path().join("site.pem"), alone);

    portvakt.child.wait_line("the missing issuer", |line| {
        line.contains("the issuer's certificate is not in the files") && line.contains("CN=intermediate of the test")
    });
}

#[test]
fn given_load_when_pkcs12_is_cut_short_and_then_whole_then_nobody_notices_and_the_new_one_is_served() {
    let (stage, portvakt) = watched_pkcs12();
    let load = Load::start(&stage.target("/"), 2, 1);
    load.wait_for(10);
    for _ in 0..3 {
        let (new, mark) = (stage.ca.issue(&["m5.test"]), portvakt.child.mark());
        let path = stage.home.path().join("m5.p12");
        let before = served(stage.home.https, "m5.test").unwrap();
        let whole = pkcs12(&stage, &new, "next.p12");

        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        portvakt.child.wait_line_after(mark, "that the file is damaged", |line| line.contains("no PKCS #12"));
        assert_eq!(served(stage.home.https, "m5.test").unwrap(), before);
        fs::write(&path, &whole).unwrap();

        wait_served(&stage, &new);
        load.wait_for(5);
    }
    load.stop().assert_flawless();
}

#[test]
#[cfg(unix)]
fn given_pkcs12_and_password_in_a_volume_when_its_link_is_swapped_then_both_are_read_anew() {
    use std::os::unix::fs::symlink;

    let stage = Stage::new();
    let dir = stage.home.path().to_owned();
    let put = |folder: &str, leaf: &Leaf, password: &str| {
        fs::create_dir(dir.join(folder)).unwrap();
        fs::write(dir.join(folder).join("password"), password).unwrap();
        leaf.write(&dir, "made");
        let arguments = ["-in", "made.pem", "-inkey", "made.key", "-out"].map(str::to_owned);
        let file = format!("{folder}/site.p12");
        export(&dir, &[&arguments[..], &[file, "-passout".into(), format!("pass:{password}")]].concat());
    };
    let (old, new) = (stage.ca.issue(&["m5.test"]), stage.ca.issue(&["m5.test"]));
    put("..1", &old, "first");
    put("..2", &new, "second");
    symlink("..1", dir.join("..data")).unwrap();
    for file in ["site.p12", "password"] {
        symlink(Path::new("..data").join(file), dir.join(file)).unwrap();
    }
    configure(&stage, "{ pkcs12 = 'site.p12', password_file = 'password' }", "watch = true\n");
    let _portvakt = stage.home.start();
    assert_eq!(served(stage.home.https, "m5.test").unwrap(), old.der);

    symlink("..2", dir.join("..tmp")).unwrap();
    fs::rename(dir.join("..tmp"), dir.join("..data")).unwrap();

    wait_served(&stage, &new);
}

#[test]
fn given_a_password_in_the_environment_when_run_then_it_opens_the_file() {
    let stage = Stage::new();
    pkcs12(&stage, &stage.leaf, "m5.p12");
    configure(&stage, "{ pkcs12 = 'm5.p12', password = '${M5_PASSWORD}' }", "");
    let checked = crate::support::home::command(stage.home.path())
        .args(["check", "--config", "portvakt.toml"])
        .env("M5_PASSWORD", "hunter2")
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let wrong = crate::support::home::command(stage.home.path())
        .args(["check", "--config", "portvakt.toml"])
        .env("M5_PASSWORD", "hunter3")
        .output()
        .unwrap();
    let words = words(&wrong);
    assert!(words.contains("PV0311") && !words.contains("hunter3"), "{words}");
}

/// One way to keep an identity. In the folder there are `chain.pem`, `leaf.pem`, `inter.pem`, `root.pem`, `plain.key` and
/// `password`; `make` is a shell script that makes the rest.
struct Form {
    name: &'static str,
    certificate: &'static str,
    make: &'static str,
    has_root: bool,
}

const FORMS: &[Form] = &[
    Form {
        name: "PKCS #12 as OpenSSL 3 writes it",
        certificate: "{ pkcs12 = 'x.p12', password_file = 'password' }",
        make: "openssl pkcs12 -export -in leaf.pem -inkey plain.key -certfile inter.pem -out x.p12 -passout file:password",
        has_root: false,
    },
    Form {
        name: "PKCS #12 as Windows has long written it",
        certificate: "{ pkcs12 = 'x.pfx', password_file = 'password' }",
        make: "openssl pkcs12 -export -legacy -in leaf.pem -inkey plain.key -certfile inter.pem -out x.pfx -passout file:password",
        has_root: false,
    },
    Form {
        name: "PKCS #12 with 3DES throughout, the root, and a friendly name",
        certificate: "{ pkcs12 = 'x.pfx', password_file = 'password' }",
        make: "cat root.pem inter.pem > cas.pem; openssl pkcs12 -export -descert -legacy -name site -in leaf.pem \
               -inkey plain.key -certfile cas.pem -out x.pfx -passout file:password",
        has_root: true,
    },
    Form {
        name: "PKCS #12 with an empty password",
        certificate: "{ pkcs12 = 'x.p12' }",
        make: "openssl pkcs12 -export -in leaf.pem -inkey plain.key -certfile inter.pem -out x.p12 -passout pass:",
        has_root: false,
    },
    Form {
        name: "PKCS #12 without integrity data and without encryption",
        certificate: "{ pkcs12 = 'x.p12' }",
        make: "openssl pkcs12 -export -nomac -keypbe NONE -certpbe NONE -in leaf.pem -inkey plain.key -certfile inter.pem \
               -out x.p12 -passout pass:",
        has_root: false,
    },
    Form {
        name: "PKCS #12 with SHA-512 and AES-128",
        certificate: "{ pkcs12 = 'x.p12', password_file = 'password' }",
        make: "openssl pkcs12 -export -macalg sha512 -keypbe AES-128-CBC -certpbe AES-192-CBC -iter 10000 -in leaf.pem \
               -inkey plain.key -certfile inter.pem -out x.p12 -passout file:password",
        has_root: false,
    },
    Form {
        name: "PKCS #7 in DER, PKCS #8 in DER",
        certificate: "{ chain = 'x.p7b', key = 'x.key' }",
        make: "openssl crl2pkcs7 -nocrl -certfile root.pem -certfile inter.pem -certfile leaf.pem -outform DER -out x.p7b; \
               openssl pkey -in plain.key -outform DER -out x.key",
        has_root: true,
    },
    Form {
        name: "PKCS #7 in PEM, PKCS #8 encrypted by PBES2",
        certificate: "{ chain = 'x.p7b', key = 'x.key', password_file = 'password' }",
        make: "openssl crl2pkcs7 -nocrl -certfile inter.pem -certfile leaf.pem -out x.p7b; \
               openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA512 -in plain.key -out x.key -passout file:password",
        has_root: false,
    },
    Form {
        name: "DER certificates in the wrong order, SEC 1 in DER",
        certificate: "{ chain = ['inter.cer', 'leaf.cer'], key = 'x.key' }",
        make: "openssl x509 -in inter.pem -outform DER -out inter.cer; openssl x509 -in leaf.pem -outform DER -out leaf.cer; \
               openssl ec -in plain.key -outform DER -out x.key",
        has_root: false,
    },
    Form {
        name: "encrypted PKCS #8 in DER by PBES2 with 3DES",
        certificate: "{ chain = 'chain.pem', key = 'x.key', password_file = 'password' }",
        make: "openssl pkcs8 -topk8 -v2 des3 -v2prf hmacWithSHA1 -in plain.key -outform DER -out x.key -passout file:password",
        has_root: false,
    },
    Form {
        name: "encrypted PKCS #8 by the older scheme with 3DES",
        certificate: "{ chain = 'chain.pem', key = 'x.key', password_file = 'password' }",
        make: "openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES -in plain.key -out x.key -passout file:password",
        has_root: false,
    },
    Form {
        name: "encrypted PKCS #8 by the older scheme with RC2",
        certificate: "{ chain = 'chain.pem', key = 'x.key', password_file = 'password' }",
        make: "openssl pkcs8 -topk8 -v1 PBE-SHA1-RC2-128 -provider legacy -provider default -in plain.key -out x.key \
               -passout file:password",
        has_root: false,
    },
    Form {
        name: "everything in one file: backwards, twice, with words, a byte order mark and CRLF",
        certificate: "{ chain = 'all.pem', key = 'all.pem' }",
        make: "(printf '\\357\\273\\277'; for f in root inter leaf inter; do openssl x509 -text -in $f.pem; done; cat plain.key) \
               | sed 's/$/\\r/' > all.pem",
        has_root: true,
    },
    Form {
        name: "UTF-16, as PowerShell's redirection writes it",
        certificate: "{ chain = 'x.pem', key = 'plain.key' }",
        make: "(printf '\\377\\376'; iconv -f utf-8 -t utf-16le chain.pem) > x.pem",
        has_root: false,
    },
];

struct Scene {
    home: Home,
    intermediate: Intermediate,
    echo: Echo,
}

impl Scene {
    fn new() -> Self {
        let (home, ca, echo) = (Home::new(), Ca::new("root of the test"), Echo::start());
        let intermediate = ca.intermediate("intermediate of the test");
        ca.write(home.path().join("root.pem"));
        fs::write(home.path().join("inter.pem"), intermediate.pem()).unwrap();
        fs::write(home.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        Self { home, intermediate, echo }
    }

    fn issue(&self) -> Leaf {
        self.intermediate.issue(&["m5.test"])
    }

    fn configure(&self, certificate: &str) {
        let site = format!("domain = \"m5.test\"\nupstream = \"{}\"\ncertificate = {certificate}\n", self.echo.url());
        self.home.configure("", &format!("[[site]]\n{site}"));
    }

    fn make(&self, leaf: &Leaf, form: &Form) {
        let write = |name: &str, text: &str| fs::write(self.home.path().join(name), text).unwrap();
        write("chain.pem", &leaf.chain);
        write("leaf.pem", leaf.chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap());
        write("plain.key", &leaf.key);
        let openssl = program("openssl");
        let path = format!("{}:{}", openssl.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        let made = shell.current_dir(self.home.path()).env("PATH", path).args(["-ec", form.make]).output().unwrap();
        assert!(made.status.success(), "{}: {}", form.name, String::from_utf8_lossy(&made.stderr));
    }
}

fn configure(stage: &Stage, certificate: &str, top: &str) {
    let site = format!("[[site]]\ndomain = \"m5.test\"\nupstream = \"{}\"\n", stage.echo.url());
    stage.home.configure(top, &format!("{site}certificate = {certificate}\n"));
}

/// A portvakt that watches `m5.p12`.
fn watched_pkcs12() -> (Stage, crate::support::Portvakt) {
    let stage = Stage::new();
    let first = pkcs12(&stage, &stage.leaf, "first.p12");
    fs::write(stage.home.path().join("m5.p12"), first).unwrap();
    fs::write(stage.home.path().join("password"), "hunter2").unwrap();
    configure(&stage, "{ pkcs12 = 'm5.p12', password_file = 'password' }", "watch = true\n");
    let portvakt = stage.home.start();
    (stage, portvakt)
}

/// Exports a leaf under the password `hunter2`, and gives the bytes.
fn pkcs12(stage: &Stage, leaf: &Leaf, file: &str) -> Vec<u8> {
    leaf.write(stage.home.path(), "made");
    let arguments = ["-in", "made.pem", "-inkey", "made.key", "-out", file, "-passout", "pass:hunter2"];
    export(stage.home.path(), &arguments.map(str::to_owned));
    fs::read(stage.home.path().join(file)).unwrap()
}

fn export(dir: &Path, arguments: &[String]) {
    let mut openssl = Command::new(program("openssl"));
    let made = openssl.current_dir(dir).args(["pkcs12", "-export"]).args(arguments).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn wait_served(stage: &Stage, leaf: &Leaf) {
    eventually("the new certificate is served", PATIENCE, || {
        (served(stage.home.https, "m5.test").ok()? == leaf.der).then_some(())
    });
}
