//! The stricter rule of another route to the same upstream, and the gaps that `check` warns of.

use super::*;

fn roles(names: &[&str]) -> Access {
    Access::Roles(names.iter().map(|name| (*name).to_owned()).collect())
}

/// Routes in lines 1, 2, 3 …: path, access, upstream.
fn with_access(routes: &[(&str, Access, usize)]) -> Table {
    let routes = routes.iter().enumerate();
    let routes = routes.map(|(at, (path, access, upstream))| Settings {
        access: access.clone(),
        upstream: *upstream,
        ..settings(at + 1, &[], &[], path)
    });
    build(routes.collect()).unwrap()
}

/// The line of the route that a request matches, and the lines of the rules that apply.
fn ruled(table: &Table, method: &Method, host: &str, path: &str) -> (usize, Vec<usize>) {
    match table.find(method, host, path) {
        TableMatch::Route(route) => {
            let rules = table.rules(route, method, host, &LaxPath::new(path));
            let mut lines: Vec<_> = rules.routes().map(|route| route.settings.line).collect();
            lines.sort_unstable();
            (route.settings.line, lines)
        }
        _ => (0, vec![]),
    }
}

fn got(table: &Table, path: &str) -> (usize, Vec<usize>) {
    ruled(table, &Method::GET, "x", path)
}

#[test]
fn no_spelling_of_a_protected_path_falls_to_a_laxer_rule() {
    let table = with_access(&[
        ("/staff/{*rest}", roles(&["admin"]), 0),
        ("/report", Access::User, 0),
        ("/{*rest}", Access::Public, 0),
        ("/staff/menu", Access::Public, 0),
        ("/other/{*rest}", roles(&["admin"]), 1),
    ]);
    for path in [
        "/Staff/x",
        "/STAFF",
        "/staff./x",
        "/staff%20/x",
        "/staff;v=1/x",
        "/staff%3Bv/x",
        "/;/staff/x",
        "/x/..%20/staff/y",
        "/1/2/3/4/5/..%20/..%20/..%20/..%20/..%20/staff/y",
        "/%EF%BD%93taff/x",
        "/%C5%BFtaff/x",
        "/staff%E2%80%8B/x",
        "/staff%2Fx",
        "//staff/x",
    ] {
        assert_eq!(got(&table, path), (3, vec![1]), "{path}");
    }
    for path in
        ["/report/", "/report//", "/Report", "/report.", "/report;x", "/report%20", "/report/.", "/report%C2%A0"]
    {
        assert_eq!(got(&table, path), (3, vec![2]), "{path}");
    }
    for (path, wanted) in [
        ("/staff/x", (1, vec![1])),
        ("/staff//x", (1, vec![1])),
        ("/staff/", (1, vec![1])),
        ("/report", (2, vec![2])),
        ("/", (3, vec![3])),
        ("/Public/X", (3, vec![3])),
        ("/staffx/", (3, vec![3])),
        ("/report/x", (3, vec![3])),
        ("/reports", (3, vec![3])),
        ("/staff/menu", (4, vec![4])),
        // The laxer route is never a way around the stricter one that the request itself matches.
        ("/staff/menu/", (1, vec![1])),
        ("/Staff/menu", (3, vec![3])),
        ("/Other/x", (3, vec![3])),
    ] {
        assert_eq!(got(&table, path), wanted, "{path}");
    }
}

