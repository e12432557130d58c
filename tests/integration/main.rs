//! Promises that are kept by one room or two, shown through the library.

#[path = "../support/mod.rs"]
mod support;

mod acme_engine;
mod bad_configurations;
mod keeps_certificates;
mod machine;
mod samples;
mod waits_as_the_ca_asks;
