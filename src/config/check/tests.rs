//! What a sound configuration means. What is wrong with others is shown by `tests/data/bad`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::environment::tests::With;
use crate::config::{Config, LogFormat, Problems, Purpose, from_text_on};
use crate::pki::{KeyType, Password};
use crate::route::{AllowList, Hsts, Limits, Mode, PlainPolicy, Rate, RedirectMethods, Route};
use crate::source::{AcmeSettings, ChallengeKind, FileForm, FileSettings, PasswordSource, Settings};
use crate::tls::MinVersion;
use crate::upstream::{Address, Trust};

fn read(text: &str) -> Result<Config, Problems> {
    let machine = With(&[("HOME", "/home/a"), ("HOST", "127.0.0.1"), ("PORT", "7")], false);
    from_text_on("test.toml", text, Path::new("/etc/portvakt"), Purpose::CheckOffline, &machine)
        .map(|loaded| loaded.config)
}

fn sound(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The shortest configuration, with lines for the top level and for its site.
fn with(top: &str, site: &str) -> Config {
    let acme = if top.contains("acme") { "" } else { "acme = { agree_tos = true }" };
    let upstream = if site.contains("upstream") { "" } else { "upstream = 'http://127.0.0.1:8080'" };
    let domain = if site.starts_with("domain") { "" } else { "domain = 'app.example.com'" };
    sound(&format!("{acme}\n{top}\n[[site]]\n{domain}\n{upstream}\n{site}"))
}

fn acme(keys: &str) -> AcmeSettings {
    match with(&format!("acme = {{ agree_tos = true, {keys} }}"), "").certificates.swap_remove(0).source {
        Settings::Acme(cas) => cas.first,
        other => panic!("{other:?}"),
    }
}

#[test]
fn given_addresses_when_read_then_a_string_a_list_or_none() {
    let config = with("listen = { http = '127.0.0.1:1', https = ['127.0.0.1:2', '[::1]:2'], admin = [] }", "");
    assert_eq!(config.listen.http, ["127.0.0.1:1".parse().unwrap()]);
    assert_eq!(config.listen.https, ["127.0.0.1:2".parse().unwrap(), "[::1]:2".parse().unwrap()]);
    assert_eq!(config.listen.admin, []);
}

#[test]
fn given_no_public_port_when_read_then_the_one_of_https() {
    for (listen, port) in [
        ("", 443),
        ("listen = { https = '127.0.0.1:5001' }", 5001),
        ("listen = { https = '127.0.0.1:5001', public_https_port = 443 }", 443),
        ("listen = { https = [] }", 443),
    ] {
        assert_eq!(with(listen, "").route.public_https_port, port, "{listen}");
    }
}

#[test]
fn given_a_listener_that_is_off_when_read_then_its_challenge_is_not_tried() {
    let (http, alpn) = (ChallengeKind::Http01, ChallengeKind::TlsAlpn01);
    for (listen, kinds) in [
        ("", &[http, alpn][..]),
        ("listen = { http = [] }", &[alpn]),
        ("listen = { https = [] }", &[http]),
        ("listen = { admin = [] }", &[http, alpn]),
    ] {
        let Settings::Acme(cas) = with(listen, "").certificates.swap_remove(0).source else { unreachable!() };
        assert_eq!(cas.first.challenges, kinds, "{listen}");
    }
}

#[test]
fn given_acme_keys_when_read_then_each_has_its_meaning() {
    assert_eq!(acme(""), AcmeSettings { agree_tos: true, ..AcmeSettings::default() });
    assert_eq!(acme("directory = 'letsencrypt-staging'").directory, AcmeSettings::LETS_ENCRYPT_STAGING);
    assert_eq!(acme("directory = 'https://127.0.0.1:14000/dir'").directory, "https://127.0.0.1:14000/dir");
    assert_eq!(acme("contact = 'a@example.com'").contact, ["mailto:a@example.com"]);
    assert_eq!(
        acme("contact = ['mailto:a@example.com', 'b@example.com']").contact,
        ["mailto:a@example.com", "mailto:b@example.com"]
    );
    assert_eq!(acme("challenges = ['tls-alpn-01']").challenges, [ChallengeKind::TlsAlpn01]);
    assert_eq!(acme("challenges = ['http-01', 'http-01']").challenges, [ChallengeKind::Http01]);
    assert_eq!(acme("key_type = 'rsa2048'").key_type, KeyType::Rsa2048);
    assert_eq!(acme("profile = 'shortlived'").profile.as_deref(), Some("shortlived"));
    assert!(acme("trust_anchors = 'public'").trust_anchors.is_some());
    assert_eq!(acme("key_type = 'rsa4096'").key_type, KeyType::Rsa4096);
    assert_eq!(acme("preferred_chain = 'ISRG Root X2'").preferred_chain.as_deref(), Some("ISRG Root X2"));
    assert_eq!(acme("staging = 'https://ca.example.com/s'").twin(), Some("https://ca.example.com/s"));
    assert_eq!(acme("").twin(), Some(AcmeSettings::LETS_ENCRYPT_STAGING));
    assert_eq!(acme("directory = 'https://ca.example.com/d'").twin(), None);
    assert_eq!(acme("proxy = 'http://p.example.com:3128'").proxy.unwrap().to_string(), "http://p.example.com:3128");
    assert_eq!(acme("eab = { kid = 'k', key_file = '/none' }").eab.unwrap().kid, "k");
}

#[test]
fn given_a_site_when_read_then_every_room_gets_the_same_names_in_the_same_order() {
    let config = with("", "domains = ['App.Example.com', 'www.example.com']\nname = 'app'\ndefault = true");
    assert_eq!(config.route.sites[0].domains, ["app.example.com", "www.example.com"]);
    assert_eq!(config.tls[0].domains, config.route.sites[0].domains);
    assert_eq!(config.certificates[0].identifiers, config.route.sites[0].domains);
    assert_eq!(config.route.sites[0].name, "app");
    assert_eq!((&*config.tls[0].name, &*config.certificates[0].name), ("app", "app"));
    assert!(config.tls[0].is_default && config.route.sites[0].is_default);
}

#[test]
fn given_a_certificate_source_when_read_then_it() {
    let source = |site: &str| with("", site).certificates.swap_remove(0).source;
    assert!(matches!(source("certificate = 'acme'"), Settings::Acme(_)));
    assert_eq!(source("certificate = 'internal'"), Settings::Internal);
    let pair = |chain: &[&str], password| {
        let chain = chain.iter().map(Into::into).collect();
        Settings::Files(FileSettings { form: FileForm::Pair { chain, key: "/k.pem".into() }, password })
    };
    let table = |keys: &str| source(&format!("certificate = {{ {keys} }}"));
    assert_eq!(table("chain = 'c.pem', key = '/k.pem'"), pair(&["/etc/portvakt/c.pem"], None));
    assert_eq!(table("chain = ['/c.pem', '/i.cer'], key = '/k.pem'"), pair(&["/c.pem", "/i.cer"], None));
    let in_file = PasswordSource::File("/etc/portvakt/p".into());
    assert_eq!(table("chain = '/c', key = '/k.pem', password_file = 'p'"), pair(&["/c"], Some(in_file.clone())));
    let pkcs12 = |password| Settings::Files(FileSettings { form: FileForm::Pkcs12("/x.p12".into()), password });
    assert_eq!(table("pkcs12 = '/x.p12', password_file = 'p'"), pkcs12(Some(in_file)));
    let given = PasswordSource::Given(Password::new("127.0.0.1"));
    assert_eq!(table("pkcs12 = '/x.p12', password = '${HOST}'"), pkcs12(Some(given)));
    assert_eq!(table("pkcs12 = '/x.p12'"), pkcs12(None));
    assert!(matches!(source("domain = '*.example.com'\ncertificate = { chain = 'c', key = 'k' }"), Settings::Files(_)));
}

#[test]
fn given_a_version_when_read_then_the_oldest_offered() {
    assert_eq!(with("", "").tls[0].min_version, MinVersion::Tls12);
    assert_eq!(with("", "tls = { min = '1.3' }").tls[0].min_version, MinVersion::Tls13);
}

#[test]
fn given_rules_for_plain_http_when_read_then_the_longest_path_first() {
    let https = "https = { mode = 'permanent', rest = 'allow', redirect_methods = 'all', \
                 paths = { '/a' = 'reject', '/a/b/' = 'redirect' } }";
    let https = with("", https).route.sites.swap_remove(0).https;
    assert_eq!((https.mode, https.rest), (Mode::Permanent, PlainPolicy::Allow));
    assert_eq!(https.redirect_methods, RedirectMethods::All);
    let paths: Vec<_> = https.paths.iter().map(|(path, policy)| (path.as_str(), *policy)).collect();
    assert_eq!(paths, [("/a/b/", PlainPolicy::Redirect), ("/a/", PlainPolicy::Reject)]);
}

#[test]
fn given_nothing_about_plain_http_when_read_then_temporary_redirects() {
    let https = with("", "").route.sites.swap_remove(0).https;
    assert_eq!((https.mode, https.rest), (Mode::Temporary, PlainPolicy::Redirect));
    assert!(https.paths.is_empty());
}

#[test]
fn given_hsts_when_read_then_opt_in() {
    for (site, hsts) in [
        ("", None),
        ("hsts = false", None),
        ("hsts = true", Some(Hsts { max_age: 15_552_000, include_subdomains: false })),
        ("hsts = { max_age = '1d' }", Some(Hsts { max_age: 86_400, include_subdomains: false })),
        ("hsts = { max_age = '0s' }", Some(Hsts { max_age: 0, include_subdomains: false })),
        ("hsts = { include_subdomains = true }", Some(Hsts { max_age: 15_552_000, include_subdomains: true })),
    ] {
        let site = format!("{site}\nhttps = {{ mode = 'permanent' }}");
        assert_eq!(with("", &site).route.sites[0].hsts, hsts, "{site}");
    }
}

#[test]
fn given_an_upstream_when_read_then_address_and_name() {
    let tcp = |host: &str, port| Address::Tcp { host: host.to_owned(), port };
    for (upstream, address, name) in [
        ("'http://127.0.0.1'", tcp("127.0.0.1", 80), "127.0.0.1:80"),
        ("'http://[::1]:8080/'", tcp("::1", 8080), "[::1]:8080"),
        ("'http://LOCALHOST:8080'", tcp("localhost", 8080), "localhost:8080"),
        ("'unix:/run/a.sock'", Address::Unix("/run/a.sock".into()), "unix:/run/a.sock"),
        ("'unix:a.sock'", Address::Unix("/etc/portvakt/a.sock".into()), "unix:a.sock"),
        ("{ url = 'http://app:8080', allow_plaintext = true }", tcp("app", 8080), "app:8080"),
        ("{ url = 'http://127.0.0.1', name = 'one' }", tcp("127.0.0.1", 80), "one"),
        ("'http://${HOST}:${PORT}'", tcp("127.0.0.1", 7), "127.0.0.1:7"),
    ] {
        let config = with("", &format!("upstream = {upstream}"));
        assert_eq!((&config.upstreams[0].peers[0].address, &*config.upstreams[0].name), (&address, name), "{upstream}");
        assert_eq!(config.upstreams[0].peers[0].tls, None);
    }
}

#[test]
fn given_an_https_upstream_when_read_then_server_name_and_trust() {
    let digest = "00".repeat(32);
    for (keys, server_name, is_pinned) in [
        ("trust_anchors = 'public'".to_owned(), "10.0.0.5", false),
        ("trust_anchors = ['a.pem', 'b.pem'], server_name = 'Legacy.Local'".to_owned(), "legacy.local", false),
        (format!("fingerprint = '{digest}'"), "10.0.0.5", true),
        ("pin = ['sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=']".to_owned(), "10.0.0.5", true),
    ] {
        let config = with("", &format!("upstream = {{ url = 'https://10.0.0.5', {keys} }}"));
        let tls = config.upstreams[0].peers[0].tls.as_ref().unwrap();
        assert_eq!(tls.server_name, server_name, "{keys}");
        assert_eq!(matches!(tls.trust, Trust::Pinned { .. }), is_pinned, "{keys}");
    }
}

#[test]
fn given_timeouts_when_read_then_the_others_keep_their_default() {
    let upstream = "{ url = 'http://127.0.0.1', response_timeout = '1m', host = 'legacy:8080' }";
    let settings = with("", &format!("upstream = {upstream}")).upstreams.swap_remove(0);
    assert_eq!(settings.timeouts.first_byte, Duration::from_secs(60));
    assert_eq!(settings.timeouts.connect, Duration::from_secs(5));
    assert_eq!(settings.host.as_deref(), Some("legacy:8080"));
}

#[test]
fn given_an_upstream_twice_when_read_then_one_and_another_with_its_own_name() {
    let route = |path: &str, upstream: &str| format!("[[site.route]]\npath = '{path}'\nupstream = {upstream}\n");
    let config = with(
        "",
        &[
            route("/same/", "'http://127.0.0.1:8080'"),
            route("/host/", "{ url = 'http://127.0.0.1:8080', host = 'other' }"),
            route("/slow/", "{ url = 'http://127.0.0.1:8080', idle_timeout = '1s' }"),
            route("/host2/", "{ url = 'http://127.0.0.1:8080', host = 'other' }"),
        ]
        .concat()
        .replacen("[[", "upstream = 'http://127.0.0.1:8080'\n[[", 1),
    );
    let names: Vec<_> = config.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    assert_eq!(names, ["127.0.0.1:8080", "127.0.0.1:8080#2", "127.0.0.1:8080#3"]);
    let of =
        |path: &str| config.route.sites[0].routes.iter().find(|route| route.path.as_str() == path).unwrap().upstream;
    assert_eq!([of("/"), of("/same/"), of("/host/"), of("/slow/"), of("/host2/")], [0, 0, 1, 2, 1]);
}

#[test]
fn given_routes_when_read_then_the_root_is_last_and_names_have_their_default() {
    let site = "upstream = 'http://127.0.0.1:1'\n\
                [[site.route]]\npath = '/api/'\nupstream = 'http://127.0.0.1:2'\n\
                [[site.route]]\npath = '/api/v2/'\nname = 'v2'\nupstream = 'http://127.0.0.1:3'";
    let routes = with("", site).route.sites.swap_remove(0).routes;
    let names: Vec<_> = routes.iter().map(|route| (route.path.as_str(), route.name.as_str())).collect();
    assert_eq!(names, [("/api/v2/", "v2"), ("/api/", "app.example.com:/api/"), ("/", "app.example.com:/")]);
}

#[test]
fn given_aliases_when_read_then_the_certificate_names_them_and_handshakes_know_them() {
    let config = with("", "aliases = ['www.example.com', 'Old.example.com']");
    let all = ["app.example.com", "www.example.com", "old.example.com"];
    assert_eq!(config.route.sites[0].domains, all[..1]);
    assert_eq!(config.route.sites[0].aliases, all[1..]);
    assert_eq!(
        (&config.tls[0].domains[..], &config.certificates[0].identifiers[..]),
        (&all.map(str::to_owned)[..], &all.map(str::to_owned)[..])
    );
}

#[test]
fn given_a_site_that_only_redirects_when_read_then_it_needs_no_upstream() {
    let config = sound(
        "acme = { agree_tos = true }\n[[site]]\ndomain = 'a.example.com'\nredirect_to = 'https://b.example.com/x/'",
    );
    let site = &config.route.sites[0];
    assert_eq!(site.redirect_to.as_ref().unwrap().as_str(), "https://b.example.com/x");
    assert!(site.routes.is_empty() && config.upstreams.is_empty());
    assert_eq!(site.labels(), ["a.example.com:/"]);
}

#[test]
fn given_a_list_of_clients_when_read_then_a_route_replaces_that_of_its_site() {
    let site = "upstream = 'http://127.0.0.1:1'\nallow_from = '10.0.0.0/8'\n\
                [[site.route]]\npath = '/a/'\nupstream = 'http://127.0.0.1:1'\nallow_from = ['192.0.2.7', '2001:db8::/32']\n\
                [[site.route]]\npath = '/b/'\nupstream = 'http://127.0.0.1:1'";
    let routes = with("", site).route.sites.swap_remove(0).routes;
    let list = |path: &str| routes.iter().find(|route| route.path.as_str() == path).unwrap().allow_from.clone();
    let networks = |texts: &[&str]| AllowList::new(texts.iter().map(|text| text.parse().unwrap()).collect());
    assert_eq!(list("/"), networks(&["10.0.0.0/8"]));
    assert_eq!(list("/a/"), networks(&["192.0.2.7/32", "2001:db8::/32"]));
    assert_eq!(list("/b/"), networks(&["10.0.0.0/8"]));
}

#[test]
fn given_headers_when_read_then_a_route_adds_to_its_site() {
    let site = "upstream = 'http://127.0.0.1:1'\n\
                headers = { request = { set = { X-Site = 's', X-Both = 's' } }, response = { remove = 'Server' } }\n\
                [[site.route]]\npath = '/a/'\nupstream = 'http://127.0.0.1:1'\nstrip_prefix = true\n\
                headers = { request = { set = { X-Both = 'r' }, remove = ['Cookie'] } }";
    let routes = with("", site).route.sites.swap_remove(0).routes;
    let set = |route: &Route| -> Vec<String> {
        let pairs = route.request_headers.set.iter();
        pairs.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    };
    assert_eq!(set(&routes[0]), ["x-site: s", "x-both: r"]);
    assert_eq!(set(&routes[1]), ["x-site: s", "x-both: s"]);
    assert_eq!((routes[0].request_headers.remove.len(), routes[0].response_headers.remove.len()), (1, 1));
    assert!(routes[0].strip_prefix && !routes[1].strip_prefix);
}

#[test]
fn given_limits_when_read_then_the_innermost_body_and_every_rate() {
    let config = sound(
        "acme = { agree_tos = true }\nlimits = { body = 7, requests = '100/s' }\n\
         [[site]]\ndomain = 'a.example.com'\nupstream = 'http://127.0.0.1:1'\n\
         [[site]]\ndomain = 'b.example.com'\nupstream = 'http://127.0.0.1:1'\n\
         limits = { body = '2KiB', connections = 5, requests = { rate = '30/m', burst = 2 }, header_timeout = '3s' }\n\
         [[site.route]]\npath = '/a/'\nupstream = 'http://127.0.0.1:1'\nlimits = { body = '1MiB' }",
    );
    let sites = &config.route.sites;
    assert_eq!(config.route.requests, Some(Rate::new(100, Duration::from_secs(1), 100)));
    assert_eq!(sites[0].routes[0].limits, Limits { body: Some(7), ..Limits::default() });
    let bodies: Vec<_> = sites[1].routes.iter().map(|route| route.limits.body).collect();
    assert_eq!(bodies, [Some(1 << 20), Some(2048)]);
    let rate = Rate::new(30, Duration::from_secs(60), 2);
    assert_eq!(sites[1].limits, Limits { connections: Some(5), body: None, requests: Some(rate) });
    assert_eq!(sites[1].header_timeout, Some(Duration::from_secs(3)));
}

#[test]
fn given_a_route_for_the_root_when_read_then_the_site_needs_no_upstream() {
    let site = "[[site.route]]\npath = '/'\nupstream = 'http://127.0.0.1:2'";
    assert_eq!(with("", site).route.sites[0].routes.len(), 1);
}

#[test]
fn given_the_top_level_when_read_then_each_key_has_its_meaning() {
    let top = "state_dir = 'state'\ntrusted_proxies = ['10.1.2.3/8', '::1']\ndrain = '1m'\nwatch = false\n\
               log = { format = 'json', level = 'debug' }\nlimits = { connections = 5, keep_alive = '1s' }";
    let config = with(top, "");
    assert_eq!(config.state_dir, PathBuf::from("/etc/portvakt/state"));
    assert_eq!(config.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    assert_eq!((config.drain, config.watch), (Duration::from_secs(60), false));
    assert_eq!((config.log.format, &*config.log.level), (LogFormat::Json, "debug"));
    assert_eq!((config.listen.limits.connections, config.listen.limits.keep_alive), (5, Duration::from_secs(1)));
    assert_eq!(config.listen.limits.connections_per_client, 256);
}

#[test]
fn given_dollars_when_read_then_only_variables_are_replaced() {
    for (written, meant) in [("a$b", "a$b"), ("$${HOST}", "${HOST}"), ("${HOST}$", "127.0.0.1$"), ("$$", "$$")] {
        let config = with("", &format!("upstream = {{ url = 'http://127.0.0.1', name = '{written}' }}"));
        assert_eq!(config.upstreams[0].name, meant, "{written}");
    }
}

#[test]
fn given_files_when_read_then_all_of_them_are_named_once() {
    let config = with(
        "",
        "certificate = { chain = 'c.pem', key = 'c.pem' }\n\
         upstream = { url = 'https://10.0.0.5', trust_anchors = '../root.pem' }",
    );
    let files = ["/etc/portvakt/c.pem", "/etc/portvakt/../root.pem"].map(PathBuf::from);
    assert_eq!(config.files, files);
}

#[test]
fn given_the_fixed_shape_when_read_then_no_problem() {
    let text = r#"
        state_dir = "state"
        [listen]
        http  = "127.0.0.1:5002"
        https = "127.0.0.1:5001"
        admin = "127.0.0.1:9464"
        [acme]
        directory     = "https://127.0.0.1:14000/dir"
        trust_anchors = "pebble.pem"
        agree_tos     = true
        [[site]]
        domain   = "m5.test"
        upstream = "http://127.0.0.1:8080"
        certificate = "acme"
        [site.https]
        mode  = "permanent"
        rest  = "redirect"
        paths = { "/M5UserAPI/" = "reject", "/public/" = "allow" }
        [[site.route]]
        path     = "/api/"
        upstream = { url = "https://127.0.0.1:8443", server_name = "legacy.local", trust_anchors = "legacy-root.pem" }
    "#;
    assert_eq!(sound(text).upstreams.len(), 2);
}
