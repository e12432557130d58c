//! `benches/peers` measures every proxy in every case, and `benches/egress` every way out.

use std::process::Command;

#[test]
#[ignore = "long: fetches the other proxies and loads each of them"]
fn given_a_smoke_run_then_each_case_has_a_figure_for_each_proxy() {
    let mut benchmark = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers"));
    let output = benchmark.args(["--quick", "--portvakt", env!("CARGO_BIN_EXE_portvakt")]).output().unwrap();

    let (text, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{log}");
    let rows = text.lines().filter(|line| [" | µs | ", " | KiB | "].iter().any(|unit| line.contains(unit)));
    // Work, unit, four figures, the ratio and what is aimed at.
    let columns: Vec<_> = rows.map(|row| row.matches(" | ").count() + 1).collect();
    assert_eq!(columns, [8; 6], "{text}");
}

#[test]
#[ignore = "long: fetches the other proxies and loads each of them"]
fn given_a_smoke_run_of_the_egress_then_each_kind_of_call_has_a_figure_for_each_way() {
    let mut benchmark = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/egress"));
    let output = benchmark.args(["--quick", "--portvakt", env!("CARGO_BIN_EXE_portvakt")]).output().unwrap();

    let (text, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{log}");
    // The call, both ways of ours and of nginx, and the ratio.
    let columns: Vec<_> =
        text.lines().filter(|line| line.starts_with("| a call ")).map(|row| row.matches(" | ").count() + 1).collect();
    assert_eq!(columns, [6; 2], "{text}");
}
