//! Parses the texts of a template, and reports `{words}` that are no placeholders of the call.

use serde_json::Value;

use super::{
    foreign::{self, CLAIMS, Foreign},
    template::{Json, Piece, Placeholder, Text},
};

/// Why a template's text is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    /// A `{name}` that is no placeholder of this call.
    #[error("unknown placeholder `{{{name}}}`")]
    Unknown {
        /// The name between the braces.
        name: String,
        /// The most similar placeholder, without braces.
        suggestion: Option<String>,
    },
    /// A placeholder as other tools write it, which would be sent as text or give nothing.
    #[error("`{written}` is no placeholder; it is written `{{{meant}}}`")]
    Foreign {
        /// As it is written.
        written: String,
        /// The placeholder that is meant, without braces.
        meant: String,
    },
    /// A placeholder inside the text of a GraphQL query, where its value would become syntax.
    #[error("a placeholder inside a query would let a value become syntax; pass it as a variable")]
    InsideQuery,
}

/// What the strings of a JSON template are read as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Texts {
    /// By a backend, perhaps as a query: a placeholder inside one is refused.
    MayBeQueries,
    /// As values alone, like the claims of a token.
    AreValues,
}

impl Text {
    /// Parses `text`. `allowed` are the names of this call's placeholders; `claims.` allows every `{claims.NAME}`, and
    /// each `{field.NAME}` is listed.
    pub fn parse(text: &str, allowed: &[&str]) -> Result<Self, TemplateError> {
        let parsed = Self::pieces(text, allowed)?;
        refuse_foreign(text, allowed)?;
        Ok(parsed)
    }

    fn pieces(text: &str, allowed: &[&str]) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            literal.push_str(&rest[..open]);
            rest = &rest[open..];
            let Some(name) = placeholder_name(rest) else {
                literal.push('{');
                rest = &rest[1..];
                continue;
            };
            let placeholder = Placeholder::named(name).filter(|p| p.is_one_of(allowed)).ok_or_else(|| {
                TemplateError::Unknown { name: name.to_owned(), suggestion: suggestion(name, allowed) }
            })?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Placeholder(placeholder));
            rest = &rest[name.len() + 2..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self(pieces))
    }
}

impl Json {
    /// Parses a template's `json`: placeholders are possible in its strings, not in its names.
    pub fn from_value(value: &Value, allowed: &[&str]) -> Result<Self, TemplateError> {
        Ok(match value {
            Value::String(text) => Self::from_text(text, Texts::MayBeQueries, allowed)?,
            Value::Array(items) => {
                Self::Array(items.iter().map(|item| Self::from_value(item, allowed)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, member)| Ok((name.clone(), Self::from_value(member, allowed)?)))
                    .collect::<Result<_, _>>()?,
            ),
            plain => Self::Plain(plain.clone()),
        })
    }

    /// Parses one of its strings.
    pub fn from_text(text: &str, texts: Texts, allowed: &[&str]) -> Result<Self, TemplateError> {
        let Text(pieces) = Text::pieces(text, allowed)?;
        if !is_document(text) {
            refuse_foreign(text, allowed)?;
        }
        match pieces.as_slice() {
            [] => Ok(Self::Plain(Value::String(String::new()))),
            [Piece::Literal(literal)] => Ok(Self::Plain(Value::String(literal.clone()))),
            [Piece::Placeholder(placeholder)] => Ok(Self::Value(placeholder.clone())),
            [Piece::Literal(first), ..] if texts == Texts::MayBeQueries && is_graphql(first) => {
                Err(TemplateError::InsideQuery)
            }
            _ => Ok(Self::Text(Text(pieces))),
        }
    }
}

