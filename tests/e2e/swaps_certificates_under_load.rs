//! Certificates are swapped while many clients shake hands and ask: none of them notices.

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::load::Load;
use crate::support::tls::served;
use crate::support::{eventually, tls};

#[test]
fn given_load_when_the_certificate_is_swapped_ten_times_then_no_handshake_and_no_request_fails() {
    let (stage, portvakt) = Stage::running();
    let mut old = stage.connect();
    let request = "GET /old HTTP/1.1\r\nHost: m5.test\r\n\r\n";
    assert_eq!(tls::exchange(&mut old, request).unwrap().status, 200);
    let load = Load::start(&stage.target("/"), 3, 2);
    load.wait_for(10);

    let mut newest = stage.leaf.clone();
    for _ in 0..10 {
        newest = stage.ca.issue(&["m5.test"]);
        newest.write(stage.home.path(), "m5");
        portvakt.signal("HUP");
        eventually("the new certificate is served", PATIENCE, || {
            (served(stage.home.https, "m5.test").ok()? == newest.der).then_some(())
        });
        load.wait_for(10);
    }

    let report = load.stop();
    report.assert_flawless();
    assert!(report.handshakes >= 50, "{report:?}");
    assert_eq!(tls::exchange(&mut old, request).unwrap().status, 200, "a connection of before lives on");
    assert_eq!(tls::leaf(&old), stage.leaf.der);
    assert_eq!(tls::leaf(&stage.connect()), newest.der);
}