#[test]
fn an_escaped_slash_in_a_value_is_no_way_past_a_rule_in_any_spelling() {
    for kept in [false, true] {
        let slash = |kept| if kept { EncodedSlash::Keep } else { EncodedSlash::Refuse };
        let route = |line, path: &str, access, kept| Settings {
            access,
            encoded_slash: slash(kept),
            ..settings(line, &[], &[], path)
        };
        let table = build(vec![
            route(1, "/a/{id}/secret", Access::User, kept),
            route(2, "/u/{id}", roles(&["admin"]), kept),
            route(3, "/files/{id}/raw/{*rest}", Access::User, kept),
            route(4, "/{*rest}", Access::Public, true),
        ])
        .unwrap();
        for (path, stricter) in [
            ("/A/x%2Fy/secret", 1),
            ("/a/x%2Fy/SECRET", 1),
            ("/a/x%2Fy/secret/", 1),
            ("/a/x%2Fy/secret.", 1),
            ("/a/x%2Fy/secret%20", 1),
            ("/a/x%2Fy/secret;j", 1),
            ("/a/x%2Fy/secret%3Bj", 1),
            ("/a%20/x%2Fy/secret", 1),
            ("/a;j/x%2Fy/secret", 1),
            ("/a//x%2Fy/secret", 1),
            ("/a/x%2Fy//secret", 1),
            ("/a/x%2Fy/;/secret", 1),
            ("/;/a/x%2Fy/%C5%BFecret", 1),
            ("/z/..%20/a/x%2Fy/secret", 1),
            ("/a%2Fx%2Fsecret", 1),
            ("/A/x%EF%BC%8Fy/secret", 1),
            ("/A%2Fx%EF%BC%8Fy%2Fsecret", 1),
            ("/U/x%2Fy", 2),
            ("/u/x%2Fy/", 2),
            ("/u/x%2Fy/.", 2),
            ("/U/x%2Fy%2Fz.", 2),
            ("/files/a%2Fb/RAW", 3),
            ("/Files/a%2Fb/raw/z", 3),
            ("/files/a%2Fb%20/raw%20/z%2Fy", 3),
        ] {
            assert_eq!(got(&table, path), (4, vec![stricter]), "{path}");
        }
        for path in ["/A/x%2Fy", "/A/x%2Fy/z/secret", "/uu/x%2Fy", "/files/a%2Fb/rawer"] {
            assert_eq!(got(&table, path), (4, vec![4]), "{path}");
        }
    }
}

#[test]
fn a_segment_that_some_backends_drop_is_a_value_for_others() {
    let table = with_access(&[
        ("/export/{id}/full", Access::User, 0),
        ("/one/{id}", Access::User, 0),
        ("/q/{id}/x/{*rest}", Access::User, 0),
        ("/two/{a}/{b}/end", Access::User, 0),
        ("/{*rest}", Access::Public, 0),
    ]);
    for (path, stricter) in [
        ("/EXPORT/;x/full", 1),
        ("/export/;x/FULL", 1),
        ("/EXPORT/%20/full", 1),
        ("/EXPORT/.../full", 1),
        ("/EXPORT/%C2%A0/full", 1),
        ("/EXPORT/%E2%80%8B/full", 1),
        ("/EXPORT/%3Bx/full", 1),
        ("/EXPORT/..%20/full", 1),
        ("/EXPORT//;x/full", 1),
        ("/EXPORT/;x/%20/full", 1),
        ("/EXPORT/;x/.../full/", 1),
        ("/ONE/;x", 2),
        ("/one/%20/", 2),
        ("/one/.../", 2),
        ("/one/;x/", 2),
        ("/ONE/%20;", 2),
        ("/Q/;/x/y", 3),
        ("/Q/%20/X", 3),
        ("/q/;/X/y", 3),
        ("/TWO/;x/%20/end", 4),
        ("/TWO/;x/;y/end", 4),
        ("/TWO/;x/1/end", 4),
    ] {
        assert_eq!(got(&table, path), (5, vec![stricter]), "{path}");
    }
    for path in ["/EXPORT//full", "/EXPORT/full", "/ONE/", "/ONE//", "/Q//x/y", "/TWO/;x/end", "/ONE/;x/1/2"] {
        assert_eq!(got(&table, path), (5, vec![5]), "{path}");
    }
    let table = with_access(&[("/;v/{id}/end", Access::User, 0), ("/{*rest}", Access::Public, 0)]);
    for path in ["/;V/;x/end", "/;V/1/end", "/%3Bv/1/END", "/1/end/"] {
        assert_eq!(got(&table, path), (2, vec![1]), "a pattern has such a segment too: {path}");
    }
}

