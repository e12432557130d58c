//! A private key that is no longer served is no longer in memory: neither as DER, nor as PEM, nor its number alone.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

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
pub(crate) struct Traces(Vec<Vec<u8>>);

impl Traces {
    /// The middle of its PEM, and of its DER, where the number stands.
    pub(crate) fn of(file: &Path) -> Self {
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
    pub(crate) fn found_in(&self, process: u32) -> usize {
        let of =
            |name| File::open(format!("/proc/{process}/{name}")).expect("searching memory needs root, as CI has it");
        let (memory, pages) = (of("mem"), of("pagemap"));
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
        let writable = maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")));
        let used = writable.flat_map(|line| used(&pages, line));
        used.map(|range| self.count(&read(&memory, range))).sum()
    }

    fn count(&self, bytes: &[u8]) -> usize {
        self.0.iter().map(|trace| bytes.windows(trace.len()).filter(|part| part == trace).count()).sum()
    }
}

/// What of a region is in use: an allocator reserves far more than it touches (proc_pid_pagemap(5)).
fn used(pages: &File, line: &str) -> Vec<Range<u64>> {
    let range = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    let page = page_size();
    let (first, end) = (number(range.0) / page, number(range.1) / page);
    let mut entries = vec![0; usize::try_from((end - first) * ENTRY).unwrap()];
    if pages.read_exact_at(&mut entries, first * ENTRY).is_err() {
        // A region that is gone meanwhile, or the kernel's own.
        return Vec::new();
    }
    let is_used = |entry: &[u8]| entry.last().is_some_and(|flags| flags & (PRESENT | SWAPPED) != 0);
    let numbers = (first..).zip(entries.chunks(ENTRY as usize)).filter(|(_, entry)| is_used(entry)).map(|(at, _)| at);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for at in numbers.map(|number| number * page) {
        match ranges.last_mut() {
            Some(last) if last.end == at => last.end += page,
            _ => ranges.push(at..at + page),
        }
    }
    ranges
}

fn page_size() -> u64 {
    let output = Command::new("getconf").arg("PAGE_SIZE").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// Memory that has gone meanwhile is empty.
fn read(memory: &File, range: Range<u64>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
    match memory.read_exact_at(&mut bytes, range.start) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Bytes for each page, and the two flags of its last byte.
const ENTRY: u64 = 8;
const PRESENT: u8 = 1 << 7;
const SWAPPED: u8 = 1 << 6;