impl Placeholder {
    /// The placeholder of this name, e.g. `email` or `claims.sub`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "provider" => Self::Provider,
            "id_token" => Self::IdToken,
            "access_token" => Self::AccessToken,
            "refresh_token" => Self::RefreshToken,
            "profile" => Self::Profile,
            "email" => Self::Email,
            "password" => Self::Password,
            "channel" => Self::Channel,
            "address" => Self::Address,
            "address_e164" => Self::AddressE164,
            "sub" => Self::Sub,
            "provider_sub" => Self::ProviderSub,
            "method" => Self::Method,
            "device_id" => Self::DeviceId,
            "device_name" => Self::DeviceName,
            "text" => Self::Text,
            "sender" => Self::Sender,
            "timestamp" => Self::Timestamp,
            "date" => Self::Date,
            "nonce" => Self::Nonce,
            "signature" => Self::Signature,
            _ => match name.split_once('.')? {
                ("claims", claim) if !claim.is_empty() => Self::Claim(claim.to_owned()),
                ("field", field) if !field.is_empty() => Self::Field(field.to_owned()),
                _ => return None,
            },
        })
    }

    /// Whether a list of allowed placeholders has it.
    fn is_one_of(&self, allowed: &[&str]) -> bool {
        match self {
            Self::Field(name) => allowed.iter().any(|known| known.strip_prefix(FIELD) == Some(name)),
            other => allowed.contains(&other.family()),
        }
    }

    /// The name in lists of allowed placeholders: `claims.` for every claim, `field.` for every field.
    pub(super) fn family(&self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::IdToken => "id_token",
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
            Self::Profile => "profile",
            Self::Email => "email",
            Self::Password => "password",
            Self::Channel => "channel",
            Self::Address => "address",
            Self::AddressE164 => "address_e164",
            Self::Sub => "sub",
            Self::ProviderSub => "provider_sub",
            Self::Method => "method",
            Self::DeviceId => "device_id",
            Self::DeviceName => "device_name",
            Self::Text => "text",
            Self::Sender => "sender",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Nonce => "nonce",
            Self::Signature => "signature",
            Self::Claim(_) => CLAIMS,
            Self::Field(_) => FIELD,
        }
    }
}

const FIELD: &str = "field.";

/// The name between the braces that `text` begins with; `None` if that brace is ordinary text.
fn placeholder_name(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('{')?;
    let name = &inside[..inside.find('}')?];
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    // Names of claims may be URLs (OpenID Connect Core section 5.1.2).
    let is_claim = name.starts_with(CLAIMS) && !name.contains(|c: char| c == '{' || c.is_whitespace());
    (is_word || is_claim).then_some(name)
}

fn suggestion(name: &str, allowed: &[&str]) -> Option<String> {
    if let Some((family, claim)) = name.split_once('.')
        && allowed.contains(&CLAIMS)
        && !claim.is_empty()
        && strsim::damerau_levenshtein(&family.to_ascii_lowercase(), "claims") <= 2
    {
        return Some(format!("{CLAIMS}{claim}"));
    }
    let folded = name.to_ascii_lowercase().replace('-', "_");
    let (distance, best) = allowed
        .iter()
        .filter(|known| **known != CLAIMS)
        .map(|known| (strsim::damerau_levenshtein(&folded, known).min(squeezed_distance(&folded, known)), *known))
        .min()?;
    (distance <= 2).then(|| best.to_owned())
}

/// The distance without underscores: `deviceId` is meant to be `device_id`.
fn squeezed_distance(a: &str, b: &str) -> usize {
    strsim::damerau_levenshtein(&a.replace('_', ""), &b.replace('_', ""))
}

fn refuse_foreign(text: &str, allowed: &[&str]) -> Result<(), TemplateError> {
    match foreign::placeholder(text, allowed) {
        Some(Foreign { written, meant }) => Err(TemplateError::Foreign { written, meant }),
        None => Ok(()),
    }
}

/// True if the text is a GraphQL document, which has variables (`$email`) and fields (`{ email name }`) that look like
/// placeholders of other tools. `{ email }` alone is taken as one of those.
fn is_document(text: &str) -> bool {
    let is_selection = || {
        let inside = text.trim_start().trim_start_matches('{').trim_start();
        inside.starts_with(|c: char| c.is_alphabetic())
            && inside.trim_end_matches(['}', ' ', '\n']).contains([' ', '\n'])
    };
    is_graphql(text) && (!text.trim_start().starts_with('{') || is_selection())
}

