//! How an order is known.

use std::fmt;

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};

/// SHA-256 of an orderRef: tells orders apart without knowing what would collect them.
///
/// Prints a few hex digits, enough to find the lines of one order in a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrderKey([u8; 32]);

impl OrderKey {
    /// Of an orderRef, as JSON decodes it.
    pub fn of(order_ref: &str) -> Self {
        Self::from_digest(&digest(&SHA256, order_ref.as_bytes()))
    }

    /// Of an orderRef whose bytes come one after another, from [`hasher`].
    pub(super) fn of_hashed(hashed: Context) -> Self {
        Self::from_digest(&hashed.finish())
    }

    fn from_digest(digest: &Digest) -> Self {
        let mut key = [0; 32];
        key.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(key)
    }
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..SHOWN].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrderKey({self})")
    }
}

/// Takes the bytes of an orderRef.
pub(super) fn hasher() -> Context {
    Context::new(&SHA256)
}

/// Bytes of the hash that are shown.
const SHOWN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_order_when_shown_then_a_few_digits_of_its_hash_alone() {
        let key = OrderKey::of("131daac9-16c6-4618-beb0-365768f37288");
        assert_eq!(key.to_string().len(), 12);
        assert_eq!(format!("{key:?}"), format!("OrderKey({key})"));
        assert_eq!(OrderKey::of("").to_string(), "e3b0c44298fc", "SHA-256 of nothing (FIPS 180-4)");
        assert_ne!(key, OrderKey::of("131daac9-16c6-4618-beb0-365768f37289"));
    }

    #[test]
    fn given_pieces_when_hashed_then_as_the_whole() {
        let mut hashed = hasher();
        b"131daac9".chunks(3).for_each(|piece| hashed.update(piece));
        assert_eq!(OrderKey::of_hashed(hashed), OrderKey::of("131daac9"));
    }
}