#[test]
fn patterns_are_read_laxly_too() {
    let table = with_access(&[
        ("/Admin/{*rest}", roles(&["admin"]), 0),
        ("/docs/", Access::User, 0),
        ("/식방/{*rest}", Access::User, 0),
        ("/a%3Ab", Access::User, 0),
        ("/{*rest}", Access::Optional, 0),
    ]);
    for (path, wanted) in [
        ("/admin/x", (5, vec![1])),
        ("/Admin/x", (1, vec![1])),
        ("/docs", (5, vec![2])),
        ("/docs/", (2, vec![2])),
        ("/docs/x", (5, vec![5])),
        ("/%E1%84%89%E1%85%B5%E1%86%A8%E1%84%87%E1%85%A1%E1%86%BC/x", (5, vec![3])),
        ("/a:b", (4, vec![4])),
        ("/A:b", (5, vec![4])),
    ] {
        assert_eq!(got(&table, path), wanted, "{path}");
    }
}

#[test]
fn an_empty_rest_and_a_final_slash_are_read_as_the_path_without_it() {
    let table = with_access(&[("/admin", roles(&["root"]), 0), ("/admin/{*rest}", Access::User, 0)]);
    assert_eq!(got(&table, "/admin"), (1, vec![1]));
    assert_eq!(got(&table, "/admin/"), (2, vec![1]));
    assert_eq!(got(&table, "/admin/x"), (2, vec![2]));
    let table = with_access(&[("/admin", Access::Public, 0), ("/admin/{*rest}", Access::User, 0)]);
    assert_eq!(got(&table, "/admin"), (1, vec![1]));
    assert_eq!(got(&table, "/admin/"), (2, vec![2]), "a laxer rule never applies");
    let table = with_access(&[("/", Access::User, 0), ("/{*rest}", Access::Public, 0)]);
    assert_eq!(got(&table, "/"), (1, vec![1]));
    assert_eq!(got(&table, "/;x"), (2, vec![1]));
    assert_eq!(got(&table, "/x"), (2, vec![2]));
}

#[test]
fn where_neither_rule_is_stricter_both_have_to_be_passed() {
    let table = with_access(&[
        ("/a", roles(&["a", "c"]), 0),
        ("/A", roles(&["b", "c"]), 0),
        ("/b", roles(&["b"]), 0),
        ("/B", roles(&["b", "c"]), 0),
        ("/login", Access::Anonymous, 0),
        ("/Login", Access::User, 0),
    ]);
    let decide = |path: &str, requester: Requester<'_>| {
        let TableMatch::Route(route) = table.find(&Method::GET, "x", path) else { panic!("{path}") };
        table.rules(route, &Method::GET, "x", &LaxPath::new(path)).decide(requester)
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(got(&table, "/A"), (2, vec![1, 2]));
    for (held, decision) in [
        (names(&["a"]), Decision::Forbidden),
        (names(&["b"]), Decision::Forbidden),
        (names(&["a", "b"]), Decision::Allow),
        (names(&["c"]), Decision::Allow),
    ] {
        assert_eq!(decide("/A", Requester::User { roles: &held }), decision, "{held:?}");
    }
    assert_eq!(decide("/A", Requester::Anonymous), Decision::LogIn);
    assert_eq!(got(&table, "/B"), (4, vec![3]));
    assert_eq!(decide("/B", Requester::User { roles: &names(&["c"]) }), Decision::Forbidden);
    assert_eq!(got(&table, "/login"), (5, vec![5, 6]));
    assert_eq!(decide("/login", Requester::Anonymous), Decision::LogIn);
    assert_eq!(decide("/login", Requester::User { roles: &[] }), Decision::AlreadyLoggedIn);
}

#[test]
fn a_request_with_two_readings_has_to_pass_the_rules_of_both() {
    let table = with_access(&[("/a", Access::User, 0), ("/b", roles(&["b"]), 0), ("/c", roles(&["c"]), 0)]);
    let rules = |path: &str| {
        let TableMatch::Route(route) = table.find(&Method::GET, "x", path) else { panic!("{path}") };
        table.rules(route, &Method::GET, "x", &LaxPath::new(path))
    };
    for (one, other, lines) in [("/a", "/b", vec![2]), ("/b", "/a", vec![2]), ("/b", "/c", vec![2, 3])] {
        let both = rules(one).and(&rules(other));
        assert_eq!(both.routes().map(|route| route.settings.line).collect::<Vec<_>>(), lines, "{one} {other}");
    }
}

