//! What a CA writes, cut to what is worth keeping: it goes into the log, the store, the status and the page for operators.

use instant_acme::Problem;

/// A problem document with every text of a length that can be kept.
pub(super) fn bounded(mut problem: Problem) -> Problem {
    let bound = |text: Option<String>, most| text.map(|text| cut(text, most));
    problem.r#type = bound(problem.r#type, LONGEST_TYPE);
    problem.detail = bound(problem.detail, LONGEST_DETAIL);
    problem.subproblems.truncate(MOST_PARTS);
    for part in &mut problem.subproblems {
        part.r#type = bound(part.r#type.take(), LONGEST_TYPE);
        part.detail = bound(part.detail.take(), LONGEST_DETAIL);
    }
    problem
}

/// At most `most` bytes of a text, to the end of a character, and ` ...` where something was left out.
pub(super) fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push_str(" ...");
    }
    text
}

/// Bytes. The longest that is known, Let's Encrypt's about a secondary validation, has some hundred.
pub(super) const LONGEST_DETAIL: usize = 2000;
const LONGEST_TYPE: usize = 200;
/// Of a compound problem; the first ones tell what is wrong.
const MOST_PARTS: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_a_problem_of_a_megabyte_when_bounded_then_some_pages() {
        let long = "é".repeat(1 << 19);
        let part = serde_json::json!({ "type": long, "detail": long });
        let whole = serde_json::json!({ "type": long, "detail": long, "subproblems": vec![part; 20] });
        let problem = bounded(serde_json::from_value(whole).unwrap());

        assert_eq!(problem.detail.as_ref().map(String::len), Some(LONGEST_DETAIL + 4));
        assert!(problem.to_string().len() < 40_000 && problem.subproblems.len() == MOST_PARTS);
    }

    #[test]
    fn given_a_problem_of_usual_length_when_bounded_then_as_it_was() {
        let whole = serde_json::json!({ "type": "urn:ietf:params:acme:error:dns", "detail": "no such name" });
        let problem: Problem = serde_json::from_value(whole).unwrap();
        let words = problem.to_string();
        assert_eq!(bounded(problem).to_string(), words);
    }

    proptest! {
        #[test]
        fn given_any_text_when_cut_then_it_begins_the_same_and_is_short(text: String, most in 0..40_usize) {
            let whole = text.clone();
            let cut = cut(text, most);
            prop_assert!(cut == whole || (cut.len() <= most + 4 && whole.starts_with(cut.trim_end_matches(" ..."))));
        }
    }
}
