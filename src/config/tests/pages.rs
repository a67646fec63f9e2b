//! The login page, and where logins and logouts lead; hosts on which logins cannot end.

use super::{
    BACKEND, SMALLEST,
    gaps::{errors, warnings},
};

const CORP: &str = "[providers.corp]\nissuer = \"https://id.example\"\nclient_id = \"x\"\n[upstreams";

#[test]
fn an_after_logout_at_an_own_endpoint_that_begins_a_login_is_warned_of() {
    let after = |page: &str| format!("[session]\nafter_logout = \"{page}\"");
    for page in ["/auth/login", "/auth/login?return_to=/a", "/auth/login/google", "http://localhost:8080/auth/login"] {
        let warned = warnings(SMALLEST, "[session]", &after(page));
        assert!(warned.contains("5:16 `/auth/login") && warned.contains("begins a login at once"), "{page}: {warned}");
    }
    for page in ["/auth/logged-out", "/auth/session"] {
        assert_eq!(warnings(SMALLEST, "[session]", &after(page)), "", "{page}");
    }
    for page in ["/auth/logout", "/auth/nothing"] {
        let warned = warnings(SMALLEST, "[session]", &after(page));
        assert!(warned.contains("after a logout people get an error"), "{page}: {warned}");
    }
    let two = SMALLEST.replace("[upstreams", CORP);
    assert_eq!(warnings(&two, "[session]", &after("/auth/login")), "", "a page with two buttons logs nobody in");
    let warned = warnings(&two, "[session]", &after("/auth/login/corp"));
    assert!(warned.contains("begins a login at once"), "{warned}");
}

#[test]
fn an_after_logout_that_needs_a_login_on_another_host_alone_is_warned_of() {
    let text = BACKEND.replace(
        "[[routes]]",
        "[[routes]]\npath = \"/bye\"\nhosts = [\"app.example\"]\nupstream = \"api\"\naccess = \"public\"\n[[routes]]\npath = \"/bye\"\nhosts = [\"b.example\"]\nupstream = \"api\"\n[[routes]]",
    );
    let warned = warnings(&text, "[session]", "[session]\nafter_logout = \"/bye\"");
    assert!(warned.contains("`/bye` on the host `b.example` needs a login"), "{warned}");
}

#[test]
fn a_login_that_would_end_where_logins_begin_or_on_itself_is_an_error() {
    let after = |page: &str| format!("[session]\nafter_login = \"{page}\"");
    for page in ["/auth/login", "/auth/login/google", "/auth/callback/google", "/auth/logged-out"] {
        let told = errors(SMALLEST, "[session]", &after(page));
        assert!(told.contains("begins or ends a login or a logout"), "{page}: {told}");
    }
    for (page, warned) in [("/auth/session", false), ("/auth/logout", true), ("/auth/nothing", true), ("/a", false)] {
        let told = warnings(SMALLEST, "[session]", &after(page)).contains("after a login people get an error");
        assert_eq!(told, warned, "{page}");
    }
    let told = errors(SMALLEST, "access = \"user\"", "access = \"anonymous\"");
    assert!(told.contains("after a login `/` redirects to itself without end: its route on line 10"), "{told}");
}

#[test]
fn a_login_page_that_another_host_lacks_is_warned_of() {
    let page = "[[routes]]\npath = \"/login\"\nhosts = [\"app.example\"]\nupstream = \"api\"\naccess = \"anonymous\"\n[[routes]]";
    let text = BACKEND.replace("[[routes]]", page).replace("[session]", "hosts = [\"b.example\"]\n[session]");
    let warned = warnings(&text, "[session]", "[session]\nlogin_page = \"/login\"");
    assert!(warned.contains("no route serves the login page `/login`, on the host `b.example`"), "{warned}");
    let everywhere = text.replace("hosts = [\"app.example\"]\n", "");
    assert_eq!(warnings(&everywhere, "[session]", "[session]\nlogin_page = \"/login\""), "");
}

#[test]
fn a_host_on_which_no_login_at_a_provider_can_end_is_warned_of_at_its_place() {
    let listed = |hosts: &str| warnings(SMALLEST, "[session]", &format!("hosts = [{hosts}]\n[session]"));
    let warned = listed("\"b.example\", \"intranet:8080\"");
    assert!(warned.starts_with("4:23 a login at a provider never ends on `intranet:8080`"), "{warned}");
    assert_eq!(warned.lines().count(), 1, "{warned}");
    for fine in ["\"localhost:8081\"", "\"10.0.0.7:8080\"", "\"[2001:db8::7]\"", "\"b.example:8080\""] {
        assert_eq!(listed(fine), "", "{fine}");
    }
    let of_route = warnings(SMALLEST, "access = \"user\"", "access = \"user\"\nhosts = [\"intranet\"]");
    assert!(of_route.contains("14:10 a login at a provider never ends on `intranet`"), "{of_route}");
    let public = SMALLEST.replace("access = \"user\"", "access = \"optional\"");
    assert_eq!(warnings(&public, "[session]", "hosts = [\"intranet\"]\n[session]"), "");
    assert_eq!(warnings(BACKEND, "[session]", "hosts = [\"intranet\"]\n[session]"), "", "a password works there");
}
