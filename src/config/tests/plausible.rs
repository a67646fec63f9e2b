//! Files as an operator writes them who knows nginx, Traefik or oauth2-proxy: each complaint says what to write.

use super::{BACKEND, SMALLEST, gaps::errors};

#[test]
fn what_other_tools_would_take_is_refused_with_what_to_write() {
    let (path, access, upstream) = ("path = \"/{*rest}\"", "access = \"user\"", "upstream = \"app\"");
    let (session, provider) = ("[session]", "[upstreams");
    let then = |next: &str, line: &str| format!("{line}\n{next}");
    let under = |table: &str, line: &str| format!("{table}\n{line}");
    for (old, new, place, part) in [
        // Paths, methods and hosts.
        (path, "path = \"~ ^/api/(.*)$\"".to_owned(), "11:8", "e.g. `/api/{*rest}`; there are no regular expressions"),
        (path, "path = \"^/api/.*$\"".to_owned(), "11:8", "e.g. `/api/{*rest}`; there are no regular expressions"),
        (
            path,
            "path = \"PathPrefix(`/api`)\"".to_owned(),
            "11:8",
            "there are no regular expressions, modifiers or rules",
        ),
        (path, "path = \"/admin/*\"".to_owned(), "11:8", "write `/admin/{*rest}`"),
        (access, under(access, "methods = [\"get\"]"), "14:12", "write it in capitals"),
        (access, under(access, "methods = \"GET,POST\""), "14:11", "write `methods = [\"GET\", \"POST\"]`"),
        (access, under(access, "hosts = [\"https://a.example\"]"), "14:10", "leave out what stands before the host"),
        (access, under(access, "hosts = \"a.example\""), "14:9", "write `hosts = [\"a.example\"]`"),
        (access, under(access, "host = \"a.example\""), "14:1", "did you mean `hosts`?"),
        // Who may.
        (access, "access = \"admin\"".to_owned(), "13:10", "or write `access = { roles = [\"admin\"] }`"),
        (
            access,
            "access = [\"admin\", \"boss\"]".to_owned(),
            "13:10",
            "write `access = { roles = [\"admin\", \"boss\"] }`",
        ),
        (access, "access = { roles = \"admin\" }".to_owned(), "13:20", "write `roles = [\"admin\"]`"),
        (access, "access = true".to_owned(), "13:10", "write `access = \"user\"`"),
        (
            provider,
            then(provider, "allow = \"example.com\""),
            "8:9",
            "or write `allow = { email_domains = [\"example.com\"] }`",
        ),
        (
            provider,
            then(provider, "allow = [\"example.com\"]"),
            "8:9",
            "write `allow = { email_domains = [\"example.com\"] }`",
        ),
        // Numbers without units, lists as text, switches as words.
        (
            session,
            under(session, "after_login = \"app.example.com/home\""),
            "5:15",
            "write a path that begins with `/`",
        ),
        (session, under(session, "idle = 3600"), "5:8", "write `idle = \"3600s\"`"),
        (session, under(session, "idle = \"168h0m0s\""), "5:8", "a whole number with a unit"),
        (session, under(session, "replay_body = 1024"), "5:15", "write `replay_body = \"1024\"`"),
        (session, then(session, "health_listen = 8081"), "4:17", "write `health_listen = \"127.0.0.1:8081\"`"),
        (
            session,
            then(session, "trusted_proxies = \"10.0.0.0/8\""),
            "4:19",
            "write `trusted_proxies = [\"10.0.0.0/8\"]`",
        ),
        (session, then(session, "proxy_protocol = \"on\""), "4:18", "write `proxy_protocol = true`"),
        (provider, then(provider, "scopes = \"openid email\""), "8:10", "write `scopes = [\"openid\", \"email\"]`"),
        (provider, then(provider, "kind = \"OIDC\""), "8:8", "did you mean \"oidc\"?"),
        // Variables and placeholders of others.
        ("env:SECRET", "${SECRET}".to_owned(), "7:17", "write \"env:NAME\""),
        ("env:SECRET", "$SECRET".to_owned(), "7:17", "write \"env:NAME\""),
        ("client_id = \"id\"", "client_id = \"${ID}\"".to_owned(), "6:13", "write \"env:NAME\""),
        (
            access,
            under(access, "headers = { set = { x-user = \"$remote_user\" } }"),
            "14:30",
            "write e.g. \"{claims.sub}\"",
        ),
        (
            access,
            under(access, "headers = { set = { x-user = \"{{ .sub }}\" } }"),
            "14:30",
            "write e.g. \"{claims.sub}\"",
        ),
        // Addresses in the wrong place.
        (
            upstream,
            "upstream = \"http://10.0.0.5:3000\"".to_owned(),
            "12:12",
            "`targets = [\"http://host:port\"]` under `[upstreams.NAME]`",
        ),
        (
            provider,
            then(
                provider,
                "[providers.corp]\nissuer = \"https://id.example/x/.well-known/openid-configuration\"\nclient_id = \"x\"",
            ),
            "9:10",
            "write `issuer = \"https://id.example/x\"`",
        ),
        (access, under(access, "cors = [\"https://a.example\"]"), "14:8", "e.g. `cors = { origins = … }`"),
        (session, then(session, "[store]\nurl = \"redis://127.0.0.1:6379\""), "5:1", "write `kind` too"),
        ("http://localhost:8080", "http://localhost.:8080".to_owned(), "3:14", "leave out the final dot"),
    ] {
        let told = errors(SMALLEST, old, &new);
        let line = told.lines().find(|line| line.starts_with(&format!("{place} ")));
        assert!(line.is_some_and(|line| line.contains(part)), "{new}\n{place} {part}\n{told}");
    }
}

#[test]
fn a_secret_of_the_wrong_type_is_not_repeated_in_what_to_write() {
    let told = errors(BACKEND, "keys = [\"env:KEY\"]", "keys = \"hunter2hunter2\"");
    assert!(!told.contains("hunter2"), "{told}");
    let told = errors(SMALLEST, "client_secret = \"env:SECRET\"", "client_secret = 123456789");
    assert!(!told.contains("123456789"), "{told}");
}
