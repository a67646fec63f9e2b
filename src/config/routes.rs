//! The table of routes as the configuration's checks see it: which route a request meets, and which routes cannot both be.

use std::cmp::Reverse;

use http::Method;

use crate::route::{Access, Settings};

/// A route that is wrong beside another, or by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Conflict {
    /// Index of the route.
    pub(super) route: usize,
    pub(super) message: String,
    pub(super) help: String,
}

/// Routes that no rule of specificity separates.
pub(super) fn conflicts(routes: &[Settings]) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let same = |other: &&Settings| {
            shape(&other.path) == shape(&route.path) && same_hosts(other, route) && same_methods(other, route)
        };
        if let Some(other) = routes[..index].iter().find(same) {
            conflicts.push(Conflict {
                route: index,
                message: format!("nothing separates this route from `{}` on line {}", other.path, other.line),
                help: "give one of them another path, `hosts` or `methods`, or leave it out".to_owned(),
            });
        }
    }
    conflicts
}

/// The route that a request meets: the most specific path, then one that names the host, then one that names the method.
pub(super) fn find(routes: &[Settings], method: &Method, host: &str, path: &str) -> Option<usize> {
    let without_port =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map(|(name, _)| name);
    let fits = |route: &Settings| {
        (route.hosts.is_empty()
            || route.hosts.iter().any(|named| named == host || Some(named.as_str()) == without_port))
            && (route.methods.is_empty() || route.methods.contains(method))
    };
    let candidates = routes.iter().enumerate().filter(|(_, route)| fits(route));
    candidates
        .filter_map(|(index, route)| Some((matched(&route.path, path)?, route, index)))
        .max_by_key(|(rank, route, index)| {
            (rank.clone(), !route.hosts.is_empty(), !route.methods.is_empty(), Reverse(*index))
        })
        .map(|(_, _, index)| index)
}

/// Whether a page behind `access` can be seen by whoever has not logged in.
pub(super) fn open(access: &Access) -> bool {
    matches!(access, Access::Public | Access::Optional | Access::Anonymous)
}

/// What is wrong with a pattern by itself.
pub(super) fn pattern_fault(pattern: &str) -> Option<&'static str> {
    let Some(path) = pattern.strip_prefix('/') else { return Some("it must begin with `/`") };
    if pattern.contains(['?', '#', '\\', ' ']) || pattern.chars().any(char::is_control) {
        return Some("leave out `?`, `#`, backslashes and spaces: a path alone is matched");
    }
    let segments: Vec<_> = path.split('/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match name.map(|name| (name.strip_prefix('*'), name)) {
            Some((Some(rest), _)) if !identifier(rest) => return Some("name the rest, e.g. `{*rest}`"),
            Some((Some(_), _)) if !last => return Some("`{*rest}` stands at the end only"),
            Some((None, name)) if !identifier(name) => {
                return Some("a segment's name has letters, digits and `_`, e.g. `{id}`");
            }
            None if segment.contains(['{', '}', '*']) => {
                return Some("`{name}` stands for a whole segment, `{*rest}` for the rest of the path");
            }
            None if matches!(*segment, "." | "..") || (segment.is_empty() && !last) => {
                return Some("leave out empty segments, `.` and `..`: no request has them");
            }
            _ => {}
        }
    }
    None
}

/// Whether `prefix` ends at a segment's end of the literal beginning of `pattern`.
pub(super) fn strips(pattern: &str, prefix: &str) -> bool {
    pattern.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// How specific each segment of a match is, from the left; higher wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Rank {
    Rest,
    Name,
    Literal,
    /// The pattern ends with the path: it beats a rest that is nothing.
    End,
}

fn matched(pattern: &str, path: &str) -> Option<Vec<Rank>> {
    let (mut segments, mut ranks) = (path.strip_prefix('/')?.split('/'), Vec::new());
    for part in pattern.strip_prefix('/')?.split('/') {
        if part.starts_with("{*") {
            ranks.push(Rank::Rest);
            return Some(ranks);
        }
        let segment = segments.next()?;
        ranks.push(match part.strip_prefix('{') {
            Some(_) if segment.is_empty() => return None,
            Some(_) => Rank::Name,
            None if part == segment => Rank::Literal,
            None => return None,
        });
    }
    ranks.push(Rank::End);
    segments.next().is_none().then_some(ranks)
}

