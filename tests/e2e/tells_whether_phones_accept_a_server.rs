//! `portvakt doctor URL` says what phones and browsers make of a server, whatever the server does, and how to mend it.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rcgen::{CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::Nginx;
use crate::support::ca::{Ca, Leaf, Life, self_signed};
use crate::support::home::run;
use crate::support::peers::program;
use crate::support::ports::free_port;

const HOST: &str = "door.example.se";
const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn given_a_good_server_when_looked_at_then_everybody_accepts_it_and_there_is_nothing_to_do() {
    let scene = Scene::new();
    let more = "add_header Strict-Transport-Security \"max-age=31536000\";";
    let nginx = Nginx::start_tls_with(&scene.ca.intermediate("Test intermediate").issue(&[HOST]), more);

    let output = scene.doctor(nginx.https, &[]);

    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "https://door.example.se:",
        "Android phones accept this server where the root `Test root` is installed.",
        "iPhones accept this server",
        "Browsers accept this server",
        "Nothing to do. It stops working on 2",
        " days, unless the certificate is renewed before.",
        "issued to the DNS name",
        "TLS 1.2, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, http/1.1",
        "PV0663 good to know: it is believed only where your own root is installed",
        "issued by CN=Test root",
        "names door.example.se",
        "(HSTS max-age=31536000)",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert!(!text.contains("  no\n"), "{text}");
}

#[test]
fn given_what_may_be_wrong_with_a_certificate_when_looked_at_then_who_refuses_it_and_why() {
    let scene = Scene::new();
    let ca = &scene.ca;
    let by = |change: &dyn Fn(&mut CertificateParams)| ca.issue_as(&[HOST], 90 * DAY, change);
    let everybody = ["android", "iphone", "browsers"].as_slice();
    #[rustfmt::skip]
    let table: [(&str, Leaf, &str, &[&str]); 10] = [
        ("expired", ca.issue_in(&[HOST], Life::Ended), "PV0650", everybody),
        ("to come", ca.issue_in(&[HOST], Life::ToCome), "PV0651", everybody),
        ("wrong name", ca.issue(&["other.example.se", "*.b.example.se"]), "PV0648", everybody),
        ("self-signed", self_signed(&[HOST]), "PV0652", everybody),
        ("stranger's", Ca::new("A stranger").issue(&[HOST]), "PV0653", everybody),
        ("no SAN", ca.issue_as(&[], 90 * DAY, &|it| it.distinguished_name.push(DnType::CommonName, HOST)), "PV0649", everybody),
        ("too long", ca.issue_for(&[HOST], 826 * DAY), "PV0658", &["iphone"]),
        ("no purpose", by(&|it| it.extended_key_usages.clear()), "PV0657", &["iphone"]),
        ("for clients", by(&|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]), "PV0657", everybody),
        ("ends soon", ca.issue_in_days(&[HOST], 80, 5), "PV0662", &[]),
    ];
    for (name, leaf, code, refused_by) in table {
        let nginx = Nginx::start_tls(&leaf);

        let told = scene.json(nginx.https, &[]);

        let codes = codes(&told).into_iter().filter(|it| *it != "PV0663").collect::<Vec<_>>();
        assert_eq!(codes, [code], "{name}: {told:#}");
        assert_eq!(told["ok"], false, "{name}");
        for who in everybody {
            let is_refused = told["audiences"][who]["verdict"] == "refuses";
            assert_eq!(is_refused, refused_by.contains(who), "{name}, {who}: {told:#}");
        }
    }
}

#[test]
fn given_certificates_of_old_when_looked_at_then_what_is_too_weak() {
    let scene = Scene::new();
    let san = format!("subjectAltName=DNS:{HOST}");
    #[rustfmt::skip]
    let table = [
        ("rsa:1024", "-sha256", "PV0655", "RSA-1024"),
        ("rsa:2048", "-sha1", "PV0656", "SHA-1"),
    ];
    for (key, digest, code, told) in table {
        let leaf = by_openssl(&["-newkey", key, digest, "-days", "90", "-addext", &san]);
        let nginx = Nginx::start_tls_with(&leaf, " ssl_ciphers DEFAULT:@SECLEVEL=0;");

        let output = scene.doctor(nginx.https, &[]);

        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        for part in [code, told, "PV0652 broken: the certificate is self-signed"] {
            assert!(text.contains(part), "{key} {digest}: {part} is missing:\n{text}");
        }
    }
}

