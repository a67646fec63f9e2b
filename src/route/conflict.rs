//! Why a table of routes cannot be built.

use std::borrow::Cow;

use http::Method;

use super::own::JWKS_PATH;

/// Why the table cannot be built; each is an error in the configuration file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Conflict {
    /// Two routes match the same requests, and neither is more specific.
    #[error(
        "this route and the one in line {other} match the same requests, and neither is more specific; give one of them other `methods` or `hosts`, or remove it"
    )]
    Same {
        /// The line of the later route.
        line: usize,
        /// The line of the earlier route.
        other: usize,
    },
    /// A route below `base_path`: the gateway answers all its requests.
    #[error("this route can never match: everything under `{base_path}` is the gateway's own (`session.base_path`)")]
    UnderBasePath {
        /// The line of the route.
        line: usize,
        /// The base path.
        base_path: String,
    },
    /// A route for the path of the gateway's public keys.
    #[error("this route can never match: the gateway's public keys are at `{JWKS_PATH}`")]
    Jwks {
        /// The line of the route.
        line: usize,
    },
    /// A path that is no pattern, or that no request can match.
    #[error("`{path}` cannot be the path of a route: {problem}")]
    Path {
        /// The line of the route.
        line: usize,
        /// The path as written.
        path: String,
        /// What is wrong, and what to write.
        problem: Cow<'static, str>,
    },
    /// A `strip` that is not the beginning of the path.
    #[error(
        "`strip = \"{strip}\"` must be the beginning of `path = \"{path}\"`, up to a slash and without placeholders"
    )]
    Strip {
        /// The line of the route.
        line: usize,
        /// The prefix as written.
        strip: String,
        /// The path as written.
        path: String,
    },
    /// A method that is answered 405 before any route is searched.
    #[error("this route can never match `{method}`: such requests are refused")]
    Method {
        /// The line of the route.
        line: usize,
        /// The method.
        method: Method,
    },
}

impl Conflict {
    /// The line of the route that is wrong.
    pub fn line(&self) -> usize {
        match self {
            Self::Same { line, .. }
            | Self::UnderBasePath { line, .. }
            | Self::Jwks { line }
            | Self::Path { line, .. }
            | Self::Strip { line, .. }
            | Self::Method { line, .. } => *line,
        }
    }
}
