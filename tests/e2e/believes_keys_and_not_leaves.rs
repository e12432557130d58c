//! A pinned key is believed in every leaf that has it, also where several are shown in turn; whatever else a server shows, nothing
//! is sent to it, and no leaf takes more with it than the request that met it.

use crate::stage::Stage;
use crate::support::ca::self_signed;
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::shifty::{Shifty, unreadable};
use crate::support::{Ca, Leaf, Nginx, eventually, tls};

#[test]
fn given_leaves_of_one_key_when_shown_in_turn_then_every_request_is_answered_and_arrives_once() {
    let first = self_signed(&["legacy.local"]);
    let (second, third) = (renewed(&first), renewed(&first));
    let server = Shifty::start(&[&first, &second, &third]);
    let (stage, _portvakt) = pinned(server.port(), &first);

    let mut sent = 0;
    for request in
        ["GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n", "POST / HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 2\r\n\r\nhi"]
    {
        // At once, so that connections with each leaf are kept and used again.
        for _ in 0..4 {
            let ask = || (0..5).for_each(|_| assert_eq!(stage.request(request).status, 200));
            std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(ask))));
            sent += 20;
        }
    }
    assert_eq!(server.requests(), sent);
}

#[test]
fn given_a_pinned_key_when_nginx_renews_with_it_then_no_502_and_with_another_key_refused_with_both() {
    let first = self_signed(&["legacy.local"]);
    let foreign = self_signed(&["legacy.local"]);
    let mut nginx = Nginx::start_tls(&first);
    let (stage, portvakt) = pinned(nginx.https, &first);
    let mut client = stage.connect();
    let mut ask = || tls::exchange(&mut client, "GET /x HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap().status;

    for _ in 0..3 {
        assert_eq!(ask(), 200);
        nginx.show(&renewed(&first));
    }
    assert_eq!(ask(), 200);

    nginx.show(&foreign);
    assert_eq!(stage.get("/x").status, 502);
    let leaf = portvakt::pki::CertificateChain::from_pem(foreign.chain.as_bytes()).unwrap().leaf().clone();
    let (shown, expected) = (leaf.pin.to_string(), pin(&first));
    portvakt.child.wait_line("a refusal that names both", |line| line.contains(&shown) && line.contains(&expected));
}

#[test]
fn given_a_leaf_that_cannot_be_read_when_shown_later_then_502_told_and_counted_and_the_next_good_one_is_believed() {
    let good = self_signed(&["legacy.local"]);
    let server = Shifty::start(&[&good, &unreadable(&good)]);
    server.show(0);
    let (stage, portvakt) = pinned(server.port(), &good);
    assert_eq!(stage.get("/").status, 200);

    for _ in 0..2 {
        server.show(1);
        let mut client = stage.connect();
        let reply = tls::exchange(&mut client, "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
        assert!(reply.status == 502 && reply.closes(), "{reply:?}");
        portvakt.child.wait_line("the reason", |line| line.contains("PV0443"));
        // The next one is ours, and says so without a panic.
        assert_eq!(stage.get("/").status, 502);
        server.show(0);
        eventually("a good leaf again", PATIENCE, || (stage.get("/").status == 200).then_some(()));
    }
    server.show(1);
    let over_h2 = stage.curl().with(&["--http2"]).try_get(&stage.url("/"));
    assert!(!matches!(&over_h2, Ok(answer) if answer.status == 200), "{over_h2:?}");
    let lines = portvakt.child.lines();
    assert!(lines.iter().any(|line| line.contains("PV0443") && line.contains("ERROR")), "{lines:?}");
    assert!(stage.home.metrics().sum("portvakt_upstream_tls_failures_total", &[("reason", "unreadable")]) >= 3.0);
}

/// Another leaf with the key of `leaf`.
pub(crate) fn renewed(leaf: &Leaf) -> Leaf {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let chain = Ca::new("who renews").issue_to_key_of(&leaf.der, &["legacy.local"], None);
    let der = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    Leaf { chain, key: leaf.key.clone(), der }
}

pub(crate) fn pin(leaf: &Leaf) -> String {
    portvakt::pki::CertificateChain::from_pem(leaf.chain.as_bytes()).unwrap().leaf().pin.to_string()
}

fn pinned(port: u16, leaf: &Leaf) -> (Stage, Portvakt) {
    let stage = Stage::new();
    let pin = pin(leaf);
    let upstream = format!("{{ url = \"https://127.0.0.1:{port}\", server_name = \"legacy.local\", pin = \"{pin}\" }}");
    stage.home.configure("", &Stage::site_with(&upstream));
    let portvakt = stage.home.start();
    (stage, portvakt)
}
