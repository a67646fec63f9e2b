//! Files that protect less than they seem to say: wildcards of other tools are errors, and what falls past a route, or
//! cannot be as written, is a warning at its line.

use super::{BACKEND, GATEWAY, SMALLEST, printed, read};

/// The warnings for `base` with `old` replaced by `new`, without those of `base` itself.
pub(super) fn warnings(base: &str, old: &str, new: &str) -> String {
    assert!(base.contains(old), "{old}");
    let messages = |text: &str| match read(text) {
        Ok(loaded) => loaded.warnings,
        Err(complaints) => panic!("{text}\n{complaints}"),
    };
    let before: Vec<_> = messages(base).into_iter().map(|warning| warning.message).collect();
    let mut after = messages(&base.replacen(old, new, 1));
    after.retain(|warning| !before.contains(&warning.message));
    printed(&after)
}

pub(super) fn errors(base: &str, old: &str, new: &str) -> String {
    assert!(base.contains(old), "{old}");
    match read(&base.replacen(old, new, 1)) {
        Ok(_) => panic!("accepted: {new}"),
        Err(complaints) => printed(&complaints.errors),
    }
}

#[test]
fn a_wildcard_of_another_tool_is_an_error_that_says_what_to_write() {
    for (path, instead) in [
        ("/admin/*", "`/admin/{*rest}`; a literal `*` is `%2A`"),
        ("/*", "`/{*rest}`; a literal `*` is `%2A`"),
        ("/api/**", "`/api/{*rest}`"),
        ("/:id", "`/{id}`; a literal `:` is `%3A`"),
        ("/a*b", "a literal `*` is `%2A`"),
    ] {
        let errors = errors(SMALLEST, "path = \"/{*rest}\"", &format!("path = \"{path}\""));
        assert!(errors.starts_with(&format!("11:8 `{path}` is not a path pattern → ")), "{errors}");
        assert!(errors.contains(instead), "{errors}");
    }
    read(&SMALLEST.replace("path = \"/{*rest}\"", "path = \"/a%2Ab\"")).unwrap();
}

#[test]
fn a_header_template_that_would_give_nothing_is_an_error_that_says_what_to_write() {
    for (text, instead) in [
        ("{claims.*}", "write `{claims.NAME}`"),
        ("${claims.sub}", "{claims.sub}"),
        ("user-${claims.sub}", "write `{claims.sub}`"),
        ("{{claims.sub}}", "{claims.sub}"),
        ("{claims.}", "`{claims.NAME}`"),
        ("$claims.sub", "write `{claims.sub}`"),
        ("{ claims.sub }", "write `{claims.sub}`"),
        ("{claims.sub", "{claims.sub}"),
        ("claims.sub", "{claims.sub}"),
        ("[claims.sub]", "{claims.sub}"),
        ("env:SECRET", "{claims.sub}"),
    ] {
        let route = format!("access = \"user\"\nheaders = {{ set = {{ x-user-id = '{text}' }} }}");
        let errors = errors(SMALLEST, "access = \"user\"", &route);
        assert!(errors.contains(instead) && errors.lines().count() == 1, "{text}: {errors}");
    }
    let nested = "access = \"user\"\nheaders = { set = { x-roles = '{claims.realm_access.roles}' } }";
    let warnings = warnings(SMALLEST, "access = \"user\"", nested);
    assert!(warnings.contains("a dot does not lead into an object"), "{warnings}");
    let text = "[otp.sms]\ntext = { en = \"{{code}}\" }";
    assert!(errors(GATEWAY, "[otp.sms]", text).contains("write `{code}`"));
    let call = "json = { email = \"${email}\", password = \"{password}\" }";
    let errors = errors(BACKEND, "json = { email = \"{email}\", password = \"{password}\" }", call);
    assert!(errors.contains("write `{email}`"), "{errors}");
}

#[test]
fn a_pattern_of_another_tool_is_an_error_that_says_what_to_write() {
    for (path, instead) in [
        ("/admin/$", "write `/admin/{*rest}`; a literal `$` is `%24`"),
        ("^/admin", "write e.g. `/admin/{*rest}`"),
        ("^/admin/.*$", "write e.g. `/admin/{*rest}`"),
        ("/admin/?", "write `/admin/{*rest}`"),
        ("/admin/(.*)", "write `/admin/{*rest}`"),
        ("/admin/＊", "write `/admin/{*rest}`; a literal `＊` is `%EF%BC%8A`"),
        ("/admin/{id:int}", "write `/admin/{id}`"),
        ("/admin/<id>", "write `/admin/{id}`"),
        ("/admin ", "write `/admin`"),
    ] {
        let errors = errors(SMALLEST, "path = \"/{*rest}\"", &format!("path = \"{path}\""));
        assert!(errors.starts_with(&format!("11:8 `{path}` is not a path pattern → ")), "{errors}");
        assert!(errors.contains(instead) && errors.lines().count() == 1, "{errors}");
    }
    read(&SMALLEST.replace("path = \"/{*rest}\"", "path = \"/admin/%2A%2A\"")).unwrap();
}

