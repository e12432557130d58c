//! Whatever the bytes: a canonical path begins with `/`, holds nothing that leads out of it, and is its own canonical form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portvakt::route::{CanonicalPath, HostName, PathPrefix, Target};

fuzz_target!(|raw: &[u8]| {
    if let Ok(text) = std::str::from_utf8(raw) {
        let _ = PathPrefix::parse(text);
        if let Ok(host) = HostName::parse(text) {
            assert!(host.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)));
        }
    }
    if let Ok(target) = Target::parse(raw) {
        let _ = (target.authority(), target.query(), target.origin_form());
    }
    let Ok(path) = CanonicalPath::parse(raw) else { return };
    let text = path.as_str();
    assert!(text.starts_with('/') && !text.contains("//") && !text.contains('\\'), "{text:?}");
    assert!(!text.chars().any(|character| character.is_ascii_control()), "{text:?}");
    assert!(text.split('/').all(|segment| segment != "." && segment != ".."), "{text:?}");
    // What is decoded once may look escaped again; that was refused, so the rest has to be stable.
    if let Ok(again) = CanonicalPath::parse(text.as_bytes()) {
        assert_eq!(again.as_str(), text);
        assert!(again.is_verbatim());
    }
});
