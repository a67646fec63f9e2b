//! Tests of the table of problems and of the page made from it.

use std::{collections::BTreeMap, fs, time::Duration};

use http::StatusCode;

use super::*;
use crate::{channel::Channel, text::Language};

#[test]
fn the_page_of_problems_is_current() {
    let written = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/problems.md")).unwrap();
    assert!(written == reference(), "run `vestibule schema --problems > docs/problems.md`");
}

#[test]
fn a_code_has_one_status_and_only_letters_and_underscores() {
    let mut statuses: BTreeMap<&str, StatusCode> = BTreeMap::new();
    for kind in ProblemKind::ALL {
        let row = kind.row();
        assert!(row.code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", row.code);
        assert_eq!(*statuses.entry(row.code).or_insert(row.status), row.status, "{}", row.code);
        assert!(row.status.is_client_error() || row.status.is_server_error(), "{kind:?}");
        assert!(!row.client.is_empty() && !row.meaning.trim().is_empty(), "{kind:?}");
    }
}

#[test]
fn the_text_has_a_time_to_wait_exactly_where_the_row_has_one() {
    for kind in ProblemKind::ALL {
        let row = kind.row();
        assert_eq!(row.retry == RetryAdvice::Wait, matches!(row.text, Wording::Wait { .. }), "{kind:?}");
        for language in Language::ALL {
            assert!(!kind.text(*language, None).contains('{'), "{kind:?}");
            assert!(!kind.text(*language, Some(37)).contains('{'), "{kind:?}");
        }
    }
    let soon = Problem::new(ProblemKind::TooSoon).after(Duration::from_millis(36_001));
    assert_eq!(soon.text(Language::English), "Try again in 37 seconds");
    assert_eq!((soon.retry_after(), soon.wait_seconds()), (Some(37), Some(37)));
    let at_once = Problem::new(ProblemKind::TooMany).after(Duration::ZERO);
    assert_eq!(at_once.retry_after(), Some(1));
}

#[test]
fn retry_after_is_one_second_for_a_temporary_problem_without_a_time() {
    assert_eq!(Problem::new(ProblemKind::StoreUnavailable).retry_after(), Some(1));
    let unavailable = Problem::new(ProblemKind::AuthorityUnavailable).after(Duration::from_secs(2));
    assert_eq!((unavailable.retry_after(), unavailable.wait_seconds()), (Some(2), None));
    assert_eq!(Problem::new(ProblemKind::Forbidden).after(Duration::from_secs(2)).retry_after(), None);
}

#[test]
fn a_form_shows_the_problems_that_its_row_names_and_nothing_else() {
    assert_eq!(ProblemKind::on_login_page("bad_credentials"), Some(ProblemKind::BadCredentials));
    assert_eq!(ProblemKind::on_login_page("too_many"), Some(ProblemKind::TooManyGuesses));
    assert_eq!(ProblemKind::on_code_page(Channel::Sms, "too_many"), Some(ProblemKind::TooMany));
    assert_eq!(ProblemKind::on_code_page(Channel::Sms, "field_missing"), Some(ProblemKind::PhoneOrCodeMissing));
    assert_eq!(ProblemKind::on_code_page(Channel::Email, "field_missing"), Some(ProblemKind::EmailOrCodeMissing));
    for code in ["", "BAD_CREDENTIALS", "forbidden", "<b>", "your account was stolen, call 1234"] {
        assert_eq!(ProblemKind::on_login_page(code), None, "{code}");
        assert_eq!(ProblemKind::on_code_page(Channel::Email, code), None, "{code}");
    }
}