#[test]
fn no_other_text_with_a_wildcard_is_taken_as_text() {
    let route = "access = \"user\"";
    for (old, new, part) in [
        (route, "access = \"user\"\nhosts = [\"*.example.com\"]", "there are no wildcards in hosts yet"),
        (route, "access = \"user\"\nhosts = [\".example.com\"]", "there are no wildcards in hosts yet"),
        (route, "access = \"user\"\nmethods = [\"*\"]", "leave `methods` out for all"),
        (route, "access = \"user\"\nmethods = [\"ANY\"]", "leave `methods` out for all"),
        (route, "access = \"user\"\nstrip = \"/api/*\"", "there are no wildcards and placeholders here"),
        (route, "access = \"user\"\nstrip = \"/{lang}\"", "there are no wildcards and placeholders here"),
        (route, "access = { roles = [\"*\"] }", "`access = \"user\"` for everybody"),
        (route, "cors = { origins = [\"*\"] }", "in full"),
        (route, "cors = { origins = [\"https://*.example.com\"] }", "no wildcards in hosts"),
        (route, "headers = { remove = [\"x-*\"] }", "no wildcards in names of headers"),
        ("[session]", "[session]\nlogin_page = \"/:lang/login\"", "the address of one page"),
        ("[session]", "[session]\nafter_login = \"/app/*\"", "the address of one page"),
        ("[session]", "[session]\nafter_logout = \"/{x}\"", "the address of one page"),
        ("[session]", "[session]\nreturn_to_origins = [\"https://*.example.com\"]", "no wildcards in hosts"),
        ("[session]", "hosts = [\"*\"]\n[session]", "no wildcards in hosts"),
        ("[session]", "trusted_proxies = [\"*\"]\n[session]", "no word for every address"),
        ("http://localhost:8080", "http://*.localhost:8080", "no wildcards in hosts"),
        ("[upstreams", "allow = { email_domains = [\"*.example.com\"] }\n[upstreams", "list each domain"),
        ("[upstreams", "allow = { emails = [\"*@example.com\"] }\n[upstreams", "under `email_domains`"),
    ] {
        let errors = errors(SMALLEST, old, new);
        assert!(errors.contains(part), "{new}: {errors}");
    }
    for path in ["/auth/*", "/auth/:provider", "/auth/<provider>"] {
        let errors = errors(BACKEND, "path = \"/auth/login\"", &format!("path = \"{path}\""));
        assert!(errors.contains("placeholders here are `{name}`"), "{errors}");
    }
}

#[test]
fn requests_that_fall_past_a_stricter_route_are_warned_of_at_the_laxer_route() {
    let public = "path = \"/{*rest}\"\nupstream = \"app\"\naccess = \"public\"";
    let all = "path = \"/{*rest}\"\nupstream = \"app\"\naccess = \"user\"\n";
    for (stricter, warning) in [
        (
            "path = \"/admin/{*rest}\"\nmethods = [\"GET\"]",
            "11:8 `POST localhost:8080/admin/x` comes here, past the stricter `access` of line 14: its `methods` leave it out → leave `methods` out on line 14, or write a route for `/admin/{*rest}` with the other methods\n",
        ),
        (
            "path = \"/admin/{*rest}\"\nhosts = [\"admin.example\"]",
            "11:8 `GET localhost:8080/admin/x` comes here, past the stricter `access` of line 14: its `hosts` leave it out → leave `hosts` out on line 14, or write a route for `/admin/{*rest}` and the other hosts\n",
        ),
        (
            "path = \"/admin\"",
            "11:8 `GET localhost:8080/admin/x` comes here: `/admin` on line 14, with the stricter `access`, is that one path → write a route for `/admin/{*rest}` too\n",
        ),
        (
            "path = \"/api/{*rest}\"\nstrip = \"/api\"",
            "11:8 `GET localhost:8080/x` comes here, and the upstream sees the path that line 14 protects with a stricter `access` → give this path a route with the `access` of line 14\n",
        ),
    ] {
        let routes = format!("{public}\n[[routes]]\n{stricter}\nupstream = \"app\"\naccess = \"user\"\n");
        assert_eq!(warnings(SMALLEST, all, &routes), warning, "{stricter}");
    }
    let routes = format!("{public}\n[[routes]]\npath = \"/admin/{{*rest}}\"\nupstream = \"app\"\n");
    assert_eq!(warnings(SMALLEST, all, &routes), "");
    let overruled = format!(
        "{}\n[[routes]]\npath = \"/docs/{{*rest}}\"\nupstream = \"app\"\n",
        public.replace("/{*rest}", "/Docs/{*rest}")
    );
    assert_eq!(
        warnings(SMALLEST, all, &overruled),
        "11:8 `/Docs/{*rest}` can be read as `/docs/{*rest}`, so the stricter `access` of line 14 applies here → write the same `access` as on line 14, or another path\n"
    );
}