/// True if the text looks like a GraphQL document; it may begin with comments.
fn is_graphql(text: &str) -> bool {
    let mut text = text.trim_start();
    while let Some(comment) = text.strip_prefix('#') {
        text = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
    }
    text.starts_with('{')
        || ["query", "mutation", "subscription", "fragment"].iter().any(|keyword| {
            text.strip_prefix(keyword)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ALLOWED: &[&str] = &["email", "device_id", "profile", CLAIMS];

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.to_owned())
    }

    #[test]
    fn words_in_braces_are_placeholders_and_other_braces_are_text() {
        for (text, pieces) in [
            ("/users/{email}", vec![literal("/users/"), Piece::Placeholder(Placeholder::Email)]),
            ("{{}} { mail } {} {0} }{", vec![literal("{{}} { mail } {} {0} }{")]),
            (
                "{claims.https://x.kr/role}",
                vec![Piece::Placeholder(Placeholder::Claim("https://x.kr/role".to_owned()))],
            ),
            ("{한글} {", vec![literal("{한글} {")]),
            ("", vec![]),
        ] {
            assert_eq!(Text::parse(text, ALLOWED), Ok(Text(pieces)), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_no_placeholder_of_the_call_is_an_error_with_a_suggestion() {
        for (text, name, suggestion) in [
            ("{emial}", "emial", Some("email")),
            ("{deviceId}", "deviceId", Some("device_id")),
            ("{password}", "password", None),
            ("{claims.}", "claims.", None),
            ("{claim.sub}", "claim.sub", Some("claims.sub")),
        ] {
            let suggestion = suggestion.map(str::to_owned);
            assert_eq!(Text::parse(text, ALLOWED), Err(TemplateError::Unknown { name: name.to_owned(), suggestion }));
        }
    }

    #[test]
    fn a_placeholder_of_another_tool_is_an_error_with_what_is_meant() {
        for text in ["{ email }", "${email}", "{{email}}", "$email"] {
            let expected = TemplateError::Foreign { written: text.to_owned(), meant: "email".to_owned() };
            assert_eq!(Text::parse(text, ALLOWED), Err(expected), "{text}");
        }
        for text in ["query q($email: String!) { email }", "{ me { email } }", "{ me email }"] {
            assert!(Json::from_value(&json!(text), ALLOWED).is_ok(), "{text}");
        }
        assert!(Json::from_value(&json!("{ email }"), ALLOWED).is_err());
    }

    #[test]
    fn a_string_that_is_only_a_placeholder_gets_the_type_of_its_value() {
        let json = Json::from_value(&json!({"p": "{profile}", "t": "to {email}", "n": 1, "a": ["{email}"]}), ALLOWED);
        let Ok(Json::Object(members)) = json else { panic!("an object") };
        assert!(members.contains(&("p".to_owned(), Json::Value(Placeholder::Profile))));
        assert!(members.contains(&("n".to_owned(), Json::Plain(json!(1)))));
        assert!(members.contains(&("a".to_owned(), Json::Array(vec![Json::Value(Placeholder::Email)]))));
        assert!(matches!(&members[3], (name, Json::Text(_)) if name == "t"));
    }

    #[test]
    fn a_placeholder_inside_a_query_is_refused() {
        for text in [
            "query { user(email: \"{email}\") }",
            " mutation M{ x({email}) }",
            "{ user(e: \"{email}\") }",
            "# a\n#b\nfragment F on X { x(e: \"{email}\") }",
        ] {
            assert_eq!(Json::from_value(&json!(text), ALLOWED), Err(TemplateError::InsideQuery), "{text}");
        }
        for text in ["query { me { id } }", "{email} and more", "queryable {email}"] {
            assert!(Json::from_value(&json!(text), ALLOWED).is_ok(), "{text}");
        }
    }
}
