//! The stricter rule decides: no spelling of a protected path that a lenient backend accepts falls to a laxer route.

use http::Method;

use super::{
    access::{Decision, Requester},
    entry::Route,
    hosts::HostIndex,
    lax::LaxPath,
    settings::Access,
    targets::SharedTargets,
    trie::Conflicts,
};

/// The access rules that a request has to pass, all of them. None is stricter than another.
#[derive(Debug)]
pub struct Rules<'t> {
    first: &'t Route,
    /// Empty but for the rare request that two routes claim; an empty list takes no memory.
    others: Vec<&'t Route>,
}

impl<'t> Rules<'t> {
    fn of(route: &'t Route) -> Self {
        Self { first: route, others: Vec::new() }
    }

    /// Adds the rule of `route`, unless the rules so far are as strict; laxer ones are dropped.
    fn add(&mut self, route: &'t Route) {
        let access = &route.settings.access;
        if self.routes().any(|own| own.settings.access.is_as_strict_as(access)) {
            return;
        }
        self.others.retain(|own| !access.is_as_strict_as(&own.settings.access));
        if access.is_as_strict_as(&self.first.settings.access) {
            self.first = route;
        } else {
            self.others.push(route);
        }
    }

    /// The rules of two readings of one request, both of which it has to pass.
    #[must_use]
    pub fn and(mut self, more: &Self) -> Self {
        more.routes().for_each(|route| self.add(route));
        self
    }

    /// The routes whose rules apply, at least one.
    pub fn routes(&self) -> impl Iterator<Item = &'t Route> + use<'_, 't> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// Whether no session is read.
    pub fn is_public(&self) -> bool {
        // Any other rule is stricter, so beside another one there is no public rule.
        self.first.settings.access == Access::Public
    }

    /// Applies the rules. A missing login is reported before a missing role.
    pub fn decide(&self, requester: Requester<'_>) -> Decision {
        let severity = |decision: &Decision| match decision {
            Decision::Allow => 0,
            Decision::AlreadyLoggedIn => 1,
            Decision::Forbidden => 2,
            Decision::LogIn => 3,
        };
        let decisions = self.routes().map(|route| route.settings.access.decide(requester));
        decisions.max_by_key(severity).unwrap_or(Decision::Forbidden)
    }
}

/// What is known at load time: for each route whether a stricter rule can apply at all, and the patterns to look in.
#[derive(Debug, Default)]
pub(super) struct StricterRules {
    /// For each route the place in `groups`; `None` if no route to its upstream has a rule that its own does not
    /// include.
    by_route: Vec<Option<usize>>,
    groups: Vec<Group>,
}

/// The routes to one backend, by the lax readings of their paths.
#[derive(Debug)]
struct Group {
    index: HostIndex,
    /// The number of segments of the longest pattern: what follows them matters only by its presence.
    longest: usize,
    /// Whether all patterns are their own lax reading: then a path that is its own lax reading matches the same route
    /// in either.
    is_plain: bool,
}

impl StricterRules {
    pub(super) fn new(routes: &[Route], shared: &SharedTargets) -> Self {
        let upstreams = routes.iter().map(|route| route.settings.upstream);
        let mut by_upstream: Vec<(usize, Option<usize>)> = Vec::new();
        for upstream in upstreams {
            if !by_upstream.iter().any(|(known, _)| *known == upstream) {
                by_upstream.push((upstream, None));
            }
        }
        let mut groups = Vec::new();
        let mut by_route = vec![None; routes.len()];
        for (upstream, place) in &mut by_upstream {
            let is_same = |route: &&Route| shared.have_common(*upstream, route.settings.upstream);
            let members: Vec<&Route> = routes.iter().filter(is_same).collect();
            // Most tables have many routes and few rules.
            let mut rules: Vec<&Access> = Vec::new();
            for route in &members {
                if !rules.contains(&&route.settings.access) {
                    rules.push(&route.settings.access);
                }
            }
            for route in members.iter().filter(|route| route.settings.upstream == *upstream) {
                let own = &route.settings.access;
                if rules.iter().any(|other| !own.is_as_strict_as(other)) {
                    by_route[route.index] = Some(*place.get_or_insert_with(|| {
                        groups.push(Group::new(&members));
                        groups.len() - 1
                    }));
                }
            }
        }
        Self { by_route, groups }
    }

    pub(super) fn rules<'t>(
        &self,
        routes: &'t [Route],
        route: &'t Route,
        method: &Method,
        host: &str,
        path: &LaxPath<'_>,
    ) -> Rules<'t> {
        let mut rules = Rules::of(route);
        let Some(group) = self.by_route.get(route.index).copied().flatten().map(|at| &self.groups[at]) else {
            return rules;
        };
        if group.is_plain && path.is_own_reading() {
            return rules;
        }
        path.any_reading(group.longest + 1, |reading| {
            let found = group.index.find(host, |trie| trie.find_all(method, reading)).unwrap_or_default();
            for route in found.iter().map(|index| &routes[*index]) {
                // Of the routes with one pattern as written, the most specific by its methods is meant.
                let is_better = |other: &usize| {
                    routes[*other].pattern == route.pattern
                        && routes[*other].methods.rank(method) < route.methods.rank(method)
                };
                if !found.iter().any(is_better) {
                    rules.add(route);
                }
            }
            false
        });
        rules
    }
}

impl Group {
    fn new(members: &[&Route]) -> Self {
        let mut index = HostIndex::default();
        let mut longest = 0;
        for route in members {
            for pattern in std::iter::once(route.pattern.lax()).chain(route.pattern.lax_with_all_segments()) {
                longest = longest.max(pattern.segments().len());
                index.insert(&route.settings.hosts, &pattern, &route.methods, route.index, Conflicts::Kept);
            }
        }
        Self { index, longest, is_plain: members.iter().all(|route| route.pattern.agrees_with_lax()) }
    }
}