#[test]
fn roles_that_no_configured_source_can_give_are_warned_of() {
    let warned =
        |base: &str, old: &str, new: &str| warnings(base, old, new).contains("nobody can have one of these roles");
    let role = "access = { roles = [\"admin\"] }";
    assert!(warned(SMALLEST, "access = \"user\"", role), "Google gives no `role`");
    assert!(!warned(&SMALLEST.replace("[session]", "[session]\nroles_claim = \"/hd\""), "access = \"user\"", role));
    assert!(!warned(
        &SMALLEST.replace("[providers.google]", "[providers.corp]\nissuer = \"https://id.example\""),
        "access = \"user\"",
        role
    ));
    assert!(!warned(GATEWAY, "[\"admin\"]", "[\"admin\"]"));
    assert!(!warned(GATEWAY, "[\"admin\"]", "[\"user\"]"), "the default role");
    assert!(warned(GATEWAY, "[\"admin\"]", "[\"boss\"]"));
    let by_groups = "[session]\nroles_claim = \"/groups\"";
    assert!(warned(GATEWAY, "[session]", by_groups), "the gateway's tokens have no such claim");
    let given = GATEWAY.replace("[authority.gateway]", "[authority.gateway]\nclaims = { groups = \"{email}\" }");
    assert!(!warned(&given, "[session]", by_groups));
}

#[test]
fn proxies_that_trust_everybody_are_warned_of_unless_the_gateway_is_on_loopback() {
    let warned = |base: &str, networks: &str| {
        let new = format!("public_url = \"https://app.example\"\ntrusted_proxies = {networks}");
        warnings(base, "public_url = \"https://app.example\"", &new).contains("trusts everybody")
    };
    assert!(warned(BACKEND, "[\"0.0.0.0/0\"]"));
    assert!(warned(BACKEND, "[\"10.0.0.0/8\", \"0.0.0.0/1\", \"128.0.0.0/1\"]"));
    assert!(!warned(BACKEND, "[\"10.0.0.0/8\"]"));
    assert!(!warned(&BACKEND.replace("0.0.0.0:8080", "127.0.0.1:8080"), "[\"0.0.0.0/0\"]"));
}

#[test]
fn a_target_that_is_the_gateway_itself_is_warned_of() {
    let warned = |target: &str| warnings(BACKEND, "http://10.0.0.1:3000", target);
    assert!(warned("http://127.0.0.1:8080").contains("what `listen` listens on"));
    assert!(warned("http://localhost:8080").starts_with("16:12 this target of `api` is what `listen`"));
    assert!(warned("https://app.example").contains("the gateway's own address"));
    assert_eq!(warned("http://app.example:3000"), "");
    let admin = "admin_listen = \"127.0.0.1:9090\"\n[session]";
    let base = BACKEND.replacen("[session]", admin, 1);
    assert!(warnings(&base, "http://10.0.0.1:3000", "http://[::1]:9090").contains("what `admin_listen` listens on"));
}

#[test]
fn an_after_logout_that_needs_a_login_is_warned_of_where_the_file_names_it() {
    assert_eq!(
        warnings(BACKEND, "[session]", "[session]\nafter_logout = \"/api/x\""),
        "5:16 `/api/x` needs a login (line 18), so a logout does not end there, but on the gateway's own page → name a page that everybody may see, or leave `after_logout` out\n"
    );
    for open in ["/auth/logged-out", "https://app.example/auth/login", "/auth/login?x"] {
        assert_eq!(warnings(BACKEND, "[session]", &format!("[session]\nafter_logout = \"{open}\"")), "", "{open}");
    }
    assert!(
        warnings(BACKEND, "[session]", "[session]\nafter_logout = \"https://app.example/api/x#y\"")
            .contains("needs a login")
    );
}

#[test]
fn cookies_that_do_not_fit_into_a_request_are_warned_of() {
    for (limit, fits) in [("16KiB", false), ("24KiB", false), ("32KiB", true), ("64KiB", true)] {
        let warned =
            warnings(SMALLEST, "[upstreams.app]", &format!("[limits]\nheader_bytes = \"{limit}\"\n[upstreams.app]"));
        assert_eq!(warned.contains("our own cookies can take"), !fits, "{limit}: {warned}");
    }
}

#[test]
fn an_open_route_asks_that_the_gateways_calls_carry_a_secret() {
    let open = "access = \"user\"\nown_calls = \"open\"";
    assert_eq!(
        warnings(BACKEND, "access = \"user\"", open),
        "21:13 a visitor can send the gateway's own calls here, and nothing in them shows who calls: `[authority.credentials]` (line 9) → give the call a secret that the backend checks, e.g. `headers = { x-api-key = \"env:API_KEY\" }`\n"
    );
    let secret =
        BACKEND.replacen("path = \"/auth/login\"", "path = \"/auth/login\"\nheaders = { x-api-key = \"env:KEY\" }", 1);
    assert_eq!(warnings(&secret, "access = \"user\"", open), "");
    assert_eq!(warnings(BACKEND, "access = \"user\"", &format!("{open}\nmethods = [\"GET\"]")), "");
}

#[test]
fn errors_are_printed_before_warnings() {
    let Err(complaints) = read(&SMALLEST.replace("access = \"user\"", "access = \"usr\"")) else { panic!("accepted") };
    let printed = complaints.to_string();
    assert!(printed.find("error: ").unwrap() < printed.find("warning: ").unwrap(), "{printed}");
}
