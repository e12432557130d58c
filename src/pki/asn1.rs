//! Elements of ASN.1, as far as key containers need them: BER (X.690), since some programs write indefinite lengths and
//! strings in pieces.

use x509_parser::asn1_rs::{Any, Class, FromBer, Oid, Tag};
use zeroize::Zeroizing;

/// Reads elements one after the other. Its depth is bounded by the functions that call it, never by the bytes.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

/// The bytes are not what the standard says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Reader<'a> {
    /// Begins with the first element of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether no element is left.
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next element, of whatever kind.
    pub(super) fn any(&mut self) -> Result<Any<'a>, Malformed> {
        let (rest, any) = Any::from_ber(self.0).map_err(|_| Malformed)?;
        self.0 = rest;
        Ok(any)
    }

    /// The bytes of the next element, its header included.
    pub(super) fn raw(&mut self) -> Result<&'a [u8], Malformed> {
        let all = self.0;
        self.any()?;
        Ok(&all[..all.len() - self.0.len()])
    }

    /// Kind of the next element; `None` at the end.
    pub(super) fn peek(self) -> Option<Tag> {
        let mut ahead = self;
        ahead.any().ok().filter(|any| any.class() == Class::Universal).map(|any| any.tag())
    }

    /// What is inside of a SEQUENCE.
    pub(super) fn sequence(&mut self) -> Result<Self, Malformed> {
        self.universal(Tag::Sequence).map(|any| Self(any.data))
    }

    /// What is inside of a SET.
    pub(super) fn set(&mut self) -> Result<Self, Malformed> {
        self.universal(Tag::Set).map(|any| Self(any.data))
    }

    /// What is inside of `[number]`.
    pub(super) fn tagged(&mut self, number: u32) -> Result<Self, Malformed> {
        let any = self.any()?;
        let is_it = any.class() == Class::ContextSpecific && any.tag() == Tag(number);
        if is_it { Ok(Self(any.data)) } else { Err(Malformed) }
    }

    /// An OBJECT IDENTIFIER.
    pub(super) fn oid(&mut self) -> Result<Oid<'a>, Malformed> {
        let any = self.universal(Tag::Oid)?;
        Ok(Oid::new(any.data.into()))
    }

    /// An INTEGER from 0 to 2^32 - 1. One that is beyond is [`u32::MAX`], so that it meets whatever limit there is.
    pub(super) fn integer(&mut self) -> Result<u32, Malformed> {
        match self.universal(Tag::Integer)?.data {
            [] => Err(Malformed),
            [first, ..] if *first >= 0x80 => Err(Malformed),
            bytes => Ok(bytes
                .iter()
                .try_fold(0u32, |number, byte| number.checked_mul(256).map(|number| number + u32::from(*byte)))
                .unwrap_or(u32::MAX)),
        }
    }

    /// An OCTET STRING, in one piece or in several.
    pub(super) fn octets(&mut self) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let any = self.universal(Tag::OctetString)?;
        string(&any)
    }

    /// `[number] IMPLICIT OCTET STRING`.
    pub(super) fn tagged_octets(&mut self, number: u32) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let any = self.any()?;
        let is_it = any.class() == Class::ContextSpecific && any.tag() == Tag(number);
        if is_it { string(&any) } else { Err(Malformed) }
    }

    fn universal(&mut self, tag: Tag) -> Result<Any<'a>, Malformed> {
        let any = self.any()?;
        if any.class() == Class::Universal && any.tag() == tag { Ok(any) } else { Err(Malformed) }
    }
}

/// Pieces may not be in pieces again: nobody writes that.
fn string(any: &Any<'_>) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    if !any.header.is_constructed() {
        return Ok(Zeroizing::new(any.data.to_vec()));
    }
    // The pieces are shorter than what holds them, so this never grows and leaves no copy behind.
    let mut whole = Zeroizing::new(Vec::with_capacity(any.data.len()));
    let mut pieces = Reader(any.data);
    while !pieces.is_empty() {
        let piece = pieces.universal(Tag::OctetString)?;
        if piece.header.is_constructed() {
            return Err(Malformed);
        }
        whole.extend_from_slice(piece.data);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_a_string_in_pieces_of_unknown_length_when_read_then_whole() {
        let bytes = [0x24, 0x80, 0x04, 2, 1, 2, 0x04, 1, 3, 0, 0, 0x02, 1, 7];
        let mut reader = Reader::new(&bytes);
        assert_eq!(**reader.octets().unwrap(), [1, 2, 3]);
        assert_eq!(reader.integer(), Ok(7));
        assert!(reader.is_empty());
    }

    #[test]
    fn given_one_number_when_read_then_it_or_the_largest() {
        for (bytes, expected) in [
            (&[2, 1, 0][..], Ok(0)),
            (&[2, 2, 8, 0], Ok(2048)),
            (&[2, 5, 0, 0xff, 0xff, 0xff, 0xff], Ok(u32::MAX)),
            (&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0], Ok(u32::MAX)),
            (&[2, 1, 0x80], Err(Malformed)),
            (&[2, 0], Err(Malformed)),
            (&[4, 1, 0], Err(Malformed)),
            (&[2, 4, 1], Err(Malformed)),
        ] {
            assert_eq!(Reader::new(bytes).integer(), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_read_then_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read = |next: fn(&mut Reader<'_>)| {
                let mut reader = Reader::new(&bytes);
                next(&mut reader);
            };
            read(|it| while it.any().is_ok() {});
            read(|it| while it.octets().is_ok() {});
            read(|it| while it.sequence().is_ok_and(|mut inner| inner.oid().is_ok()) {});
            read(|it| while it.set().is_ok() || it.tagged(0).is_ok() || it.tagged_octets(0).is_ok() {});
            read(|it| while it.peek().is_some() && (it.integer().is_ok() || it.raw().is_ok()) {});
        }
    }
}
