//! Promises that are kept by one room or two, shown through the library.

#[path = "../support/mod.rs"]
mod support;

mod acme_engine;
mod asks_a_ca_for_more;
mod asks_name_servers;
mod bad_configurations;
mod comes_to_an_end;
mod files;
mod keeps_certificates;
mod keeps_within_the_cas_limits;
mod machine;
mod samples;
mod serves_what_clients_get;
mod shows_the_configuration;
mod shows_what_it_promises;
mod tells_about_every_code;
mod waits_as_the_ca_asks;
