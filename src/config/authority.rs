//! `[authority]`: who issues the tokens, the calls to a backend that does, and how its tokens are verified; and `[login.notify]`.

use jsonwebtoken::{Algorithm, DecodingKey};

use super::{
    form, gateway, key,
    secrets::Surroundings,
    section::Section,
    server::Server,
    template,
    tree::{Node, Place, Value},
};
use crate::{
    authority::{
        Answer, Backend, CREDENTIALS, CodeLogin, EXCHANGE, Kind, LOGIN_NOTIFY, OTP, REFRESH, SIGN_OUT, Settings,
        Verify, VerifyKeys,
    },
    call::Template,
    channel::Channel,
    hygiene::is_loopback,
};

/// Whose tokens the sessions hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Issuer {
    Provider,
    Backend,
    Gateway,
}

impl Issuer {
    fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Backend => "backend",
            Self::Gateway => "gateway",
        }
    }
}

/// Who issues, as far as the file says so.
pub(super) fn issuer(section: &Section<'_>) -> Issuer {
    match section.read("kind", form::text).as_str() {
        "backend" => Issuer::Backend,
        "gateway" => Issuer::Gateway,
        _ => Issuer::Provider,
    }
}

/// A kind that there is not was complained about, and is nothing to go by.
fn is_well_formed(section: &Section<'_>, issuer: Issuer) -> bool {
    section.read("kind", form::text) == issuer.word()
}

/// Reads `[authority]` and `[login.notify]`. `upstreams` are the names that calls can use.
pub(super) fn authority(
    root: &Section<'_>,
    server: &Server,
    upstreams: &[&str],
    codes: Vec<CodeLogin>,
    around: &mut Surroundings<'_>,
) -> Option<Settings> {
    let section = &root.section("authority");
    let issuer = issuer(section);
    let has_providers = root.named("providers").next().is_some();
    complain_of_others_keys(section, issuer, around);
    let verify = section.section("verify");
    let verify = if verify.is_present() && issuer != Issuer::Gateway { self::verify(&verify, around) } else { None };
    let notify = notify(&root.section("login").section("notify"), issuer, upstreams, around);
    let kind = match issuer {
        Issuer::Provider => {
            if !has_providers && !proves(root) && is_well_formed(section, issuer) {
                let help = "write `[providers.google]` or another, or `[authority]` with `kind = \"backend\"`";
                let message = "authority `provider`, but there is no provider: nobody could log in";
                around.problems.complain(section.place("kind"), message, help);
            }
            Kind::Provider
        }
        Issuer::Backend => Kind::Backend(Box::new(backend(section, upstreams, has_providers, &codes, root, around)?)),
        Issuer::Gateway => {
            if !has_providers && codes.is_empty() {
                let help = "write `[providers.google]` or another, or `[otp.sms]` with `purpose = \"login\"`";
                let message =
                    "authority `gateway`, but neither a provider nor a code that logs in: nobody could log in";
                around.problems.complain(section.place("kind"), message, help);
            }
            if root.section("store").read("kind", form::text) == "memory" && !server.local {
                around.problems.warn(
                    section.place("kind"),
                    "the gateway's own refresh tokens are in `store.kind = \"memory\"`: a restart ends every session",
                    "write `[store]` with a `kind` that outlives the process",
                );
            }
            let own = gateway::gateway(&section.section("gateway"), &root.section("session"), server, codes, around);
            Kind::Gateway(Box::new(own?))
        }
    };
    Some(Settings { kind, verify, notify })
}

fn backend(
    section: &Section<'_>,
    upstreams: &[&str],
    has_providers: bool,
    codes: &[CodeLogin],
    root: &Section<'_>,
    around: &mut Surroundings<'_>,
) -> Option<Backend> {
    let upstream = upstream(section, "upstream", upstreams, around);
    if !section.has("upstream") {
        around.problems.complain(
            section.place("kind"),
            "`upstream` is missing in `authority`",
            "write `upstream = \"NAME\"`: the backend that issues the tokens",
        );
    }
    complain_of_missing_calls(section, has_providers, codes, root, around);
    let mut call = |name: &str, known: &[&str]| {
        let call = section.section(name);
        if call.is_present() { self::call(&call, upstream, upstreams, known, around) } else { None }
    };
    // With `{id_token}` in it, too: a provider of `kind = "oauth2"` has none, and then nothing else proves the call.
    let exchange = call("exchange", EXCHANGE).map(|call| Template { assertion: Some("exchange"), ..call });
    let credentials = call("credentials", CREDENTIALS);
    let otp = call("otp", OTP).map(|call| Template { assertion: Some("otp.login"), ..call });
    let refresh = call("refresh", REFRESH);
    let signout = call("signout", SIGN_OUT);
    let answer = section.section("answer");
    Some(Backend {
        upstream: upstream?,
        exchange,
        credentials,
        otp,
        refresh,
        refused: refused(&section.section("refresh")),
        signout,
        answer: Answer {
            access_token: answer.read("access_token", form::answer),
            refresh_token: answer.read("refresh_token", form::answer),
            expires_in: answer.read("expires_in", form::answer),
        },
    })
}

