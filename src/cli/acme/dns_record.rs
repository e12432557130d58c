//! `portvakt acme dns-record`.

use clap::Args;

use super::super::failure::Failure;
use super::super::settings::ConfigFile;
use super::super::{block_on_alone, print_out};
use super::failure;
use crate::app::{self, DnsRecordFacts};
use crate::config::{self, Purpose};
use crate::source::acme::Published;

#[derive(Debug, Args)]
#[command(
    after_help = "Publish each record once: it holds for all renewals, and nothing else is needed, no port and no rights in DNS. Where the CA
offers dns-persist-01, set `challenges = [\"dns-persist-01\"]` in [acme]. An account that is not there yet is registered. Exit
code 1: a record is missing.

Examples:
  portvakt acme dns-record
  portvakt acme dns-record app.example.com --json | jq -r '.[] | .name + \" \" + .value'"
)]
pub(in crate::cli) struct DnsRecord {
    /// The site, by its name or one of its domains; by default every one with an ACME certificate.
    site: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl DnsRecord {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let loaded = config::load(self.config.path(), Purpose::Run)?;
        let records =
            block_on_alone(async { app::dns_records(&loaded.config, self.site.as_deref()).await.map_err(failure) })?;
        print_out(&match self.json {
            true => format!("{:#}\n", serde_json::json!(records)),
            false => in_words(&records),
        });
        let is_missing = |facts: &DnsRecordFacts| matches!(facts.published, Published::No(_));
        if records.iter().any(is_missing) { Err(Failure::Told) } else { Ok(()) }
    }
}

/// Comments between lines of a zone file.
fn in_words(records: &[DnsRecordFacts]) -> String {
    let mut out = String::new();
    let mut before = None;
    for facts in records {
        let heading = (&facts.site, &facts.directory);
        if before != Some(heading) {
            out.push_str(&format!("; {}, at {}\n", facts.site, facts.directory));
            if !facts.is_used {
                out.push_str("; not used: `challenges` in [acme] does not name \"dns-persist-01\"\n");
            }
            before = Some(heading);
        }
        out.push_str(&format!("{}. IN TXT \"{}\"\n", facts.record.name, facts.record.value));
        out.push_str(&match &facts.published {
            Published::Yes => "; it is there\n".to_owned(),
            Published::No(found) => format!("; MISSING: {found}\n"),
            Published::Unknown(why) => format!("; cannot look: {why}\n"),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::acme::PersistRecord;

    #[test]
    fn given_records_when_told_then_as_lines_of_a_zone_with_what_is_missing() {
        let facts = |name: &str, is_used, published| DnsRecordFacts {
            site: "m5".to_owned(),
            directory: "https://ca.test/dir".to_owned(),
            is_used,
            record: PersistRecord { name: name.to_owned(), value: "ca.test; accounturi=https://ca.test/1".to_owned() },
            published,
        };
        let told = in_words(&[
            facts("_validation-persist.m5.test", true, Published::Yes),
            facts(
                "_validation-persist.www.m5.test",
                true,
                Published::No("ns1 (192.0.2.1:53) has no such text".to_owned()),
            ),
        ]);
        let expected = "\
; m5, at https://ca.test/dir
_validation-persist.m5.test. IN TXT \"ca.test; accounturi=https://ca.test/1\"
; it is there
_validation-persist.www.m5.test. IN TXT \"ca.test; accounturi=https://ca.test/1\"
; MISSING: ns1 (192.0.2.1:53) has no such text
";
        assert_eq!(told, expected);
        let told = in_words(&[facts("_validation-persist.m5.test", false, Published::Unknown("silence".to_owned()))]);
        assert!(told.contains("; not used: ") && told.contains("; cannot look: silence"), "{told}");
    }
}
