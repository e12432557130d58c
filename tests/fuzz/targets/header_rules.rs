//! Whatever a client and an upstream say: only a trusted peer's words are kept, and mending is done once.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portvakt::config::{Purpose, from_text};
use portvakt::route::headers::{Peer, Received, forwarding, is_stripped};
use portvakt::route::{HostName, Routes};

static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let loaded = from_text("fuzz.toml", CONFIG, Path::new("/nonexistent"), Purpose::CheckOffline);
    Routes::new(loaded.expect("a sound configuration").config.route)
});

fuzz_target!(|input: (&str, &str, &[u8], bool)| {
    let (name, value, cookie, trusted) = input;
    assert!(!is_stripped(name, true) || is_stripped(name, false), "{name:?} is taken from trusted peers only");

    let received = Received { for_: Some(value), proto: Some(value), host: Some(value), port: Some(value) };
    let told = forwarding(&Peer {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        trusted,
        secure: true,
        host: Some("m5.test"),
        public_https_port: 443,
        received,
    });
    if !trusted {
        assert_eq!((told.for_.as_str(), &*told.proto, &*told.port), ("127.0.0.1", "https", "443"));
    }
    assert!(told.for_.ends_with("127.0.0.1"));

    if let Some(better) = ROUTES.secure_cookie(0, cookie) {
        assert!(better.len() <= cookie.len() + "; Secure".len());
        assert_eq!(ROUTES.secure_cookie(0, &better), None, "Secure is added once");
    }
    if let Some(better) = ROUTES.upgrade_location(0, value) {
        let rest = better.strip_prefix("https://").expect("moved to HTTPS");
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        assert_eq!(HostName::parse(&rest[..end]).expect("a host").as_str(), "m5.test");
        assert_eq!(ROUTES.upgrade_location(0, &better), None, "moved once");
    }
});

const CONFIG: &str = r#"
state_dir = "state"
[listen]
http = "127.0.0.1:80"
https = "127.0.0.1:443"
[[site]]
domain = "m5.test"
upstream = "http://127.0.0.1:8080"
certificate = { chain = "chain.pem", key = "key.pem" }
https = { mode = "permanent", rest = "redirect" }
"#;
