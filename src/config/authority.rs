//! `[authority]`: who issues the tokens, the calls to a backend that does, and how its tokens are verified.

use jsonwebtoken::{Algorithm, DecodingKey};

use super::{
    form, key,
    secrets::Surroundings,
    section::Section,
    template,
    tree::{Node, Place, Value},
};
use crate::{
    authority::{Answer, Backend, CREDENTIALS, EXCHANGE, Kind, REFRESH, SIGN_OUT, Settings, Verify, VerifyKeys},
    call::Template,
    hygiene::is_loopback,
};

/// Whether the backend issues, as far as the file says so.
pub(super) fn is_backend(section: &Section<'_>) -> bool {
    section.read("kind", form::text) == "backend"
}

/// Reads `[authority]`. `upstreams` are the names that calls can use.
pub(super) fn authority(
    section: &Section<'_>,
    upstreams: &[&str],
    has_providers: bool,
    around: &mut Surroundings<'_>,
) -> Option<Settings> {
    let verify = section.section("verify");
    let verify = if verify.is_present() { self::verify(&verify, around) } else { None };
    if !is_backend(section) {
        complain_of_calls(section, around);
        if !has_providers && section.read("kind", form::text) == "provider" {
            let help = "write `[providers.google]` or another, or `[authority]` with `kind = \"backend\"`";
            around.problems.complain(
                section.place("kind"),
                "authority `provider`, but there is no provider: nobody could log in",
                help,
            );
        }
        return Some(Settings { kind: Kind::Provider, verify });
    }
    let upstream = upstream(section, "upstream", upstreams, around);
    if !section.has("upstream") {
        around.problems.complain(
            section.place("kind"),
            "`upstream` is missing in `authority`",
            "write `upstream = \"NAME\"`: the backend that issues the tokens",
        );
    }
    complain_of_missing_calls(section, has_providers, around);
    let mut call = |name: &str, known: &[&str]| {
        let call = section.section(name);
        if call.is_present() { self::call(&call, upstream, upstreams, known, around) } else { None }
    };
    let exchange = call("exchange", EXCHANGE);
    let credentials = call("credentials", CREDENTIALS);
    let refresh = call("refresh", REFRESH);
    let signout = call("signout", SIGN_OUT);
    let answer = section.section("answer");
    let backend = Backend {
        upstream: upstream?,
        exchange,
        credentials,
        refresh,
        refused: refused(&section.section("refresh")),
        signout,
        answer: Answer {
            access_token: answer.read("access_token", form::answer),
            refresh_token: answer.read("refresh_token", form::answer),
            expires_in: answer.read("expires_in", form::answer),
        },
    };
    Some(Settings { kind: Kind::Backend(Box::new(backend)), verify })
}

/// The index of the upstream that `key` names; a name that there is not is complained about.
pub(super) fn upstream(
    section: &Section<'_>,
    key: &str,
    upstreams: &[&str],
    around: &mut Surroundings<'_>,
) -> Option<usize> {
    let name = section.optional(key, form::text)?;
    let found = upstreams.iter().position(|upstream| *upstream == name);
    if found.is_none() {
        let help = match key::closest(&name, upstreams.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None if upstreams.is_empty() => format!("write `[upstreams.{name}]`"),
            None => format!("write `[upstreams.{name}]`, or name one of {}", key::quoted(upstreams)),
        };
        around.problems.complain(section.place(key), format!("there is no upstream `{name}`"), help);
    }
    found
}

/// Reads a call to the upstream that it names, else to `own`.
pub(super) fn call(
    section: &Section<'_>,
    own: Option<usize>,
    upstreams: &[&str],
    known: &[&str],
    around: &mut Surroundings<'_>,
) -> Option<Template> {
    let upstream = if section.has("upstream") { upstream(section, "upstream", upstreams, around) } else { own };
    template::call(section, upstream, known, around.problems)
}

fn refused(refresh: &Section<'_>) -> Vec<u16> {
    let node = refresh.node("refused");
    let status = |node: &Node| match &node.value {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok(),
        _ => None,
    };
    node.as_deref().map_or(&[][..], Node::list).iter().filter_map(status).collect()
}

