//! Whatever a client sends first, in whatever pieces: a name, an alert, or the wish for more, within 64 KiB.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portvakt::tls::HelloReader;

fuzz_target!(|input: (u8, &[u8])| {
    let (size, raw) = input;
    let mut reader = HelloReader::default();
    let mut taken = 0;
    for piece in raw.chunks(usize::from(size) + 1) {
        taken += piece.len();
        match reader.push(piece) {
            Ok(None) => assert!(taken <= 64 * 1024),
            Ok(Some(_)) => {
                assert_eq!(reader.into_raw(), raw[..taken], "everything is put back");
                return;
            }
            Err(refused) => {
                assert!(!refused.failure.to_string().is_empty());
                return;
            }
        }
    }
});