#[test]
fn the_stricter_rule_is_that_for_the_requests_own_host_and_method() {
    let route = |line, methods: &[&str], hosts: &[&str], path: &str, access| Settings {
        access,
        ..settings(line, methods, hosts, path)
    };
    let table = build(vec![
        route(1, &["POST"], &[], "/a", Access::User),
        route(2, &[], &["admin.example"], "/{*rest}", roles(&["admin"])),
        route(3, &[], &[], "/{*rest}", Access::Public),
        route(4, &["GET"], &[], "/b", Access::Public),
        route(5, &[], &[], "/b", Access::User),
    ])
    .unwrap();
    let ruled = |method: &Method, host: &str, path: &str| ruled(&table, method, host, path);
    assert_eq!(ruled(&Method::POST, "x", "/A"), (3, vec![1]));
    assert_eq!(ruled(&Method::GET, "x", "/A"), (3, vec![3]));
    assert_eq!(ruled(&Method::GET, "admin.example", "/A"), (2, vec![2]));
    assert_eq!(ruled(&Method::GET, "x", "/B/"), (3, vec![3]), "of one path the route for the method is meant");
    assert_eq!(ruled(&Method::HEAD, "x", "/B/"), (3, vec![3]));
    assert_eq!(ruled(&Method::PUT, "x", "/B/"), (3, vec![5]));
}

#[test]
fn upstreams_with_a_common_target_are_one_for_the_stricter_rule() {
    let wait = Duration::from_secs(1);
    let upstream = |port| crate::upstream::Settings {
        name: "x".into(),
        targets: vec![crate::upstream::Target::Http { host: "localhost".into(), port }],
        bearer: crate::upstream::Bearer::None,
        cookies: vec![],
        connect_timeout: wait,
        timeout: wait,
        eject: crate::upstream::EjectionRule::default(),
        max_connection_age: wait,
    };
    for (port, lines) in [(3000, vec![2]), (3001, vec![1])] {
        let routes = vec![
            Settings { access: Access::Public, ..settings(1, &[], &[], "/{*rest}") },
            Settings { upstream: 1, ..settings(2, &[], &[], "/admin/{*rest}") },
        ];
        let shared = SharedTargets::new(&[upstream(3000), upstream(port)]);
        let table = Table::build(routes, own(), &shared).unwrap();
        assert_eq!(got(&table, "/Admin/x"), (1, lines));
    }
}

/// Path, methods, hosts, access rule, `strip`.
type WrittenRoute<'r> = (&'r str, &'r [&'r str], &'r [&'r str], Access, Option<&'r str>);