fn complain_of_calls(section: &Section<'_>, around: &mut Surroundings<'_>) {
    for key in ["upstream", "exchange", "credentials", "refresh", "signout", "answer"] {
        if section.has(key) && section.optional("kind", form::text).as_deref() == Some("provider") {
            let message = format!("`{key}` is for a backend that issues tokens, and the authority is `provider`");
            around.problems.complain(
                section.place_of_key(key),
                message,
                "write `kind = \"backend\"` under `[authority]`, or leave this out",
            );
        }
    }
}

fn complain_of_missing_calls(section: &Section<'_>, has_providers: bool, around: &mut Surroundings<'_>) {
    let place = section.place("kind");
    if has_providers && !section.has("exchange") {
        let help = "write `[authority.exchange]` with the `path` that takes a provider's tokens";
        around.problems.complain(
            place,
            "there are providers, but no `[authority.exchange]` that gives the backend's tokens for theirs",
            help,
        );
    } else if !section.has("exchange") && !section.has("credentials") {
        let help = "write `[authority.exchange]` (after a login at a provider) or `[authority.credentials]` (e-mail and password)";
        around.problems.complain(
            place,
            "authority `backend`, but no call that brings tokens: nobody could log in",
            help,
        );
    } else if !has_providers && !section.has("credentials") {
        let help = "write `[providers.google]` or another, or `[authority.credentials]`";
        around.problems.complain(place, "there is `[authority.exchange]`, but no provider: nobody could log in", help);
    }
    if !section.has("refresh") {
        let help = "write `[authority.refresh]` with the backend's call";
        around.problems.warn(place, "without `[authority.refresh]` a session ends with its first access token", help);
    }
}

fn verify(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Verify> {
    let given: Vec<_> = ["jwks_url", "secret", "public_key"].into_iter().filter(|key| section.has(key)).collect();
    let [kind] = given[..] else {
        let message = "`[authority.verify]` needs one of `jwks_url`, `secret` and `public_key`";
        let help = if given.is_empty() {
            "write e.g. `jwks_url = \"https://api.example.com/.well-known/jwks.json\"`"
        } else {
            "leave all but one out"
        };
        around.problems.complain(section.place_of_key(given.get(1).copied().unwrap_or("jwks_url")), message, help);
        return None;
    };
    let algorithms: Vec<(Algorithm, Place)> = section.list("algorithms", str::parse);
    for (algorithm, place) in &algorithms {
        let symmetric = matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
        // A public key that is taken for a shared secret lets anyone sign.
        if symmetric != (kind == "secret") {
            let help = if symmetric {
                "HS… goes with `secret`"
            } else {
                "write `algorithms = [\"HS256\"]`, or give a `public_key` or `jwks_url`"
            };
            around.problems.complain(place, format!("`{algorithm:?}` does not go with `{kind}`"), help);
        }
    }
    let keys = match kind {
        "jwks_url" => {
            let url = section.optional("jwks_url", form::url)?;
            if url.scheme() == "http" && !is_loopback(&url) {
                around.problems.warn(
                    section.place(kind),
                    "keys that come by http can be replaced on the way",
                    "write an https address",
                );
            }
            VerifyKeys::Jwks(url)
        }
        "secret" => VerifyKeys::Secret(around.secret(section, "secret")?),
        _ => VerifyKeys::PublicKey(public_key(section, around)?),
    };
    Some(Verify {
        keys,
        algorithms: algorithms.into_iter().map(|(algorithm, _)| algorithm).collect(),
        issuer: section.optional("issuer", form::text),
        audience: section.optional("audience", form::text),
    })
}

fn public_key(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<String> {
    let pem = around.indirect(section, "public_key")?;
    let bytes = pem.as_bytes();
    let private = pem.contains("PRIVATE KEY");
    let readable = [DecodingKey::from_ec_pem, DecodingKey::from_rsa_pem, DecodingKey::from_ed_pem]
        .iter()
        .any(|read| read(bytes).is_ok());
    if readable && !private {
        return Some(pem);
    }
    let message = if private { "this is a private key" } else { "this is not a public key in PEM" };
    around.problems.complain(
        section.place("public_key"),
        message,
        "write `public_key = \"file:PATH\"` with a file that begins with `-----BEGIN PUBLIC KEY-----`",
    );
    None
}
