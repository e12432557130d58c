//! Certificates in PKCS #7 (RFC 5652 §5): `.p7b`, `.p7c`.

use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{Class, Oid, Tag, oid};

use super::asn1::{Malformed, Reader};

/// The certificates of a SignedData, in its order, which means nothing. Its signers are not looked at: there are none in
/// such a file.
pub(super) fn certificates(ber: &[u8]) -> Result<Vec<CertificateDer<'static>>, Malformed> {
    let mut info = Reader::new(ber).sequence()?;
    if info.oid()? != SIGNED_DATA {
        return Err(Malformed);
    }
    let mut data = info.tagged(0)?.sequence()?;
    data.integer()?;
    data.set()?;
    data.sequence()?;
    let mut certificates = Vec::new();
    // Signers follow, and before them revocation lists perhaps.
    while !data.is_empty() {
        let part = data.any()?;
        if part.class() == Class::ContextSpecific && part.tag() == Tag(0) {
            let mut set = Reader::new(part.data);
            while !set.is_empty() {
                let der = set.raw()?;
                // Other choices than X.509 are tagged, and obsolete.
                if Reader::new(der).peek() == Some(Tag::Sequence) {
                    certificates.push(CertificateDer::from(der.to_vec()));
                }
            }
        }
    }
    Ok(certificates)
}

const SIGNED_DATA: Oid<'static> = oid!(1.2.840.113549.1.7.2);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A SignedData without signers around `set`, which is shorter than 100 bytes.
    fn signed_data(set: &[u8]) -> Vec<u8> {
        let wrap = |tag: u8, inner: &[u8]| [&[tag, u8::try_from(inner.len()).unwrap()], inner].concat();
        let kind = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
        let content = [0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
        let data = [&[2, 1, 1, 0x31, 0][..], &content, &wrap(0xa0, set), &[0x31, 0]].concat();
        wrap(0x30, &[&kind[..], &wrap(0xa0, &wrap(0x30, &data))].concat())
    }

    #[test]
    fn given_a_set_when_read_then_its_sequences_whole_and_nothing_else() {
        let found = certificates(&signed_data(&[0x30, 2, 5, 0, 0xa1, 0, 0x30, 0])).unwrap();
        assert_eq!(found, [CertificateDer::from(vec![0x30, 2, 5, 0]), CertificateDer::from(vec![0x30, 0])]);
        assert!(certificates(&signed_data(&[])).unwrap().is_empty());
        assert_eq!(certificates(b"\x30\x03\x02\x01\x03"), Err(Malformed));
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_read_then_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = certificates(&bytes);
            let _ = certificates(&signed_data(&bytes));
        }
    }
}