/// Kind, line of the laxer and of the stricter route, request.
fn gaps(routes: &[WrittenRoute<'_>]) -> Vec<(GapKind, usize, usize, String)> {
    let routes = routes.iter().enumerate().map(|(at, (path, methods, hosts, access, strip))| Settings {
        access: access.clone(),
        strip: strip.map(str::to_owned),
        ..settings(at + 1, methods, hosts, path)
    });
    let hosts = ["a.example".to_owned(), "b.example".to_owned()];
    let gaps = build(routes.collect()).unwrap().gaps(&hosts, &SharedTargets::default());
    gaps.into_iter().map(|gap| (gap.kind, gap.laxer + 1, gap.stricter + 1, gap.request)).collect()
}

#[test]
fn requests_that_fall_past_a_protected_route_are_found() {
    let all = ("/{*rest}", &[][..], &[][..], Access::Optional, None);
    let admin = || roles(&["admin"]);
    for (route, wanted) in [
        (("/r/{*rest}", &["GET"][..], &[][..], Access::User, None), (GapKind::Methods, "POST a.example/r/x")),
        (
            ("/r/{*rest}", &["POST", "PUT", "DELETE", "PATCH"], &[], admin(), None),
            (GapKind::Methods, "GET a.example/r/x"),
        ),
        (("/r/{*rest}", &[], &["a.example"], admin(), None), (GapKind::Hosts, "GET b.example/r/x")),
        (("/r", &[], &[], admin(), None), (GapKind::Subtree, "GET a.example/r/x")),
        (
            ("/r/{id}", &["PUT", "GET", "POST", "PATCH", "DELETE"], &[], Access::User, None),
            (GapKind::Subtree, "PUT a.example/r/x/x"),
        ),
        (("/api/r/{*rest}", &[], &[], Access::User, Some("/api")), (GapKind::Strip, "GET a.example/r/x")),
    ] {
        assert_eq!(gaps(&[all.clone(), route]), [(wanted.0, 1, 2, wanted.1.to_owned())]);
    }
    let stripped = ("/api/{*rest}", &[][..], &[][..], Access::User, Some("/api"));
    assert_eq!(
        gaps(&[("/r/{*rest}", &[], &[], admin(), None), stripped]),
        [(GapKind::Strip, 2, 1, "GET a.example/api/r/x".to_owned())]
    );
    for (methods, wanted) in [(&["POST"][..], "POST"), (&["PUT", "GET"], "GET"), (&["PURGE"], "PURGE")] {
        let stripped = ("/p/{*rest}", methods, &[][..], Access::Public, Some("/p"));
        let found = gaps(&[("/staff/{*rest}", &[], &[], admin(), None), stripped.clone()]);
        assert_eq!(found, [(GapKind::Strip, 2, 1, format!("{wanted} a.example/p/staff/x"))]);
        let none = gaps(&[("/staff/{*rest}", &["DELETE"], &[], admin(), None), stripped]);
        assert_eq!(none, [], "no method that both serve");
    }
    let post = ("/{*rest}", &["POST"][..], &[][..], Access::Public, None);
    for (route, wanted) in [
        (("/r/{*rest}", &[][..], &["a.example"][..], admin(), None), (GapKind::Hosts, "POST b.example/r/x")),
        (("/r", &[], &[], admin(), None), (GapKind::Subtree, "POST a.example/r/x")),
    ] {
        assert_eq!(gaps(&[post.clone(), route]), [(wanted.0, 1, 2, wanted.1.to_owned())]);
    }
    let found =
        gaps(&[("/Docs", &["GET", "POST"], &[], Access::Public, None), ("/docs", &["POST"], &[], Access::User, None)]);
    assert_eq!(found, [(GapKind::Overruled, 1, 2, "POST a.example/Docs".to_owned())]);
    for (laxer, stricter) in [("/Docs/{*rest}", "/docs/{*rest}"), ("/docs/", "/docs"), ("/docs;v=1", "/docs")] {
        let found = gaps(&[(laxer, &[], &[], Access::Public, None), (stricter, &[], &[], Access::User, None)]);
        assert!(found.iter().any(|gap| (gap.0, gap.1, gap.2) == (GapKind::Overruled, 1, 2)), "{laxer}: {found:?}");
    }
}

#[test]
fn what_the_file_says_in_so_many_words_is_no_gap() {
    let (public, user) = (Access::Public, Access::User);
    let everything = ("/{*rest}", &[][..], &[][..], public.clone(), None);
    for routes in [
        vec![everything.clone(), ("/login", &[], &[], Access::Anonymous, None)],
        vec![everything.clone(), ("/", &[], &[], user.clone(), None)],
        vec![everything.clone(), ("/r/{*rest}", &[], &[], user.clone(), None)],
        vec![everything.clone(), ("/r", &[], &[], user.clone(), None), ("/r/{*rest}", &[], &[], public.clone(), None)],
        vec![
            ("/r", &["POST"], &[], user.clone(), None),
            ("/r", &["GET", "PUT", "PATCH", "DELETE"], &[], public.clone(), None),
        ],
        vec![("/r", &[], &[], user.clone(), None), ("/r", &["GET"], &[], public.clone(), None)],
        vec![("/r", &[], &["a.example"], user.clone(), None), ("/r", &[], &["b.example"], public.clone(), None)],
        vec![("/r/{*rest}", &[], &[], roles(&["a"]), None), ("/r/{*rest}", &["GET"], &[], roles(&["b"]), None)],
    ] {
        assert_eq!(gaps(&routes), [], "{routes:?}");
    }
}
