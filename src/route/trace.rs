//! W3C Trace Context: whether what a request says of its trace may be passed on.
//!
//! We take no part in traces: a sound `traceparent` passes unchanged, with its `tracestate`, and none is ever made. One
//! that is malformed, or stands twice, is removed together with `tracestate`, so that the next one behind us begins a new
//! trace (W3C Trace Context, "Processing Model for Working with Trace Context").

/// The trace id of a `traceparent`: 32 hexadecimal digits in lower case, not all zero. `None` when it is malformed.
///
/// Versions after 00 may carry more behind another dash, and `ff` is none ("Versioning of traceparent").
pub fn trace_id(traceparent: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(traceparent).ok()?;
    let (version, rest) = field(text, 2)?;
    let (trace_id, rest) = field(rest.strip_prefix('-')?, 32)?;
    let (parent_id, rest) = field(rest.strip_prefix('-')?, 16)?;
    let (_flags, rest) = field(rest.strip_prefix('-')?, 2)?;
    let is_complete = rest.is_empty() || (version != "00" && rest.starts_with('-'));
    let is_zero = |id: &str| id.bytes().all(|digit| digit == b'0');
    (is_complete && version != "ff" && !is_zero(trace_id) && !is_zero(parent_id)).then_some(trace_id)
}

/// So many digits, and what follows.
fn field(text: &str, length: usize) -> Option<(&str, &str)> {
    let (digits, rest) = text.split_at_checked(length)?;
    digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some((digits, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOUND: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn given_one_change_to_a_sound_one_when_read_then_refused_unless_it_is_of_a_later_version() {
        assert_eq!(trace_id(SOUND.as_bytes()), Some(ID));
        #[rustfmt::skip]
        let table = [
            ("00-", "cc-", true), ("00-", "ff-", false), ("00-", "0-", false), ("00-", "0G-", false), ("00-", "00", false),
            ("0af7", "0AF7", false), ("0af7", "0af", false), (ID, "00000000000000000000000000000000", false),
            ("b7ad6b7169203331", "0000000000000000", false), ("b7ad", "b7ax", false),
            ("-01", "", false), ("-01", "-1", false), ("-01", "-ff", true), ("-01", "-01-more", false), ("-01", "-01 ", false),
        ];
        for (from, to, is_sound) in table {
            let changed = SOUND.replacen(from, to, 1);
            assert_eq!(trace_id(changed.as_bytes()).is_some(), is_sound, "{changed}");
        }
        let later = SOUND.replacen("00-", "01-", 1);
        assert_eq!(trace_id(format!("{later}-what-comes").as_bytes()), Some(ID));
        assert_eq!(trace_id(format!("{later}.what-comes").as_bytes()), None);
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_read_then_no_panic(bytes: Vec<u8>) {
            let _ = trace_id(&bytes);
        }

        #[test]
        fn given_any_sound_one_when_read_then_its_id(id in "[0-9a-f]{31}[1-9a-f]", parent in "[1-9a-f][0-9a-f]{15}", flags in "[0-9a-f]{2}") {
            let text = format!("00-{id}-{parent}-{flags}");
            prop_assert_eq!(trace_id(text.as_bytes()), Some(&*id));
        }
    }
}
