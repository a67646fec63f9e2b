//! `[authority.credentials]`: the call of `POST {base_path}/login`, and the fields of its body.

use super::super::{
    call::{self, CallTable, Upstreams},
    fields::is_field,
};
use crate::{
    authority::of_credentials,
    call::{Placeholder, Template},
    config::schema::{
        context::Context,
        form,
        key::{AnyKey, List, table},
        section::Section,
    },
    login::OWN_FIELDS,
};

table! {
    /// `[authority.credentials]`
    pub(crate) struct CredentialsTable: CallTable {
        /// How long the whole call may take, from connecting to the last byte of the answer.
        TIMEOUT: form::Duration = default("timeout", "\"30s\"");
        /// The fields of the body of `POST {base_path}/login` and of the form on the login page, in their order, e.g.
        /// `["login_id", "password"]`; at most 8. Each is needed. The first is the account, for
        /// `limits.failures_per_account`.
        FIELDS: List<form::Text> = default("fields", "[\"email\", \"password\"]");
    }
}

/// Most fields.
const MOST_FIELDS: usize = 8;

/// Reads the call.
pub(super) fn call(
    section: &Section<'_, CredentialsTable>,
    fields: &[String],
    upstreams: Upstreams<'_>,
    cx: &mut Context<'_>,
) -> Option<Template> {
    let known = of_credentials(fields);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let template = call::call(section, section.read(&CredentialsTable::TIMEOUT), upstreams, &known, cx)?;
    // What a faulty part of the call was to send is not known.
    let parts: [&dyn AnyKey<Table = CallTable>; 5] =
        [&CallTable::PATH, &CallTable::HEADERS, &CallTable::COOKIES, &CallTable::FORM, &CallTable::JSON];
    if parts.iter().any(|part| section.is_faulty(*part, &cx.problems)) {
        return Some(template);
    }
    let used = template.placeholders();
    let is_used = |field: &String| {
        used.iter().any(|placeholder| match placeholder {
            Placeholder::Email => field == "email",
            Placeholder::Password => field == "password",
            Placeholder::Field(name) => name == field,
            _ => false,
        })
    };
    let unused: Vec<_> = fields.iter().filter(|field| !is_used(field)).map(|field| format!("`{field}`")).collect();
    if let Some(first) = fields.iter().find(|field| !is_used(field)) {
        let (fields, are) = if unused.len() == 1 { ("field", "is") } else { ("fields", "are") };
        cx.warn(
            section.place(&CredentialsTable::FIELDS),
            format!("the {fields} {} {are} asked for and sent nowhere", unused.join(", ")),
            format!("write `{{field.{first}}}` in the call, or leave the field out"),
        );
    }
    Some(template)
}

/// Reads the names of the fields.
pub(super) fn fields(section: &Section<'_, CredentialsTable>, cx: &mut Context<'_>) -> Vec<String> {
    let listed = section.list(&CredentialsTable::FIELDS);
    if listed.is_empty() || listed.len() > MOST_FIELDS {
        let message = format!("a login has 1 to {MOST_FIELDS} fields");
        cx.complain(section.place(&CredentialsTable::FIELDS), message, "write `fields = [\"login_id\", \"password\"]`");
    }
    let mut fields: Vec<String> = Vec::new();
    for (name, place) in listed {
        if is_field(&name, &OWN_FIELDS, &fields, &place, cx) {
            fields.push(name);
        }
    }
    fields
}
