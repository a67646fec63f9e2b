//! The table of problems as a page for people: docs/problems.md.

use std::fmt::Write as _;

use super::{
    denial::Denial,
    row::{Connection, ProblemRow, RetryAdvice, SessionCookies, Wording},
    table::ProblemKind,
};
use crate::text::{Language, Text};

const INTRODUCTION: &str = include_str!("introduction.md");
const DENIALS: &str = include_str!("denials.md");

/// The reference in Markdown: docs/problems.md.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    head(&mut page, &["status", "`code`", "what happened", "what a client should do"]);
    let mut written: Vec<&str> = Vec::new();
    for kind in ProblemKind::ALL {
        let code = kind.code();
        if !written.contains(&code) {
            written.push(code);
            problem(&mut page, code);
        }
    }
    page.push_str(DENIALS);
    head(&mut page, &["`error`", "what happened"]);
    for denial in Denial::ALL {
        let _ = write!(page, "| `{}` | {} |", denial.code(), denial.meaning().trim());
        for language in Language::ALL {
            let _ = write!(page, " {} |", denial.text().say(*language));
        }
        page.push('\n');
    }
    page
}

/// The first two lines of a table: these columns, then one for each language.
fn head(page: &mut String, columns: &[&str]) {
    let languages = Language::ALL.iter().map(|language| language.name());
    let columns: Vec<_> = columns.iter().copied().chain(languages).collect();
    let _ = writeln!(page, "\n| {} |\n|{}", columns.join(" | "), " --- |".repeat(columns.len()));
}

/// One line for all problems with this `code`; what they have in common is written once.
fn problem(page: &mut String, code: &str) {
    let rows: Vec<&ProblemRow> =
        ProblemKind::ALL.iter().map(|kind| kind.row()).filter(|row| row.code == code).collect();
    let all = |cell: &dyn Fn(&ProblemRow) -> String| {
        let mut cells: Vec<String> = Vec::new();
        for text in rows.iter().map(|row| cell(row)) {
            if !cells.contains(&text) {
                cells.push(text);
            }
        }
        cells.join("<br>")
    };
    let status = all(&|row| row.status.as_u16().to_string());
    let _ = write!(page, "| {status} | `{code}` | {} | {} |", all(&meaning), all(&|row| row.client.to_owned()));
    for language in Language::ALL {
        let _ = write!(page, " {} |", all(&|row| text(row).say(*language).to_owned()));
    }
    page.push('\n');
}

fn meaning(row: &ProblemRow) -> String {
    let mut meaning = row.meaning.trim().to_owned();
    if row.connection == Connection::Close {
        meaning.push_str(" The connection is closed.");
    }
    if row.session == SessionCookies::ClearedIfEnded {
        meaning.push_str(" Cookies of a session that has ended are cleared.");
    }
    if row.retry == RetryAdvice::Later {
        meaning.push_str(" `Retry-After` is set.");
    }
    meaning
}

/// The text of the JSON answer.
const fn text(row: &ProblemRow) -> Text {
    match row.text {
        Wording::Fixed(text) | Wording::Wait { known: text, .. } => text,
    }
}
