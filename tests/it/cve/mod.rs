//! Published vulnerabilities of other gateways and of libraries, each as a request and the gateway's answer.
//!
//! A test is named after the vulnerability's identifier; `docs/security.md` has the list, with those that do not apply
//! and those that are open.

mod codes;
mod framing;
mod headers;
mod paths;
mod redirects;
mod scene;
mod tokens;