/// A pattern without the names in it.
fn shape(pattern: &str) -> Vec<&str> {
    let shape = |segment| match segment {
        rest if str::starts_with(rest, "{*") => "{*}",
        name if name.starts_with('{') => "{}",
        literal => literal,
    };
    pattern.split('/').map(shape).collect()
}

fn same_hosts(a: &Settings, b: &Settings) -> bool {
    (a.hosts.is_empty() && b.hosts.is_empty()) || a.hosts.iter().any(|host| b.hosts.contains(host))
}

fn same_methods(a: &Settings, b: &Settings) -> bool {
    (a.methods.is_empty() && b.methods.is_empty()) || a.methods.iter().any(|method| b.methods.contains(method))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, hosts: &[&str], methods: &[Method], line: usize) -> Settings {
        Settings {
            path: path.to_owned(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            methods: methods.to_vec(),
            strip: None,
            upstream: 0,
            access: Access::User,
            headers: crate::upstream::HeaderRules::default(),
            body_limit: None,
            timeout: None,
            idle_timeout: std::time::Duration::from_secs(1),
            retry_on_401: crate::route::RetryOn401::All,
            on_second_401: None,
            cors: None,
            line,
        }
    }

    #[test]
    fn the_most_specific_route_is_found() {
        let routes = [
            route("/{*rest}", &[], &[], 1),
            route("/a/{id}", &[], &[], 2),
            route("/a/b", &[], &[], 3),
            route("/a/b", &["x.example"], &[], 4),
            route("/a/b", &[], &[Method::POST], 5),
            route("/a/{id}/{*rest}", &[], &[], 6),
        ];
        let found = |method, host, path| find(&routes, &method, host, path).map(|index| routes[index].line);
        assert_eq!(found(Method::GET, "h", "/"), Some(1));
        assert_eq!(found(Method::GET, "h", "/a/c"), Some(2));
        assert_eq!(found(Method::GET, "h", "/a/b"), Some(3));
        assert_eq!(found(Method::GET, "x.example:8080", "/a/b"), Some(4));
        assert_eq!(found(Method::POST, "h", "/a/b"), Some(5));
        assert_eq!(found(Method::GET, "h", "/a/c/d/e"), Some(6));
        assert_eq!(found(Method::GET, "h", "/a/"), Some(1));
        assert_eq!(find(&routes[1..], &Method::GET, "h", "/z"), None);
    }

    #[test]
    fn the_rest_may_be_nothing() {
        let routes = [route("/api/{*rest}", &[], &[], 1)];
        let found = |path| find(&routes, &Method::GET, "h", path).is_some();
        assert!(found("/api") && found("/api/") && found("/api/x/y"));
        assert!(!found("/apix") && !found("/"));
    }

    #[test]
    fn routes_conflict_where_no_rule_separates_them() {
        let pair = |a: (&[&str], &[Method]), b: (&[&str], &[Method])| {
            conflicts(&[route("/a/{x}", a.0, a.1, 1), route("/a/{y}", b.0, b.1, 2)]).len()
        };
        assert_eq!(pair((&[], &[]), (&[], &[])), 1);
        assert_eq!(pair((&["h"], &[Method::GET]), (&["g", "h"], &[Method::PUT, Method::GET])), 1);
        assert_eq!(pair((&["h"], &[]), (&[], &[])), 0);
        assert_eq!(pair((&[], &[Method::GET]), (&[], &[Method::PUT])), 0);
        assert_eq!(conflicts(&[route("/a/{x}", &[], &[], 1), route("/a/{*x}", &[], &[], 2)]), []);
    }

    #[test]
    fn a_pattern_has_names_for_whole_segments() {
        for good in ["/", "/a", "/a/", "/{id}", "/a/{id}/b", "/{*rest}", "/a.b/{*rest}", "/한글"] {
            assert_eq!(pattern_fault(good), None, "{good}");
        }
        for bad in [
            "", "a", "/a?b", "/a b", "/{id", "/x{id}", "/{*r}/b", "/{}", "/{*}", "/a//b", "/a/../b", "/*", "/{i-d}",
            "//",
        ] {
            assert!(pattern_fault(bad).is_some(), "{bad}");
        }
    }
}