#[test]
fn given_a_server_of_old_when_looked_at_then_its_certificate_is_seen_all_the_same() {
    let scene = Scene::new();
    #[rustfmt::skip]
    let table = [
        ("TLSv1 TLSv1.1", "DEFAULT", "TLS 1.1", "broken"),
        ("TLSv1.2", "ECDHE-ECDSA-AES256-SHA384", "TLS 1.2", "mend"),
    ];
    for (protocols, ciphers, version, level) in table {
        let more = format!(" ssl_protocols {protocols}; ssl_ciphers {ciphers}:@SECLEVEL=0;");
        let nginx = Nginx::start_tls_with(&scene.ca.issue(&[HOST]), &more);

        let told = scene.json(nginx.https, &[]);

        let finding = &told["findings"][0];
        assert_eq!((&finding["code"], &finding["level"]), (&"PV0644".into(), &level.into()), "{told:#}");
        assert_eq!(finding["facts"]["version"], version);
        assert_eq!(told["criteria"]["issued_to_name"], true, "the chain is judged: {told:#}");
    }
}

#[test]
fn given_an_intermediate_that_is_not_sent_when_looked_at_then_android_alone_refuses_it() {
    let scene = Scene::new();
    let intermediate = scene.ca.intermediate("Test intermediate");
    let library = Nginx::start();
    fs::write(library.files().join("ca.pem"), intermediate.pem()).unwrap();
    let url = format!("http://127.0.0.1:{}/files/ca.pem", library.http);
    let leaf = intermediate.issue_as(&[HOST], &|it| it.custom_extensions.push(authority_information(&url)));
    let alone = Leaf { chain: first_of(&leaf.chain), ..leaf.clone() };

    let nginx = Nginx::start_tls(&alone);
    let told = scene.json(nginx.https, &[]);

    assert_eq!(codes(&told), ["PV0654", "PV0663"], "{told:#}");
    assert_eq!(told["audiences"]["android"]["because"], "PV0654");
    assert_eq!(told["audiences"]["iphone"]["verdict"], "accepts_with_root");
    assert_eq!(told["criteria"]["trusted_authority"], true);
    assert!(told["findings"][0]["what"].as_str().unwrap().contains("`Test intermediate` is missing"));

    let whole = Nginx::start_tls(&leaf);
    assert_eq!(codes(&scene.json(whole.https, &[])), ["PV0663"]);
    drop(library);
    assert_eq!(codes(&scene.json(nginx.https, &[])), ["PV0653"], "where it cannot be had, nothing leads to a root");
}

