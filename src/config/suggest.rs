//! Guesses what a misspelt word was meant to be.

/// The known word that is most like `word`, when one is near enough to be meant.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word);
    let distance = |candidate: &str| strsim::damerau_levenshtein(&word, &folded(candidate));
    let (candidate, distance) = known.into_iter().map(|known| (known, distance(known))).min_by_key(|(_, d)| *d)?;
    let longest = word.chars().count().max(candidate.chars().count());
    (distance <= longest / 3).then_some(candidate)
}

/// Case and the kind of dash are never the point.
fn folded(word: &str) -> String {
    word.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["domain", "domains", "trust_anchors"];

    #[test]
    fn given_a_slip_when_asked_then_the_nearest_word() {
        for (word, meant) in
            [("domian", "domain"), ("domanis", "domains"), ("Trust-Anchors", "trust_anchors"), ("domai", "domain")]
        {
            assert_eq!(closest(word, KNOWN), Some(meant), "{word}");
        }
    }

    #[test]
    fn given_another_word_when_asked_then_nothing() {
        for word in ["", "x", "upstream", "certificate"] {
            assert_eq!(closest(word, KNOWN), None, "{word}");
        }
    }
}
