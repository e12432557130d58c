//! A private key that is no longer served is no longer in memory: neither as DER, nor as PEM, nor its number alone.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::{eventually, tls};

#[test]
fn given_a_key_that_was_replaced_when_memory_is_searched_then_it_is_gone() {
    let (stage, portvakt) = Stage::running();
    let process = portvakt.child.id();
    let old = Traces::of(&stage.home.path().join("m5.key"));
    assert!(old.found_in(process) > 0, "the search finds a key that is served");

    let new = stage.ca.issue(&["m5.test"]);
    new.write(stage.home.path(), "m5");
    assert!(portvakt.reload(&stage.home));
    eventually("the new certificate is served", PATIENCE, || {
        (tls::served(stage.home.https, "m5.test").ok()? == new.der).then_some(())
    });

    assert!(Traces::of(&stage.home.path().join("m5.key")).found_in(process) > 0);
    eventually("the old key is gone from memory", PATIENCE, || (old.found_in(process) == 0).then_some(()));
}

/// What a key looks like in memory.
struct Traces(Vec<Vec<u8>>);

impl Traces {
    /// The middle of its PEM, and of its DER, where the number stands.
    fn of(file: &Path) -> Self {
        let pem = fs::read_to_string(file).unwrap();
        let lines: Vec<_> = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(lines.concat()).unwrap();
        // PKCS #8 of P-256: the number follows the tag `04 20` of its OCTET STRING (RFC 5915 §3).
        let at = der.windows(2).skip(26).position(|pair| pair == [4, 32]).unwrap() + 28;
        Self(vec![
            lines[0].as_bytes()[40..].to_vec(),
            lines.concat().as_bytes()[40..].to_vec(),
            der[at..at + 32].to_vec(),
        ])
    }

    /// How often it stands in the memory of a process that is written to.
    fn found_in(&self, process: u32) -> usize {
        let memory = File::open(format!("/proc/{process}/mem")).expect("searching memory needs root, as CI has it");
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
        let writable = maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")));
        writable.map(|line| self.count(&region(&memory, line))).sum()
    }

    fn count(&self, bytes: &[u8]) -> usize {
        self.0.iter().map(|trace| bytes.windows(trace.len()).filter(|part| part == trace).count()).sum()
    }
}

/// A region that has gone meanwhile is empty.
fn region(memory: &File, line: &str) -> Vec<u8> {
    let range = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    let (start, end) = (number(range.0), number(range.1));
    let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
    match memory.read_exact_at(&mut bytes, start) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}
