//! Whatever a client sends: a head is judged the same however it comes in, and one that passes can be cut in one way only.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portvakt::proxy::Head;

fuzz_target!(|raw: &[u8]| {
    let at_once = Head::judge(raw, 0);
    let mut by_bytes = (1..=raw.len()).map(|length| Head::judge(&raw[..length], length - 1));
    let slowly = by_bytes.find(|head| *head != Head::Partial).unwrap_or(Head::Partial);
    match (at_once, slowly) {
        (Head::Flawed(_), Head::Flawed(_)) => {}
        _ => assert_eq!(at_once, slowly, "{}", raw.escape_ascii()),
    }
    let Head::Whole(length) = at_once else { return };
    let head = &raw[..length];
    assert!(length <= 64 * 1024 && head.ends_with(b"\r\n\r\n"));
    assert_eq!(head.windows(4).filter(|window| window == b"\r\n\r\n").count(), 1);
    assert!((0..length).all(|at| head[at] != b'\n' || head[at - 1] == b'\r'));
    assert!((0..length).all(|at| head[at] != b'\r' || head[at + 1] == b'\n'));
});
