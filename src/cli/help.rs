//! `portvakt help`: about verbs, as clap tells it, and about the codes of problems.

use clap::{Args, Command, CommandFactory};

use super::failure::Failure;
use super::{Arguments, print_out};
use crate::admin;
use crate::config::{Code, closest};
use crate::doctor;
use crate::egress::bankid::Refusal;
use crate::lifecycle::Reason;
use crate::route::Trouble;
use crate::upstream::TlsFailure;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portvakt help run
  portvakt help PV0204    # why, how to mend it, a wrong and a right configuration
  portvakt help codes     # every code
  portvakt help doctor-json    # the keys of `portvakt doctor --json`
  portvakt help status-json    # the JSON schema of `portvakt status --json` and of /status.json")]
pub(super) struct Help {
    /// Codes such as PV0204, `codes` for a list of all, `doctor-json`, `status-json`, or a verb.
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
}

impl Help {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        print_out(&text(&self.topics)?);
        Ok(())
    }
}

fn text(topics: &[String]) -> Result<String, Failure> {
    let [first, rest @ ..] = topics else { return Ok(about(&mut program())) };
    if rest.is_empty() && ["codes", "code", "pv"].contains(&first.to_ascii_lowercase().as_str()) {
        return Ok(list());
    }
    if rest.is_empty() && first == "doctor-json" {
        return Ok(doctor::JSON_SHAPE.to_owned());
    }
    if rest.is_empty() && first == "status-json" {
        return Ok(admin::SCHEMA.to_owned());
    }
    if begins_like_a_code(first) {
        let pages = topics.iter().map(|topic| page(topic)).collect::<Result<Vec<_>, _>>()?;
        return Ok(pages.join("\n"));
    }
    verb(topics)
}

/// Whether a code is meant, though perhaps one that does not exist.
fn begins_like_a_code(topic: &str) -> bool {
    let rest = topic.strip_prefix("PV").or_else(|| topic.strip_prefix("pv")).unwrap_or(topic);
    rest.starts_with(|c: char| c.is_ascii_digit())
}

fn page(topic: &str) -> Result<String, Failure> {
    let unknown = |error| {
        let codes: Vec<_> = Code::ALL.iter().map(Code::to_string).collect();
        let meant = closest(topic, codes.iter().map(String::as_str));
        let meant = meant.map(|code| format!("; did you mean {code}?")).unwrap_or_default();
        Failure::Usage(format!("{error}{meant}\n\nEvery code: portvakt help codes"))
    };
    let told = |number| doctor::help(number).or_else(|| TlsFailure::help(number)).or_else(|| Reason::help(number));
    if let Some(answer) = answer(topic).or_else(|| trouble(topic)).or_else(|| number(topic).and_then(told)) {
        return Ok(answer);
    }
    let code = topic.parse::<Code>().map_err(unknown)?;
    Ok(format!("{code}: {}\n{}\n\n{}", code.title(), code.meaning(), code.page()))
}

/// About an answer of portvakt's own to an application; `None` when the code is none of those.
fn answer(topic: &str) -> Option<String> {
    let number = number(topic)?;
    let refusal = Refusal::every().into_iter().find(|refusal| refusal.number() == number)?;
    let (status, code, field, name) = (refusal.status(), refusal.error_code(), refusal.header(), refusal.reason());
    Some(format!(
        "PV{:04}: {}\nAn answer of portvakt's own to a request through `[[egress]]`.\n\n\
         Status {status}, `errorCode` \"{code}\", `Portvakt-Error: {field}`; counted in\n\
         `portvakt_egress_local_answers_total` with the reason `{name}`.\n\nThe application is told:\n{}\n",
        refusal.number(),
        name.replace('_', " "),
        refusal.details(),
    ))
}

/// About a mistake in the set-up behind us that answers give away; `None` when the code is none of those.
fn trouble(topic: &str) -> Option<String> {
    let number = number(topic)?;
    let trouble = Trouble::ALL.into_iter().find(|trouble| trouble.number() == number)?;
    Some(format!(
        "{trouble}: {}\nSeen in an answer of a server. Told in the log, once an hour at most, in `portvakt status` and on the\n\
         status page as `{}`; counted by `{}`.\n\nWhy:\n{}\n\nHow to mend it:\n{}\n",
        trouble.title(),
        trouble.as_str(),
        trouble.metric(),
        trouble.what(),
        trouble.fix(),
    ))
}

/// Of a code in any spelling.
fn number(topic: &str) -> Option<u16> {
    topic.trim_start_matches(['P', 'p']).trim_start_matches(['V', 'v']).parse().ok()
}

