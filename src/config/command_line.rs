//! The one-liner: `portvakt run --domain D --upstream URL --agree-tos`.

use std::path::PathBuf;

use super::raw::string_literal;

/// A configuration of one site, as it fits on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `--domain`, one at least.
    pub domains: Vec<String>,
    /// `--upstream`.
    pub upstream: String,
    /// `--agree-tos`.
    pub agree_tos: bool,
    /// `--contact`.
    pub contact: Option<String>,
    /// `--directory`.
    pub directory: Option<String>,
    /// `--certificate`: `acme` or `internal`.
    pub certificate: Option<String>,
    /// `--state-dir`.
    pub state_dir: Option<PathBuf>,
}

impl CommandLine {
    /// The file that means the same.
    pub fn to_toml(&self) -> String {
        let mut lines = Vec::new();
        if let Some(folder) = &self.state_dir {
            lines.push(format!("state_dir = {}", string_literal(&folder.to_string_lossy())));
        }
        lines.push(format!("acme = {{ {} }}", self.acme().join(", ")));
        lines.push("[[site]]".to_owned());
        lines.push(self.domain());
        lines.push(format!("upstream = {}", string_literal(&self.upstream)));
        lines.extend(self.certificate.as_ref().map(|source| format!("certificate = {}", string_literal(source))));
        lines.join("\n") + "\n"
    }

    /// The same file with remarks, to be kept and edited.
    pub fn to_commented_toml(&self) -> String {
        let mut text = String::from(
            "# portvakt check --config portvakt.toml      says everything that is wrong with this file\n\
             # portvakt run --config portvakt.toml        runs it\n\
             # portvakt config show --effective           shows every default\n\n",
        );
        if let Some(folder) = &self.state_dir {
            let folder = string_literal(&folder.to_string_lossy());
            text.push_str(&format!("# Keys, certificates and the account: keep it.\nstate_dir = {folder}\n\n"));
        }
        text.push_str("# The CA. `true`: you have read and accept its terms of service, https://letsencrypt.org/repository/.\n[acme]\n");
        text.push_str(&format!("{}\n", self.acme().join("\n")));
        if self.contact.is_none() {
            text.push_str("# contact = \"ops@example.com\"          # the CA may write to it\n");
        }
        if self.directory.is_none() {
            text.push_str("# directory = \"letsencrypt-staging\"    # while you try things out\n");
        }
        text.push_str("\n# What clients ask for, and the server to put TLS in front of. Repeat [[site]] for further ones.\n[[site]]\n");
        text.push_str(&format!("{}\nupstream = {}\n", self.domain(), string_literal(&self.upstream)));
        match &self.certificate {
            Some(source) => text.push_str(&format!("certificate = {}\n", string_literal(source))),
            None => {
                text.push_str("# certificate = { chain = \"chain.pem\", key = \"key.pem\" }    # in place of ACME\n")
            }
        }
        text.push_str(
            "# https = { mode = \"permanent\" }    # 301 in place of 302, once everything works over https\n",
        );
        text
    }

    fn acme(&self) -> Vec<String> {
        let directory = self.directory.as_ref().map(|text| format!("directory = {}", string_literal(text)));
        let contact = self.contact.as_ref().map(|text| format!("contact = {}", string_literal(text)));
        directory.into_iter().chain([format!("agree_tos = {}", self.agree_tos)]).chain(contact).collect()
    }

    fn domain(&self) -> String {
        if let [domain] = &self.domains[..] {
            return format!("domain = {}", string_literal(domain));
        }
        let domains: Vec<_> = self.domains.iter().map(|domain| string_literal(domain)).collect();
        format!("domains = [{}]", domains.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Code, Purpose, from_args, from_text};

    fn sound() -> CommandLine {
        CommandLine {
            domains: vec!["app.example.com".to_owned()],
            upstream: "http://127.0.0.1:8080".to_owned(),
            agree_tos: true,
            state_dir: Some(PathBuf::from("/tmp/state")),
            ..CommandLine::default()
        }
    }

    #[test]
    fn given_the_one_liner_when_loaded_then_one_site() {
        let loaded = from_args(&sound(), Purpose::Run).unwrap();
        assert_eq!(loaded.config.route.sites[0].domains, ["app.example.com"]);
        assert_eq!(loaded.config.upstreams[0].name, "127.0.0.1:8080");
        // Whoever runs the tests may be root.
        assert!(loaded.warnings.iter().all(|problem| problem.code == Code::RunsAsRoot), "{}", loaded.warnings);
    }

    #[test]
    fn given_any_one_liner_when_kept_as_a_file_then_the_same_settings() {
        let all = CommandLine {
            domains: vec!["app.example.com".to_owned(), "www.example.com".to_owned()],
            contact: Some("ops@example.com".to_owned()),
            directory: Some("letsencrypt-staging".to_owned()),
            ..sound()
        };
        let internal = CommandLine { certificate: Some("internal".to_owned()), agree_tos: false, ..sound() };
        for line in [sound(), all, internal] {
            let typed = from_args(&line, Purpose::Run).unwrap().config;
            let text = line.to_commented_toml();
            let kept = from_text("portvakt.toml", &text, Path::new(""), Purpose::Run).unwrap().config;
            assert_eq!(typed, kept, "{text}");
        }
    }

    #[test]
    fn given_no_agreement_when_loaded_then_the_flag_is_named() {
        let problems = from_args(&CommandLine { agree_tos: false, ..sound() }, Purpose::Run).unwrap_err();
        let text = problems.to_string();
        assert!(text.contains("--> <command line>:2:") && text.contains("--agree-tos"), "{text}");
    }

    #[test]
    fn given_quotes_and_line_breaks_when_loaded_then_they_stay_inside_of_their_string() {
        let hostile = "x\"\n[log]\nlevel = \"trace".to_owned();
        let problems = from_args(&CommandLine { domains: vec![hostile], ..sound() }, Purpose::Run).unwrap_err();
        let [problem] = problems.iter().filter(|problem| problem.code != Code::RunsAsRoot).collect::<Vec<_>>()[..]
        else {
            panic!("{problems}");
        };
        assert_eq!(problem.code, Code::ControlCharacter);
    }
}
