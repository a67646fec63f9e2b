//! The fields of the login with e-mail and password, or with others (`authority.credentials.fields`): what each is for,
//! by its name.

use crate::{
    pages::{FormField, InputType},
    problem::ProblemKind,
    text::{Language, Text},
};

/// The names of the fields that `POST /login` has itself.
pub const OWN_FIELDS: [&str; 3] = ["return_to", "deviceId", "deviceName"];

/// What a field is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FieldKind {
    Email,
    Password,
    Phone,
    /// A name or number of the account.
    Account,
    /// A code from an app or a message.
    Code,
    Organization,
    /// Anything else: its label is its name.
    Other,
}

impl FieldKind {
    /// The kind of the field with this name, whatever its case and separators.
    pub(super) fn of(name: &str) -> Self {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        match &*name {
            "pin" | "passcode" | "passphrase" | "secret" => Self::Password,
            _ if ["password", "passwd", "pass", "pwd", "pw"].iter().any(|end| name.ends_with(end)) => Self::Password,
            _ if name.ends_with("email") || name == "mail" => Self::Email,
            "phone" | "phonenumber" | "tel" | "mobile" | "cellphone" | "hp" => Self::Phone,
            "otp" | "totp" | "code" | "onetimecode" | "mfacode" => Self::Code,
            "company" | "organization" | "org" | "tenant" => Self::Organization,
            "login" | "user" | "username" | "account" => Self::Account,
            _ if name.ends_with("id") || name.ends_with("loginname") => Self::Account,
            _ => Self::Other,
        }
    }

    /// Whether blanks around a value belong to it.
    pub(super) fn keeps_blanks(self) -> bool {
        self == Self::Password
    }

    const fn label(self) -> Option<Text> {
        match self {
            Self::Email => Some(Text::Email),
            Self::Password => Some(Text::Password),
            Self::Phone => Some(Text::Phone),
            Self::Account => Some(Text::LoginName),
            Self::Code => Some(Text::Code),
            Self::Organization => Some(Text::Organization),
            Self::Other => None,
        }
    }

    /// The token of HTML's `autocomplete` by which browsers fill it in; `None`: they are not told.
    const fn autocomplete(self) -> Option<&'static str> {
        match self {
            Self::Email => Some("email"),
            Self::Password => Some("current-password"),
            Self::Phone => Some("tel"),
            Self::Account => Some("username"),
            Self::Code => Some("one-time-code"),
            Self::Organization => Some("organization"),
            Self::Other => None,
        }
    }
}

/// The fields of the form. Browsers keep the first, the account, together with the password.
pub(super) fn form_fields(names: &[String], language: Language) -> Vec<FormField<'_>> {
    let fields = names.iter().enumerate().map(|(index, name)| {
        let kind = FieldKind::of(name);
        let is_account = index == 0 && kind != FieldKind::Password;
        FormField {
            name,
            label: kind.label().map_or(name.as_str(), |label| label.say(language)),
            input: match kind {
                FieldKind::Email => InputType::Email,
                FieldKind::Password => InputType::Password,
                FieldKind::Phone => InputType::Phone,
                FieldKind::Code => InputType::Digits,
                FieldKind::Account | FieldKind::Organization | FieldKind::Other => InputType::Text,
            },
            autocomplete: if is_account { Some("username") } else { kind.autocomplete() },
        }
    });
    fields.collect()
}

/// Whether the fields are e-mail address and password, which the texts of errors name.
pub(super) fn are_usual(names: &[String]) -> bool {
    matches!(names, [email, password] if email == "email" && password == "password")
}

/// The text of a problem of a login whose fields are others.
pub(super) const fn wording(kind: ProblemKind) -> Option<Text> {
    match kind {
        ProblemKind::BadCredentials | ProblemKind::AccountRefused => Some(Text::LoginWrong),
        ProblemKind::CredentialsMissing => Some(Text::LoginFieldsMissing),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_by_its_name_in_any_spelling() {
        for (name, kind) in [
            ("email", FieldKind::Email),
            ("userEmail", FieldKind::Email),
            ("password", FieldKind::Password),
            ("mb_password", FieldKind::Password),
            ("login-pw", FieldKind::Password),
            ("PIN", FieldKind::Password),
            ("phone_number", FieldKind::Phone),
            ("login_id", FieldKind::Account),
            ("userId", FieldKind::Account),
            ("username", FieldKind::Account),
            ("otp", FieldKind::Code),
            ("company", FieldKind::Organization),
            ("branch", FieldKind::Other),
            ("spin", FieldKind::Other),
        ] {
            assert_eq!(FieldKind::of(name), kind, "{name}");
        }
    }

    #[test]
    fn the_form_has_a_label_and_a_hint_for_password_managers_at_each_field() {
        let names = ["login_id", "password", "branch"].map(str::to_owned);
        let fields = form_fields(&names, Language::English);
        let shown: Vec<_> = fields.iter().map(|field| (field.name, field.label, field.autocomplete)).collect();
        assert_eq!(
            shown,
            [
                ("login_id", "ID", Some("username")),
                ("password", "Password", Some("current-password")),
                ("branch", "branch", None)
            ]
        );
        let usual = ["email", "password"].map(str::to_owned);
        let fields = form_fields(&usual, Language::Korean);
        assert_eq!(
            (fields[0].label, fields[0].input, fields[0].autocomplete),
            ("이메일", InputType::Email, Some("username"))
        );
        assert!(are_usual(&usual) && !are_usual(&names));
    }
}
