//! Whatever the bytes, and however they are cut: an answer is found to say the same, a member is added to whole objects alone,
//! and a request is judged without telling what it holds.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use portvakt::egress::bankid::{Call, Message, Settings, Watch, judge};

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, answer)) = bytes.split_first() else { return };
    let mut whole = Watch::new();
    let end = whole.push(answer);
    let mut cut = Watch::new();
    let mut cut_end = None;
    for (number, piece) in answer.chunks(usize::from(size) + 1).enumerate() {
        let place = cut.push(piece).map(|place| number * (usize::from(size) + 1) + place);
        cut_end = cut_end.or(place);
    }
    assert_eq!((whole.found(), whole.has_members(), end), (cut.found(), cut.has_members(), cut_end));
    assert_eq!(end.is_some(), whole.found().whole);
    let Some(message) = Message::of(&whole.found()) else { return judged(answer) };
    let added = message.added_to(answer).expect("a whole object");
    let mut again = Watch::new();
    again.push(&added);
    assert_eq!(again.found(), whole.found());
    judged(answer);
});

fn judged(body: &[u8]) {
    for path in ["auth", "sign", "payment", "phone/auth", "phone/sign", "collect", "cancel", "other"] {
        let call = Call::read(&Method::POST, &format!("/rp/v6.0/{path}"));
        if let Err(refusal) = judge(&call, &Settings::default(), body) {
            assert!(refusal.body().is_ascii());
        }
    }
}
