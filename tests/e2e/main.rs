//! Promises of the whole program, each shown by the built binary against real peers.
//!
//! `tests/run` fetches the peers and runs the fast part; the tests marked as ignored are the long part, `--all`.

#[path = "../support/mod.rs"]
mod support;

mod egress_stage;
mod stage;

mod alerts_fire_in_time;
mod answers_before_bankid_refuses;
mod answers_on_its_control_socket;
mod answers_only_for_its_own_names;
mod believes_only_its_load_balancers;
mod benchmark_measures_every_proxy;
mod bounds_what_a_client_may_take;
mod calls_bankid_for_an_application;
mod carries_websockets;
mod checks_an_identity_by_hand;
mod counts_what_bankid_answers;
mod demo_shows_the_main_job;
mod drains_in_bounded_time;
mod enforces_https_per_path;
mod explains_what_a_request_gets;
mod fails_clearly_and_never_twice;
mod gives_up_rights;
mod issues_from_its_own_ca;
mod keeps_authenticated_connections_apart;
mod keeps_bankid_data_out_of_logs;
mod keeps_file_certificates_current;
mod keeps_final_answers_until_delivered;
mod keeps_requests_within_limits;
mod keeps_secrets_out_of_the_log;
mod keeps_serving_when_servers_fail;
mod leads_requests_where_they_belong;
mod lets_applications_call_out;
mod obtains_certificates_by_acme;
mod paces_collects;
mod passes_traces_on;
mod peers_are_real;
mod prints_what_can_be_kept;
mod reaches_the_upstream_by_every_way;
mod readme_is_true;
mod reads_certificates_of_every_form;
mod refuses_malformed_http;
mod refuses_what_no_identity_covers;
mod reloads_without_losing_a_request;
mod renews_while_serving;
mod resumes_after_a_kill;
mod rotates_client_identities;
mod says_what_is_wrong_with_a_configuration;
mod says_why_acme_fails;
mod sends_hsts_with_a_certificate;
mod serves_on_when_its_disk_fails;
mod serves_only_listed_clients;
mod sets_forwarding_headers;
mod shares_its_state;
mod shows_a_page_while_servers_are_away;
mod shows_an_upstream_who_we_are;
mod shows_its_state_to_operators;
mod smuggles_nothing;
mod speaks_tls_as_promised;
mod stand_in_does_as_bankid;
mod starts_without_the_ca;
mod streams_both_ways;
mod survives_hundreds_of_kills;
mod swaps_certificates_under_load;
mod takes_over_sockets;
mod tells_its_supervisor;
mod tells_what_enforcement_would_break;
mod tells_what_users_should_see;
mod upgrades_without_losing_a_request;
mod wipes_keys_from_memory;
mod withstands_floods;
mod withstands_slow_clients;
mod works_as_the_shape_is_written;
mod writes_each_request_down;
