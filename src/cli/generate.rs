//! `portvakt completions` and `portvakt man`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::failure::Failure;
use super::{Arguments, print_out};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portvakt completions bash > /etc/bash_completion.d/portvakt
  portvakt completions fish > ~/.config/fish/completions/portvakt.fish")]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portvakt man | man -l -
  portvakt man --dir /usr/local/share/man/man1")]
pub(super) struct ManPages {
    /// Write one page for each verb into this folder, in place of printing the first one.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl Completions {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "portvakt", &mut script);
        print_out(&String::from_utf8_lossy(&script));
        Ok(())
    }
}

impl ManPages {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let Some(folder) = &self.dir else {
            let mut page = Vec::new();
            let written = Man::new(Arguments::command()).render(&mut page);
            written.map_err(|error| cannot_write(Path::new("standard output"), &error))?;
            print_out(&String::from_utf8_lossy(&page));
            return Ok(());
        };
        let written = fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Arguments::command(), folder));
        written.map_err(|error| cannot_write(folder, &error))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Plain {
        what: format!("cannot write man pages to `{}`", path.display()),
        why: error.to_string(),
        fix: "name a folder that you may write".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_each_shell_when_asked_then_its_script_knows_the_verbs() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "portvakt", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(["explain", "reload", "status"].iter().all(|verb| script.contains(verb)), "{shell}");
        }
    }

    #[test]
    fn given_a_folder_when_asked_then_a_page_for_each_verb() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("man1");
        assert!(ManPages { dir: Some(dir.clone()) }.carry_out().is_ok());
        for page in ["portvakt.1", "portvakt-run.1", "portvakt-explain.1", "portvakt-config-show.1"] {
            assert!(fs::read_to_string(dir.join(page)).unwrap().contains(".TH"), "{page}");
        }
    }
}
