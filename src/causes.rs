//! An error in words, for a log line or a status page.
//!
//! In: an error. Out: one line that joins it with its causes. Where errors are printed for a person at a terminal, `cli`
//! gives each cause a line of its own instead. Imports nothing.

use std::error::Error;

/// An error and its causes, each once, joined by `: `.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        // Some libraries repeat the cause in their own words.
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Told {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn given_causes_when_told_then_each_once_and_in_order() {
        let told = |text, source: Option<Told>| Told { text, source: source.map(Box::new) };
        let inner = told("disk full", None);
        let middle = told("cannot write: disk full", Some(inner));

        assert_eq!(with_causes(&told("not saved", Some(middle))), "not saved: cannot write: disk full");
        assert_eq!(with_causes(&told("alone", None)), "alone");
    }
}
