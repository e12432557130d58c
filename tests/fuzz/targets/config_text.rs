//! Whatever the text: a configuration is read or every problem is told, and both can be shown.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portvakt::config::{Purpose, Style, from_text};

fuzz_target!(|text: &str| {
    match from_text("fuzz.toml", text, Path::new("/nonexistent"), Purpose::CheckOffline) {
        Ok(loaded) => assert!(!loaded.warnings.has_errors()),
        Err(problems) => {
            assert!(problems.has_errors());
            assert!(problems.render(Style::Plain).ends_with('\n'));
            assert_eq!(problems.to_json_lines().lines().count(), problems.iter().count());
        }
    }
});
