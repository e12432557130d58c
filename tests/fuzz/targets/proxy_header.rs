//! Whatever a load balancer sends, in whatever pieces: a client, a refusal, or the wish for more that belongs to the header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portvakt::listener::proxy_protocol::{Progress, parse};

fuzz_target!(|bytes: &[u8]| {
    let mut taken = 0;
    // As a connection is read: never more than what is certain to belong to the header.
    loop {
        let Ok(progress) = parse(&bytes[..taken]) else { return };
        let missing = match progress {
            Progress::Whole(_) => {
                assert!(taken <= 16 + 4096);
                return;
            }
            Progress::More(missing) => missing,
        };
        assert!(missing > 0 && taken + missing <= 16 + 4096, "{taken} and {missing}");
        if bytes.len() < taken + missing {
            // What comes in smaller pieces is a header that is begun, or already none.
            for cut in taken..=bytes.len() {
                match parse(&bytes[..cut]) {
                    Ok(Progress::More(more)) => assert!(more > 0),
                    Ok(Progress::Whole(_)) => panic!("whole at {cut}, but {missing} were missing at {taken}"),
                    Err(_) => return,
                }
            }
            return;
        }
        taken += missing;
    }
});
