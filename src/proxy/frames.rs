//! What an HTTP/2 client sends, counted while it passes: a flood of frames that ask for nothing is told from use.
//!
//! # Why
//!
//! A PING is 17 bytes and is answered; SETTINGS, PRIORITY, WINDOW_UPDATE and empty DATA cost us much and the client nothing.
//! Libraries limit some of them each in its own way. As nginx does, we compare what is mere overhead with what is of use.

use std::time::Duration;

use tokio::time::Instant;

/// Reads frame heads (RFC 9113 §4.1) out of the bytes that a client sends.
#[derive(Debug)]
pub(super) struct FrameMeter {
    part: Part,
    /// What is left of the part that bytes are taken for.
    left: usize,
    head: [u8; HEAD],
    /// Bytes of frames that ask for nothing.
    overhead: u64,
    /// Bytes of bodies, either way, and of answers.
    useful: u64,
    /// What we will write only because of such frames.
    owed: u64,
    began: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Preface,
    Head,
    Payload,
}

impl FrameMeter {
    /// Begins with the client's preface.
    pub(super) fn new(now: Instant) -> Self {
        let (overhead, useful, owed) = (0, 0, 0);
        Self { part: Part::Preface, left: PREFACE, head: [0; HEAD], overhead, useful, owed, began: now }
    }

    /// Takes bytes that came.
    pub(super) fn read(&mut self, mut bytes: &[u8], now: Instant) {
        if now.duration_since(self.began) >= WINDOW {
            (self.overhead, self.useful, self.began) = (0, 0, now);
        }
        while !bytes.is_empty() {
            let taken = bytes.len().min(self.left);
            if self.part == Part::Head {
                let at = HEAD - self.left;
                self.head[at..at + taken].copy_from_slice(&bytes[..taken]);
            }
            self.left -= taken;
            bytes = &bytes[taken..];
            if self.left == 0 {
                self.next_part();
            }
        }
    }

    /// Takes how many bytes we wrote.
    pub(super) fn wrote(&mut self, length: usize) {
        let length = length as u64;
        let reply = length.min(self.owed);
        self.owed -= reply;
        self.useful += length - reply;
    }

    /// Whether the client has sent more overhead than any use of it explains.
    pub(super) fn is_flooded(&self) -> bool {
        self.overhead > SLACK + RATIO * self.useful
    }

    fn next_part(&mut self) {
        if self.part == Part::Head {
            self.left = usize::from(self.head[0]) << 16 | usize::from(self.head[1]) << 8 | usize::from(self.head[2]);
            self.part = Part::Payload;
            self.count();
        }
        if self.left == 0 {
            (self.part, self.left) = (Part::Head, HEAD);
        }
    }

    fn count(&mut self) {
        let (length, flags) = (self.left as u64, self.head[4]);
        let frame = HEAD as u64 + length;
        match self.head[3] {
            DATA if length > 0 => self.useful += length,
            DATA if flags & END_STREAM != 0 => {}
            HEADERS => {}
            // The rest of a large header; how many may follow, the library limits.
            CONTINUATION => self.overhead += HEAD as u64,
            kind => {
                self.overhead += frame;
                if matches!(kind, SETTINGS | PING) && flags & ACK == 0 {
                    self.owed += if kind == PING { frame } else { HEAD as u64 };
                }
            }
        }
    }
}

/// RFC 9113 §3.4.
const PREFACE: usize = 24;
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
/// What is compared: the last while, not a connection's whole life of keep-alive pings.
const WINDOW: Duration = Duration::from_secs(10);
/// Almost four thousand pings within a window. No client needs a hundredth of that.
const SLACK: u64 = 64 * 1024;
/// As nginx. A client that takes single bytes, and gives back the window of each twice, stays below.
const RATIO: u64 = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_frames_that_ask_for_nothing_when_many_then_a_flood() {
        for (kind, flags, length) in [
            (PING, 0, 8),
            (SETTINGS, 0, 0),
            (2, 0, 5),
            (3, 0, 4),
            (8, 0, 4),
            (0xee, 0, 64),
            (DATA, 0, 0),
            (CONTINUATION, 0, 0),
        ] {
            let mut meter = begun();
            let few = frame(kind, flags, length).repeat(500);
            meter.read(&few, now());
            meter.wrote(500 * 17);
            assert!(!meter.is_flooded(), "{kind}");
            for _ in 0..30 {
                meter.read(&few, now());
            }
            assert!(meter.is_flooded(), "{kind}");
        }
    }

    #[test]
    fn given_bodies_and_answers_when_frames_come_with_them_then_no_flood() {
        let mut meter = begun();
        for _ in 0..100_000 {
            // An answer of one byte, whose windows are given back.
            meter.wrote(9 + 20 + 9 + 1);
            meter.read(&frame(8, 0, 4).repeat(2), now());
            meter.read(&frame(HEADERS, 5, 30), now());
        }
        for _ in 0..1000 {
            meter.read(&frame(DATA, 0, 16_384), now());
            meter.read(&frame(PING, 0, 8), now());
        }
        assert!(!meter.is_flooded());
    }

    #[test]
    fn given_a_ping_now_and_then_when_for_days_then_no_flood() {
        let mut meter = begun();
        let mut at = now();
        for _ in 0..100_000 {
            meter.read(&frame(PING, 0, 8), at);
            meter.wrote(17);
            at += Duration::from_secs(1);
        }
        assert!(!meter.is_flooded());
    }

    proptest! {
        #[test]
        fn given_bytes_in_any_pieces_when_read_then_counted_the_same(bytes: Vec<u8>, size in 1_usize..40) {
            let (mut whole, mut pieces) = (begun(), begun());
            pieces.began = whole.began;
            whole.read(&bytes, whole.began);
            bytes.chunks(size).for_each(|piece| pieces.read(piece, pieces.began));
            prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
        }
    }

    fn begun() -> FrameMeter {
        let mut meter = FrameMeter::new(now());
        meter.read(&[b'x'; PREFACE], now());
        meter
    }

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        [&size[1..], &[kind, flags, 0, 0, 0, 1], &vec![0; length]].concat()
    }

    fn now() -> Instant {
        Instant::now()
    }
}
