//! The whole decision (route and access rule) against an oracle written by hand from the list of routes: 100,000 random
//! requests, the same in every run.

use super::*;

/// Path, methods, hosts, access rule; the line is the position in this list, from 1.
fn routes() -> Vec<Settings> {
    let roles = |names: &[&str]| Access::Roles(names.iter().map(|name| (*name).to_owned()).collect());
    let admin = &["admin.example"][..];
    let table: [(&str, &[&str], &[&str], Access); 13] = [
        ("/public/{*rest}", &[], &[], Access::Public),
        ("/app/{*rest}", &[], &[], Access::User),
        ("/app/{id}", &["GET"], &[], Access::Optional),
        ("/app/open", &["PUT", "PURGE"], &[], Access::Public),
        ("/admin/{*rest}", &[], &[], roles(&["admin"])),
        ("/admin/report", &["GET"], &[], roles(&["admin", "auditor"])),
        ("/login", &[], &[], Access::Anonymous),
        ("/", &[], &[], Access::Optional),
        ("/{*rest}", &[], admin, roles(&["admin"])),
        ("/admin/{id}", &["POST"], admin, roles(&["root"])),
        ("/admin/{*rest}", &[], &["admin.example:8080"], roles(&["root"])),
        ("/public/{id}/admin", &[], &[], roles(&["admin"])),
        ("/public/", &["HEAD"], &[], Access::User),
    ];
    let lines = table.into_iter().enumerate();
    lines
        .map(|(at, (path, methods, hosts, access))| Settings { access, ..settings(at + 1, methods, hosts, path) })
        .collect()
}

/// The line of the route that matches (0: none), and the decision: by its own rule, or by that of the route that the
/// path matches as a lenient backend reads it, in either of two ways. A rule of a lower level never applies.
fn oracle(method: &str, host: &str, path: &str, roles: Option<&[String]>) -> (usize, Option<Decision>) {
    let parts: Vec<&str> = path[1..].split('/').collect();
    let without_parameters: Vec<&str> =
        parts.iter().map(|part| part.split(';').next().unwrap()).filter(|part| !part.is_empty()).collect();
    let found = place(method, host, &parts);
    if found == 0 || parts[0] == "auth" || without_parameters.first() == Some(&"auth") {
        return (0, None);
    }
    // A segment of parameters alone is dropped, or it is a value.
    let with_values: Vec<&str> = parts
        .iter()
        .map(|part| if part.starts_with(';') { part } else { part.split(';').next().unwrap() })
        .filter(|part| !part.is_empty())
        .collect();
    let [lax, with_values] = [without_parameters, with_values].map(|parts| {
        let lax: Vec<String> = parts.iter().map(|part| part.replace("%61", "a").to_lowercase()).collect();
        let mut lax: Vec<&str> = lax.iter().map(String::as_str).collect();
        // The patterns `/` and `/public/` end in a slash.
        if matches!(&*lax, [] | ["public"]) {
            lax.push("");
        }
        place(method, host, &lax)
    });
    let level = |line: usize| match line {
        0 | 1 | 4 => 0,
        3 | 8 => 1,
        2 | 7 | 13 => 2,
        _ => 3,
    };
    let severity = |decision: &Decision| match decision {
        Decision::Allow => 0,
        Decision::AlreadyLoggedIn => 1,
        Decision::Forbidden => 2,
        Decision::LogIn => 3,
    };
    let most = level(found).max(level(lax)).max(level(with_values));
    let deciding = [found, lax, with_values].into_iter().filter(|line| *line != 0 && level(*line) == most);
    (found, deciding.map(|line| decision(line, roles)).max_by_key(severity))
}

fn decision(line: usize, roles: Option<&[String]>) -> Decision {
    let has = |wanted: &[&str]| match roles {
        None => Decision::LogIn,
        Some(roles) if roles.iter().any(|role| wanted.contains(&role.as_str())) => Decision::Allow,
        Some(_) => Decision::Forbidden,
    };
    match line {
        7 if roles.is_some() => Decision::AlreadyLoggedIn,
        2 | 13 if roles.is_none() => Decision::LogIn,
        1 | 2 | 3 | 4 | 7 | 8 | 13 => Decision::Allow,
        6 => has(&["admin", "auditor"]),
        10 | 11 => has(&["root"]),
        _ => has(&["admin"]),
    }
}

/// The line that a request matches, written by hand with the most specific first.
fn place(method: &str, host: &str, parts: &[&str]) -> usize {
    let gets = matches!(method, "GET" | "HEAD");
    match (host, parts) {
        ("admin.example:8080", ["admin", ..]) => 11,
        ("admin.example" | "admin.example:81", ["admin", id]) if method == "POST" && !id.is_empty() => 10,
        ("admin.example" | "admin.example:8080" | "admin.example:81", _) => 9,
        (_, ["app", "open"]) if matches!(method, "PUT" | "PURGE") => 4,
        (_, ["app", id]) if gets && !id.is_empty() => 3,
        (_, ["app", ..]) => 2,
        (_, ["admin", "report"]) if gets => 6,
        (_, ["admin", ..]) => 5,
        (_, ["public", id, "admin"]) if !id.is_empty() => 12,
        (_, ["public", ""]) if method == "HEAD" => 13,
        (_, ["public", ..]) => 1,
        (_, ["login"]) => 7,
        (_, [""]) => 8,
        _ => 0,
    }
}

/// Numbers that are the same in every run.
pub(super) struct Seeded(pub(super) u64);

impl Seeded {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    pub(super) fn pick<'l, T: ?Sized>(&mut self, list: &[&'l T]) -> &'l T {
        list[self.below(list.len())]
    }
}

#[test]
fn cve_2026_48794_a_hundred_thousand_decisions_are_those_of_the_oracle() {
    let table = build(routes()).unwrap();
    let mut seeded = Seeded(4);
    let roles = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let users =
        [None, Some(roles(&[])), Some(roles(&["admin"])), Some(roles(&["auditor", "x"])), Some(roles(&["x", "root"]))];
    let users: Vec<_> = users.iter().collect();
    let mut seen = [0; 14];
    for _ in 0..100_000 {
        let method = seeded.pick(&["GET", "HEAD", "POST", "PUT", "DELETE", "PURGE"]);
        let host =
            seeded.pick(&["app.example", "admin.example", "admin.example:8080", "admin.example:81", "xadmin.example"]);
        let mut path = String::new();
        for _ in 0..seeded.pick(&["x", "xx", "xx", "xxx", "xxxx"]).len() {
            path.push('/');
            path += seeded.pick(&[
                "public",
                "app",
                "admin",
                "admin",
                "open",
                "report",
                "login",
                "auth",
                "Admin",
                "adminx",
                "",
                "",
                ";",
                "admin;v=1",
                "%61dmin",
                "b",
            ]);
        }
        let user = seeded.pick(&users).as_deref();
        let wanted = oracle(method, host, &path, user);
        let got = match table.find(&method.parse().unwrap(), host, &path) {
            TableMatch::Route(route) => {
                let requester = user.map_or(Requester::Anonymous, |roles| Requester::User { roles });
                let applied = table.rules(route, &method.parse().unwrap(), host, &LaxPath::new(&path));
                (route.settings.line, Some(applied.decide(requester)))
            }
            TableMatch::None | TableMatch::NoEndpoint | TableMatch::Own(_) | TableMatch::WrongMethod(_) => (0, None),
        };
        assert_eq!(got, wanted, "{method} {host} {path} {user:?}");
        seen[got.0] += 1;
    }
    assert!(seen.iter().all(|count| *count > 20), "every route was matched, and no route too: {seen:?}");
}
