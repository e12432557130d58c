//! The GUID by which ARR lets a request be found in the logs of both sides.

/// A request's GUID (RFC 9562 §5.4), whose last sixteen digits are the request's id in our own log and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogId(u128);

impl LogId {
    /// A new one.
    pub(super) fn random() -> Self {
        Self::from_bits(rand::random())
    }

    fn from_bits(bits: u128) -> Self {
        const VERSION: u128 = 0xf << 76;
        const VARIANT: u128 = 0b11 << 62;
        Self(bits & !VERSION & !VARIANT | 4 << 76 | 0b10 << 62)
    }

    /// The id that `portvakt-request-id` and the access log name.
    pub(super) fn request_id(self) -> String {
        format!("{:016x}", self.0 & u128::from(u64::MAX))
    }
}

/// As `6ba7b810-9dad-41d1-80b4-00c04fd430c8`.
impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_any_bits_when_written_then_a_guid_whose_end_is_the_request_id() {
        let id = LogId::from_bits(u128::MAX);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(LogId::from_bits(0).to_string(), "00000000-0000-4000-8000-000000000000");
        assert_eq!(id.request_id(), "bfffffffffffffff");
        let random = LogId::random();
        assert!(random.to_string().replace('-', "").ends_with(&random.request_id()));
    }
}