fn list() -> String {
    let line = |code: &Code| format!("{code}  {}\n", code.title());
    let mut text: String = Code::ALL.iter().map(line).collect();
    text.push_str("\nAnswers to applications that call through [[egress]]:\n");
    for refusal in Refusal::every() {
        text.push_str(&format!("PV{:04}  {}\n", refusal.number(), refusal.reason().replace('_', " ")));
    }
    text.push_str("\nWhy an attempt gave no certificate:\n");
    for reason in Reason::ALL {
        text.push_str(&format!("{}  {}\n", reason.code(), reason.title()));
    }
    text.push_str("\nWhy there is no TLS with an upstream:\n");
    for failure in TlsFailure::EVERY {
        text.push_str(&format!("{}  {}\n", failure.code(), failure.title()));
    }
    text.push_str("\nMistakes that answers of servers give away:\n");
    for trouble in Trouble::ALL {
        text.push_str(&format!("{trouble}  {}\n", trouble.title()));
    }
    text.push_str("\nFindings of portvakt doctor:\n");
    for (code, title) in doctor::codes() {
        text.push_str(&format!("{code}  {title}\n"));
    }
    text.push_str("\nMore about one: portvakt help PV0204\n");
    text
}

/// The help of a verb, or of a verb below it (`help ca root`).
fn verb(path: &[String]) -> Result<String, Failure> {
    let mut program = program();
    let mut command = &mut program;
    for name in path {
        let known: Vec<_> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        if !known.contains(name) {
            let meant = closest(name, known.iter().map(String::as_str));
            let meant = meant.map(|verb| format!("; did you mean `{verb}`?")).unwrap_or_default();
            return Err(Failure::Usage(format!("there is no help about `{name}`{meant}\n\nEvery verb: portvakt help")));
        }
        command = command.find_subcommand_mut(name).expect("its name is among those of the subcommands");
    }
    Ok(about(command))
}

fn program() -> Command {
    let mut command = Arguments::command();
    command.build();
    command
}

fn about(command: &mut Command) -> String {
    command.render_long_help().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(topics: &[&str]) -> Result<String, String> {
        text(&topics.iter().map(|topic| (*topic).to_owned()).collect::<Vec<_>>()).map_err(|failure| match failure {
            Failure::Usage(text) => text,
            _ => panic!("another failure"),
        })
    }

    #[test]
    fn given_the_code_of_an_answer_to_an_application_when_asked_then_what_it_is_told() {
        let page = help(&["PV0614"]).unwrap();
        assert!(page.contains("Status 502") && page.contains("portvaktUnreachable"), "{page}");
        assert_eq!(help(&["614"]).unwrap(), page);
        assert!(help(&["codes"]).unwrap().contains("PV0619  untrusted"));
    }

    #[test]
    fn given_the_code_of_a_failed_attempt_when_asked_then_what_to_do() {
        let page = help(&["PV0283"]).unwrap();
        assert!(page.starts_with("PV0283: a CAA record forbids this CA\n") && page.contains("accounturi"), "{page}");
        assert!(help(&["codes"]).unwrap().contains("PV0297  the CA would refuse the order"));
    }

    #[test]
    fn given_the_code_of_a_mistake_behind_us_when_asked_then_why_and_how_to_mend_it() {
        let page = help(&["pv0317"]).unwrap();
        assert!(page.starts_with("PV0317: ") && page.contains("Require SSL") && page.contains("way B"), "{page}");
        assert!(help(&["codes"]).unwrap().contains("PV0318  IIS wants a client certificate"));
    }

    #[test]
    fn given_a_code_in_any_spelling_when_asked_then_its_page() {
        for topic in ["PV0204", "pv0204", "204"] {
            let text = help(&[topic]).unwrap();
            assert!(text.starts_with("PV0204: unknown certificate source\n"), "{text}");
            assert!(text.contains("How to mend it:") && text.contains("    certificate = \"acme\""), "{text}");
        }
    }

    #[test]
    fn given_the_schema_of_the_status_when_asked_then_it_is_json() {
        let schema: serde_json::Value = serde_json::from_str(&help(&["status-json"]).unwrap()).unwrap();
        assert_eq!(schema["properties"]["now"]["format"], "date-time");
    }

    #[test]
    fn given_several_codes_when_asked_then_each_page() {
        let text = help(&["PV0101", "PV0102"]).unwrap();
        assert!(text.starts_with("PV0101:") && text.contains("\nPV0102:"), "{text}");
    }

    #[test]
    fn given_no_such_code_or_verb_when_asked_then_the_one_that_was_meant() {
        assert!(help(&["PV0240x"]).unwrap_err().contains("did you mean PV02"));
        assert!(help(&["chekc"]).unwrap_err().contains("did you mean `check`"));
        assert!(help(&["ca", "rot"]).unwrap_err().contains("did you mean `root`"));
    }

    #[test]
    fn given_codes_when_asked_then_every_one() {
        for topic in ["codes", "PV"] {
            let text = help(&[topic]).unwrap();
            assert!(Code::ALL.iter().all(|code| text.contains(&format!("{code}  {}", code.title()))), "{text}");
        }
    }

    #[test]
    fn given_a_verb_when_asked_then_its_usage_and_an_example() {
        assert!(help(&["check"]).unwrap().contains("Usage: portvakt check"));
        assert!(help(&["ca", "root"]).unwrap().contains("Usage: portvakt ca root"));
        assert!(help(&[]).unwrap().contains("Usage: portvakt"));
    }
}
