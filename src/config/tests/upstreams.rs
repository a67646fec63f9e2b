//! `[upstreams.NAME]`: what is read, and what holds without it.

use super::*;
use crate::upstream::EjectionRule;

#[test]
fn a_file_without_eject_has_the_rule_and_the_age_of_the_contract() {
    let config = read(BACKEND).unwrap_or_else(|complaints| panic!("{complaints}")).config;
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.max_connection_age, Duration::from_secs(60));
    let ten = Duration::from_secs(10);
    let rule = EjectionRule { failures: 3, share: 0.5, window: ten, duration: ten, most: 0.5, statuses: vec![] };
    assert_eq!(upstream.eject, rule);
    assert_eq!(EjectionRule::default(), rule);
}

#[test]
fn every_key_of_eject_is_read_from_the_file_and_from_the_environment() {
    let keys = "max_connection_age = \"5m\"\neject = { failures = 5, share = 1, window = \"1m\", for = \"20s\", \
                most = 0, statuses = [502, 503] }\n[[routes]]";
    let file = BACKEND.replace("[[routes]]", keys);
    let config = read(&file).unwrap_or_else(|complaints| panic!("{complaints}")).config;
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.max_connection_age, Duration::from_secs(300));
    let read_rule = EjectionRule {
        failures: 5,
        share: 1.0,
        window: Duration::from_secs(60),
        duration: Duration::from_secs(20),
        most: 0.0,
        statuses: vec![http::StatusCode::BAD_GATEWAY, http::StatusCode::SERVICE_UNAVAILABLE],
    };
    assert_eq!(upstream.eject, read_rule);

    let set = [("VESTIBULE_UPSTREAMS__API__EJECT__SHARE", "0.25"), ("VESTIBULE_UPSTREAMS__API__EJECT__FAILURES", "7")];
    let config = read_with(&file, &set).unwrap_or_else(|complaints| panic!("{complaints}")).config;
    assert_eq!(config.upstreams[0].eject, EjectionRule { share: 0.25, failures: 7, ..read_rule });
}
