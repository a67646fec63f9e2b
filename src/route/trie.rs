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

/// The routes of one pattern.
#[derive(Debug, Default)]
struct Leaf(Vec<(Methods, usize)>);

impl Trie {
    pub(super) fn new() -> Self {
        Self { nodes: vec![TrieNode::default()] }
    }

    /// `Err`: the routes in the tree with the same pattern and at least one common method.
    pub(super) fn insert(&mut self, pattern: &Pattern, methods: &Methods, route: usize) -> Result<(), Vec<usize>> {
        let mut at = 0;
        for segment in pattern.segments() {
            let fresh = self.nodes.len();
            at = match segment {
                Segment::Rest => return self.nodes[at].rest.insert(methods, route),
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
        self.nodes[at].here.insert(methods, route)
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Option<usize> {
        self.search(0, path.strip_prefix('/'), method)
    }

    /// `left`: what follows the slash after this node's segment; `None` at the end of the path.
    fn search(&self, at: usize, left: Option<&str>, method: &Method) -> Option<usize> {
        let node = &self.nodes[at];
        let Some(left) = left else {
            return node.here.pick(method).or_else(|| node.rest.pick(method));
        };
        let (segment, after) = match memchr::memchr(b'/', left.as_bytes()) {
            Some(slash) => (&left[..slash], Some(&left[slash + 1..])),
            None => (left, None),
        };
        if let Ok(place) = node.literals.binary_search_by(|(have, _)| (**have).cmp(segment))
            && let Some(route) = self.search(node.literals[place].1, after, method)
        {
            return Some(route);
        }
        if let Some(child) = node.name
            && !segment.is_empty()
            && let Some(route) = self.search(child, after, method)
        {
            return Some(route);
        }
        node.rest.pick(method)
    }
}

impl Leaf {
    fn insert(&mut self, methods: &Methods, route: usize) -> Result<(), Vec<usize>> {
        let same: Vec<usize> =
            self.0.iter().filter(|(have, _)| have.overlaps(methods)).map(|(_, route)| *route).collect();
        if !same.is_empty() {
            return Err(same);
        }
        self.0.push((methods.clone(), route));
        // A route with methods is more specific than one without.
        self.0.sort_by_key(|(methods, _)| *methods == Methods::All);
        Ok(())
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