#[test]
fn given_servers_that_are_none_when_looked_at_then_one_clear_finding_each() {
    let scene = Scene::new();
    let http = Nginx::start();
    let endless = [vec![22, 3, 3, 0xff, 0xff, 11, 0xff, 0xff, 0xff], vec![0; 1 << 20]].concat();
    #[rustfmt::skip]
    let table = [
        ("nobody", free_port(), "PV0641", "connection refused"),
        ("plain HTTP", http.http, "PV0643", "answers plain HTTP"),
        ("SSH", speaks(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "PV0643", "not with TLS"),
        ("an endless message", speaks(endless), "PV064", "127.0.0.1"),
        ("closes", speaks(Vec::new()), "PV0645", "closes the connection"),
        ("an alert", speaks(vec![21, 3, 3, 0, 2, 2, 112]), "PV0647", "unrecognized_name"),
        ("half a hello", speaks(vec![22, 3, 3, 0, 40, 2, 0, 0, 36, 3, 3]), "PV064", "127.0.0.1"),
    ];
    for (name, port, code, told) in table {
        let output = scene.doctor(port, &[]);

        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        assert!(text.contains(code) && text.contains(told), "{name}: {text}");
        assert!(text.contains("Android phones do not get through: "), "{name}: {text}");
        assert!(text.contains("no certificate was seen") && !text.contains("panicked"), "{name}: {text}");
    }
}

#[test]
fn given_a_name_without_an_address_when_looked_at_then_it_is_said() {
    let scene = Scene::new();
    let output = run(scene.dir.path(), &["doctor", "https://nothing.invalid/"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("PV0640 broken: the name leads nowhere"), "{text}");
}

#[test]
fn given_redirects_when_followed_then_circles_and_ways_back_to_plain_http_are_told() {
    let scene = Scene::new();
    let port = free_port();
    let more = format!(
        "listen 127.0.0.1:{port} ssl; location /loop {{ return 302 /loop2; }} location /loop2 {{ return 302 /loop; }}
         location /down {{ return 302 http://{HOST}:$arg_port/up; }} location /up {{ return 200 x; }}
         location /cookie {{ add_header Set-Cookie seen=1; if ($http_cookie) {{ return 200 x; }} return 302 /cookie; }}
         location /safe {{ add_header Set-Cookie \"seen=1; Secure\"; return 200 x; }}
         location /ntlm {{ add_header WWW-Authenticate Negotiate always; add_header WWW-Authenticate NTLM always; return 401; }}
         location /away {{ return 301 https://elsewhere.example/; }} location /broken {{ return 503; }}"
    );
    let nginx = Nginx::start_tls_with(&scene.ca.issue(&[HOST]), &more);
    let down = format!("/down?port={}", nginx.http);
    #[rustfmt::skip]
    let table: [(&str, &[&str]); 8] = [
        ("/loop", &["PV0665", "PV0663"]),
        (&down, &["PV0666", "PV0663"]),
        ("/cookie", &["PV0680", "PV0663"]),
        ("/safe", &["PV0663"]),
        ("/ntlm", &["PV0663", "PV0681"]),
        ("/away", &["PV0663"]),
        ("/broken", &["PV0667", "PV0663"]),
        ("/", &["PV0663"]),
    ];
    for (path, expected) in table {
        let told = scene.look(&format!("https://{HOST}:{}{path}", nginx.https), &["--json"]);
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        assert_eq!(codes(&told), expected, "{path}: {told:#}");
    }
    let http = nginx.http.to_string();
    let told = scene.json(nginx.https, &["--http-port", &http]);
    assert_eq!(codes(&told), ["PV0663", "PV0664"], "{told:#}");
    assert_eq!(told["http"][0]["status"], 200);
}

#[test]
fn given_a_server_that_demands_a_client_certificate_when_looked_at_then_it_is_told() {
    let scene = Scene::new();
    let clients = Ca::new("Clients");
    let nginx = Nginx::start_for_clients_of(&scene.ca.issue(&[HOST]), &clients);
    let told = scene.json(nginx.https, &[]);
    assert_eq!(codes(&told), ["PV0668", "PV0663"]);
    assert_eq!(told["audiences"]["android"]["because"], "PV0668", "it answers 400 to whoever has none");
}

#[test]
fn given_several_addresses_when_looked_at_then_each_is_told() {
    let scene = Scene::new();
    let nginx = Nginx::start_tls(&scene.ca.issue(&[HOST]));

    let told = scene.json(nginx.https, &["--address", "127.0.0.2"]);

    assert_eq!(codes(&told), ["PV0642", "PV0663"], "{told:#}");
    assert_eq!(told["addresses"][1]["error"], "connection refused");
    assert_eq!(told["audiences"]["android"]["verdict"], "accepts_with_root");
}

#[test]
fn given_a_command_line_that_makes_no_sense_when_carried_out_then_2() {
    let scene = Scene::new();
    for (arguments, told) in [
        (["doctor", "http://a.example/"], "plain HTTP has no certificate"),
        (["doctor", "ftp://a.example/"], "not the URL of a page"),
        (["doctor", "--lang=fr"], "invalid value"),
    ] {
        let output = run(scene.dir.path(), &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output).contains(told), "{}", text(&output));
    }
    let output = run(scene.dir.path(), &["help", "PV0652"]);
    assert!(output.status.success() && text(&output).contains("the certificate is self-signed"), "{}", text(&output));
}

struct Scene {
    ca: Ca,
    root: PathBuf,
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        let (ca, dir) = (Ca::new("Test root"), TempDir::new().unwrap());
        let root = ca.write(dir.path().join("root.pem"));
        Self { ca, root, dir }
    }

    fn doctor(&self, port: u16, more: &[&str]) -> Output {
        self.look(&format!("https://{HOST}:{port}/"), more)
    }

    fn look(&self, url: &str, more: &[&str]) -> Output {
        let root = self.root.display().to_string();
        let fixed = ["doctor", url, "--address", "127.0.0.1", "--trust-anchors", &root];
        run(self.dir.path(), &[&fixed, more].concat())
    }

    fn json(&self, port: u16, more: &[&str]) -> Value {
        let output = self.doctor(port, &[&["--json"], more].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output)))
    }
}

fn codes(told: &Value) -> Vec<&str> {
    told["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// Somebody who says the same to everybody, and listens for a while.
fn speaks(words: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let words = words.clone();
            std::thread::spawn(move || answer(&mut stream, &words));
        }
    });
    port
}

fn answer(stream: &mut TcpStream, words: &[u8]) {
    let mut heard = [0; 4096];
    let _ = stream.read(&mut heard);
    let _ = stream.write_all(words);
}

fn by_openssl(arguments: &[&str]) -> Leaf {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    let status = Command::new(program("openssl"))
        .args(["req", "-x509", "-nodes", "-subj", &format!("/CN={HOST}")])
        .args(arguments)
        .arg("-keyout")
        .arg(path("key"))
        .arg("-out")
        .arg(path("chain"))
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    Leaf { chain: read(&path("chain")), key: read(&path("key")), der: Vec::new().into() }
}

/// Where the issuer's certificate lies (RFC 5280 §4.2.2.1).
fn authority_information(url: &str) -> CustomExtension {
    let of = |tag: u8, content: Vec<u8>| [vec![tag, u8::try_from(content.len()).unwrap()], content].concat();
    let method = vec![6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
    let content = of(0x30, of(0x30, [method, of(0x86, url.as_bytes().to_vec())].concat()));
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

fn first_of(chain: &str) -> String {
    let end = "-----END CERTIFICATE-----";
    format!("{}{end}\n", chain.split(end).next().unwrap())
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
