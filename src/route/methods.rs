//! The methods of a route.

use http::Method;

/// Which methods a route is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Methods {
    /// Every method.
    All,
    /// Methods of RFC 9110 and PATCH as bits, others by name.
    Some { bits: u16, others: Vec<Method> },
}

impl Methods {
    pub(super) fn new(methods: &[Method]) -> Self {
        if methods.is_empty() {
            return Self::All;
        }
        let bits = methods.iter().filter_map(bit).fold(0, |bits, bit| bits | bit);
        Self::Some { bits, others: methods.iter().filter(|method| bit(method).is_none()).cloned().collect() }
    }

    /// Whether the route is for this method; GET includes HEAD.
    pub(super) fn allows(&self, method: &Method) -> bool {
        *self == Self::All || self.names(method) || (*method == Method::HEAD && self.names(&Method::GET))
    }

    /// Whether the route names this method; GET does not include HEAD here.
    pub(super) fn names(&self, method: &Method) -> bool {
        match (self, bit(method)) {
            (Self::All, _) => false,
            (Self::Some { bits, .. }, Some(bit)) => bits & bit != 0,
            (Self::Some { others, .. }, None) => others.contains(method),
        }
    }

    /// How exactly the route is for this method, the most specific first: named, implied (HEAD by GET), all.
    pub(super) fn rank(&self, method: &Method) -> u8 {
        match self {
            Self::Some { .. } if self.names(method) => 0,
            Self::Some { .. } => 1,
            Self::All => 2,
        }
    }

    /// Whether two routes with these methods, and otherwise equal, would match the same request without an order
    /// between them.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::Some { bits, others }, Self::Some { bits: other_bits, others: other_others }) => {
                bits & other_bits != 0 || others.iter().any(|method| other_others.contains(method))
            }
            _ => false,
        }
    }
}

fn bit(method: &Method) -> Option<u16> {
    let place = match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        Method::OPTIONS => 6,
        _ => return None,
    };
    Some(1 << place)
}
