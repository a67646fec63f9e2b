//! The index from a path to a route: a tree over segments, searched from the most specific branch to the least.

use http::Method;

use super::{
    methods::Methods,
    pattern::{Pattern, Segment},
};

/// All patterns of one host. A search visits each node at most once, because a node's depth is its place in the path.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<TrieNode>,
}

#[derive(Debug, Default)]
struct TrieNode {
    /// Child nodes, sorted by the text of the segment.
    literals: Vec<(Box<str>, usize)>,
    name: Option<usize>,
    /// Routes that end here.
    here: Leaf,
    /// Routes that end here with `{*rest}`.
    rest: Leaf,
}

/// Whether two routes with the same pattern and a common method may both be inserted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Conflicts {
    /// No: a search could not choose between them.
    Refused,
    /// Yes: the search wants all of them.
    Kept,
}

/// The routes of one pattern.
#[derive(Debug, Default)]
pub(super) struct Leaf(Vec<(Methods, usize)>);

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![TrieNode::default()] }
    }
}

impl Trie {
    /// Returns the routes in the tree with the same pattern and at least one common method, unless they are kept.
    pub(super) fn insert(
        &mut self,
        pattern: &Pattern,
        methods: &Methods,
        route: usize,
        conflicts: Conflicts,
    ) -> Vec<usize> {
        let mut at = 0;
        for segment in pattern.segments() {
            let fresh = self.nodes.len();
            at = match segment {
                Segment::Rest => return self.nodes[at].rest.insert(methods, route, conflicts),
                Segment::Name => *self.nodes[at].name.get_or_insert(fresh),
                Segment::Literal(text) => match self.nodes[at].literals.binary_search_by(|(have, _)| have.cmp(text)) {
                    Ok(place) => self.nodes[at].literals[place].1,
                    Err(place) => {
                        self.nodes[at].literals.insert(place, (text.clone(), fresh));
                        fresh
                    }
                },
            };
            if at == fresh {
                self.nodes.push(TrieNode::default());
            }
        }
        self.nodes[at].here.insert(methods, route, conflicts)
    }

    /// The route of the most specific pattern that matches the path.
    pub(super) fn find<'p>(&self, method: &Method, path: &'p str) -> Option<usize> {
        let first = |left: Option<&'p str>| {
            let left = left?;
            Some(match memchr::memchr(b'/', left.as_bytes()) {
                Some(slash) => (&left[..slash], Some(&left[slash + 1..])),
                None => (left, None),
            })
        };
        self.search(0, path.strip_prefix('/'), &first, &|leaf| leaf.pick(method))
    }

    /// All routes of the most specific pattern that matches a lax reading, among those for this method.
    pub(super) fn find_all<'r>(&self, method: &Method, reading: &'r [&'r str]) -> Option<Vec<usize>> {
        let first = |left: &'r [&'r str]| left.split_first().map(|(first, left)| (*first, left));
        let all = |leaf: &Leaf| Some(leaf.all(method)).filter(|routes| !routes.is_empty());
        self.search(0, reading, &first, &all)
    }

    /// `left`: the segments after this node's, of which `first` splits off the first; `None` at the end of the path.
    fn search<'p, P: Copy, T>(
        &self,
        at: usize,
        left: P,
        first: &impl Fn(P) -> Option<(&'p str, P)>,
        pick: &impl Fn(&Leaf) -> Option<T>,
    ) -> Option<T> {
        let node = &self.nodes[at];
        let Some((segment, after)) = first(left) else {
            return pick(&node.here).or_else(|| pick(&node.rest));
        };
        if let Ok(place) = node.literals.binary_search_by(|(have, _)| (**have).cmp(segment))
            && let Some(route) = self.search(node.literals[place].1, after, first, pick)
        {
            return Some(route);
        }
        if let Some(child) = node.name
            && !segment.is_empty()
            && let Some(route) = self.search(child, after, first, pick)
        {
            return Some(route);
        }
        pick(&node.rest)
    }
}

impl Leaf {
    fn insert(&mut self, methods: &Methods, route: usize, conflicts: Conflicts) -> Vec<usize> {
        if conflicts == Conflicts::Refused {
            let overlapping = self.0.iter().filter(|(have, _)| have.overlaps(methods));
            let same: Vec<usize> = overlapping.map(|(_, route)| *route).collect();
            if !same.is_empty() {
                return same;
            }
        }
        self.0.push((methods.clone(), route));
        // A route with methods is more specific than one without.
        self.0.sort_by_key(|(methods, _)| *methods == Methods::All);
        Vec::new()
    }

    fn all(&self, method: &Method) -> Vec<usize> {
        self.0.iter().filter(|(methods, _)| methods.allows(method)).map(|(_, route)| *route).collect()
    }

    fn pick(&self, method: &Method) -> Option<usize> {
        let (mut named, mut implied) = (self.0.iter(), self.0.iter());
        // In two steps: one route may name HEAD, and another imply it by GET.
        named
            .find(|(methods, _)| methods.names(method))
            .or_else(|| implied.find(|(methods, _)| methods.allows(method)))
            .map(|(_, route)| *route)
    }
}
