//! PyPI `bankid-sdk`: a client of BankID's that knows nothing of us.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::super::peers::python;
use super::identities::{PASSWORD, PEM, path_of};

/// A running interpreter with the client in it.
pub(crate) struct Sdk {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// An error that the client has raised.
#[derive(Clone, Debug)]
pub(crate) struct Raised {
    /// Its class, such as `InvalidParameters`; `BankIDHTTPError` when there was no answer.
    pub(crate) class: String,
    /// All that is known of it.
    pub(crate) told: Value,
}

impl Sdk {
    /// An application that is told `url` and nothing else.
    pub(crate) fn on(url: &str) -> Self {
        Self::launch(&[url])
    }

    /// The relying party itself, with the published certificate.
    pub(crate) fn with_identity(url: &str, root: &Path) -> Self {
        let text = |path: &Path| path.to_str().expect("a name that is text").to_owned();
        Self::launch(&[url, &text(root), &text(&path_of(PEM)), PASSWORD])
    }

    /// Makes an order for nobody in particular.
    pub(crate) fn auth(&mut self) -> Result<Value, Raised> {
        self.call(json!({ "do": "auth", "end_user_ip": "192.0.2.7" }))
    }

    /// Makes an order that signs `text`.
    pub(crate) fn sign(&mut self, text: &str) -> Result<Value, Raised> {
        self.call(json!({ "do": "sign", "end_user_ip": "192.0.2.7", "user_visible_data": text }))
    }

    /// Asks how an order stands.
    pub(crate) fn collect(&mut self, order_ref: &str) -> Result<Value, Raised> {
        self.call(json!({ "do": "collect", "order_ref": order_ref }))
    }

    /// Ends an order.
    pub(crate) fn cancel(&mut self, order_ref: &str) -> Result<Value, Raised> {
        self.call(json!({ "do": "cancel", "order_ref": order_ref }))
    }

    /// So many orders at once, each collected until it is final without a pause of the client's.
    pub(crate) fn many(&mut self, orders: usize) -> Vec<Value> {
        let told = self.call(json!({ "do": "many", "orders": orders })).expect("no order fails");
        told.as_array().expect("one result for each").clone()
    }

    /// Any call.
    pub(crate) fn call(&mut self, call: Value) -> Result<Value, Raised> {
        writeln!(self.input, "{call}").and_then(|()| self.input.flush()).expect("the client listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the client answers");
        let mut told: Value = serde_json::from_str(&line).expect("the client has died; its words are above");
        match told["error"].as_str() {
            Some(class) => Err(Raised { class: class.to_owned(), told }),
            None => Ok(told["ok"].take()),
        }
    }

    fn launch(arguments: &[&str]) -> Self {
        let mut command = python();
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/bankid/sdk.py")).args(arguments);
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.unwrap_or_else(|error| panic!("python3 does not start: {error}"));
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let (input, output) = input.zip(output).expect("both were asked for");
        Self { process, input, output: BufReader::new(output) }
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
