//! Published vulnerabilities of other gateways and of the libraries below, each as a request and the answer that it gets here.
//!
//! A test is named after the identifier that it answers; `docs/security.md` has the list, with what does not apply and what is open.

mod codes;
mod framing;
mod headers;
mod paths;
mod redirects;
mod scene;
mod tokens;