/// Reads `[login.notify]`.
fn notify(
    section: &Section<'_>,
    issuer: Issuer,
    upstreams: &[&str],
    around: &mut Surroundings<'_>,
) -> Option<Template> {
    if !section.is_present() {
        return None;
    }
    if issuer == Issuer::Backend {
        around.problems.complain(
            section.own_place(),
            "the authority `backend` learns of every login by its own calls",
            "leave it out, or write `kind = \"provider\"` or `kind = \"gateway\"` under `[authority]`",
        );
    }
    if !section.has("upstream") {
        around.problems.complain(
            section.own_place(),
            "`upstream` is missing in `login.notify`",
            "write `upstream = \"NAME\"`: the backend that is told",
        );
    }
    let call = call(section, None, upstreams, LOGIN_NOTIFY, around)?;
    Some(Template { assertion: Some("login.notify"), ..call })
}

/// Whether codes prove addresses without a session: a gateway that does nothing else needs no logins.
fn proves(root: &Section<'_>) -> bool {
    let channels = Channel::ALL.map(|channel| root.section("otp").section(channel.as_str()));
    channels.iter().any(|channel| channel.is_present() && channel.read("purpose", form::text) == "prove")
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

/// Reads a call, to the upstream that it names or else to `own`.
pub(super) fn call(
    section: &Section<'_>,
    own: Option<usize>,
    upstreams: &[&str],
    known: &[&str],
    around: &mut Surroundings<'_>,
) -> Option<Template> {
    let upstream = if section.has("upstream") { upstream(section, "upstream", upstreams, around) } else { own };
    template::call(section, upstream, known, around)
}

fn refused(refresh: &Section<'_>) -> Vec<u16> {
    let node = refresh.node("refused");
    let status = |node: &Node| match &node.value {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok(),
        _ => None,
    };
    node.as_deref().map_or(&[][..], Node::list).iter().filter_map(status).collect()
}

/// Keys that the kind `backend` alone has.
const OF_BACKEND: &[&str] = &["upstream", "exchange", "credentials", "refresh", "signout", "answer", "otp"];

/// Complains of keys that another kind of authority has.
fn complain_of_others_keys(section: &Section<'_>, issuer: Issuer, around: &mut Surroundings<'_>) {
    if !is_well_formed(section, issuer) {
        return;
    }
    let (own, others) = (issuer.word(), OF_BACKEND.iter().filter(|_| issuer != Issuer::Backend));
    for key in others.filter(|key| section.has(key)) {
        around.problems.complain(
            section.place_of_key(key),
            format!("`{key}` is for a backend that issues tokens, and the authority is `{own}`"),
            "write `kind = \"backend\"` under `[authority]`, or leave this out",
        );
    }
    if issuer != Issuer::Gateway && section.has("gateway") {
        around.problems.complain(
            section.place_of_key("gateway"),
            format!("`gateway` is for tokens that the gateway issues, and the authority is `{own}`"),
            "write `kind = \"gateway\"` under `[authority]`, or leave this out",
        );
    }
    if issuer == Issuer::Gateway && section.has("verify") {
        around.problems.complain(
            section.place_of_key("verify"),
            "the gateway knows the tokens that it issues itself",
            "leave `[authority.verify]` out",
        );
    }
}

fn complain_of_missing_calls(
    section: &Section<'_>,
    has_providers: bool,
    codes: &[CodeLogin],
    root: &Section<'_>,
    around: &mut Surroundings<'_>,
) {
    let place = section.place("kind");
    let has = |call: &str| section.has(call);
    let is_of_use = has("credentials") || (has_providers && has("exchange")) || (!codes.is_empty() && has("otp"));
    if has_providers && !has("exchange") {
        let help = "write `[authority.exchange]` with the `path` that takes a provider's tokens";
        around.problems.complain(
            place,
            "there are providers, but no `[authority.exchange]` that gives the backend's tokens for theirs",
            help,
        );
    } else if !has("exchange") && !has("credentials") && !has("otp") && codes.is_empty() {
        let help = "write `[authority.exchange]` (after a login at a provider), `[authority.credentials]` (e-mail and password) or `[authority.otp]` (a one-time code)";
        around.problems.complain(
            place,
            "authority `backend`, but no call that brings tokens: nobody could log in",
            help,
        );
    } else if has("exchange") && !is_of_use && codes.is_empty() {
        let help = "write `[providers.google]` or another, or `[authority.credentials]`";
        around.problems.complain(place, "there is `[authority.exchange]`, but no provider: nobody could log in", help);
    }
    if !has("otp") {
        for CodeLogin { channel, .. } in codes {
            around.problems.complain(
                root.section("otp").section(channel.as_str()).place("purpose"),
                "a code logs in here, but there is no `[authority.otp]` that gives the backend's tokens for it",
                "write `[authority.otp]` with the `path` that takes a proved address, or another `purpose`",
            );
        }
    } else if codes.is_empty() {
        let (place, help) =
            (section.place_of_key("otp"), "write `[otp.sms]` or `[otp.email]` with `purpose = \"login\"`");
        let message = "there is `[authority.otp]`, but no code that logs in";
        if is_of_use {
            around.problems.warn(place, message, help);
        } else if !has("exchange") {
            around.problems.complain(place, format!("{message}: nobody could log in"), help);
        }
    }
    if !has("refresh") {
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
