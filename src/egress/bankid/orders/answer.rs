//! An answer that may have to be given again.

use std::fmt;

use http::{HeaderMap, StatusCode};
use zeroize::Zeroizing;

/// A copy of an answer, made while it streams. Its body is zeroized when the last one lets go of it.
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// As they came: a buffer that grows would leave copies behind.
    pieces: Vec<Zeroizing<Box<[u8]>>>,
    length: usize,
}

impl Answer {
    /// An answer whose body is yet to come. `headers` are those that are given again with it.
    pub fn new(status: StatusCode, headers: HeaderMap) -> Self {
        Self { status, headers, pieces: Vec::new(), length: 0 }
    }

    /// Takes the next piece of the body. Of an answer that is longer than [`Self::LONGEST`] nothing is kept.
    pub fn push(&mut self, piece: &[u8]) {
        self.length = self.length.saturating_add(piece.len());
        if self.is_too_long() {
            self.pieces.clear();
        } else if !piece.is_empty() {
            self.pieces.push(Zeroizing::new(piece.into()));
        }
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Its body, in the pieces in which it came.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| &***piece)
    }

    /// Bytes of its body, kept or not.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether it is longer than what is kept.
    pub fn is_too_long(&self) -> bool {
        self.length > Self::LONGEST
    }

    /// Bytes of a body that can be kept. A completed order's answer has some ten thousand: signature and OCSP response. The
    /// signature holds what was signed, of which there may be 240,000 characters, in base64 once more.
    pub const LONGEST: usize = 1024 * 1024;
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_pieces_when_kept_then_the_same_bytes_and_nothing_of_them_shown() {
        let mut answer = Answer::new(StatusCode::OK, HeaderMap::new());
        [&b"190000"[..], b"", b"000000"].into_iter().for_each(|piece| answer.push(piece));

        assert_eq!(answer.pieces().collect::<Vec<_>>().concat(), b"190000000000");
        assert_eq!(format!("{answer:?}"), "Answer(200 OK, 12 bytes)");
    }

    #[test]
    fn given_an_answer_that_is_too_long_when_kept_then_nothing_of_it() {
        let mut answer = Answer::new(StatusCode::OK, HeaderMap::new());
        answer.push(&vec![1; Answer::LONGEST]);
        assert!(!answer.is_too_long());
        answer.push(b"x");
        answer.push(b"y");
        assert!(answer.is_too_long());
        assert_eq!((answer.pieces().count(), answer.length()), (0, Answer::LONGEST + 2));
    }
}
