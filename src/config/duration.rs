//! Durations as people write them.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DurationError {
    #[error("a duration is a number and a unit: `ms`, `s`, `m`, `h` or `d`")]
    Malformed,
    #[error("it has no unit: seconds, minutes, hours?")]
    NoUnit,
    #[error("it must not be longer than ten years (`3650d`)")]
    TooLong,
}

/// Reads `250ms`, `10s`, `5m`, `1h`, `180d`, or several of them in one: `1h30m`.
pub(super) fn parse(text: &str) -> Result<Duration, DurationError> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DurationError::NoUnit);
    }
    let mut rest = text;
    let mut milliseconds: u64 = 0;
    while !rest.is_empty() {
        let (part, tail) = first_part(rest)?;
        milliseconds = milliseconds.saturating_add(part);
        rest = tail;
    }
    match milliseconds {
        _ if text.is_empty() => Err(DurationError::Malformed),
        LONGEST.. => Err(DurationError::TooLong),
        _ => Ok(Duration::from_millis(milliseconds)),
    }
}

/// One number with its unit, in milliseconds, and what follows it.
fn first_part(text: &str) -> Result<(u64, &str), DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let letters = text[digits..].bytes().take_while(u8::is_ascii_lowercase).count();
    let (number, unit, tail) = (&text[..digits], &text[digits..digits + letters], &text[digits + letters..]);
    if number.is_empty() {
        return Err(DurationError::Malformed);
    }
    let factor: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "d" => DAY,
        _ => return Err(DurationError::Malformed),
    };
    let number = number.parse::<u64>().map_err(|_| DurationError::TooLong)?;
    Ok((number.saturating_mul(factor), tail))
}

const DAY: u64 = 24 * 3600 * 1000;

/// The first value that is too long: sums with it must not overflow a clock.
const LONGEST: u64 = 3650 * DAY + 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_a_number_with_unit_when_parsed_then_its_length() {
        for (text, seconds) in [
            ("0s", 0),
            ("10s", 10),
            ("5m", 300),
            ("1h", 3600),
            ("2d", 172_800),
            ("1h30m", 5400),
            ("3650d", 315_360_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn given_anything_else_when_parsed_then_says_why() {
        for (text, why) in [
            ("", DurationError::Malformed),
            ("10", DurationError::NoUnit),
            ("10 s", DurationError::Malformed),
            ("s", DurationError::Malformed),
            ("10S", DurationError::Malformed),
            ("-1s", DurationError::Malformed),
            ("1.5h", DurationError::Malformed),
            ("3651d", DurationError::TooLong),
            ("99999999999999999999s", DurationError::TooLong),
        ] {
            assert_eq!(parse(text), Err(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn given_any_text_when_parsed_then_no_panic(text in ".*") {
            let _ = parse(&text);
        }
    }
}
