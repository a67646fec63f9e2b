//! Published vulnerabilities of other gateways and of libraries: each test sends the attack and checks the answer.
//!
//! A test is named after the vulnerability's identifier; `docs/security.md` has the list, with those that do not apply
//! and those that are open.

mod codes;
mod framing;
mod headers;
mod paths;
mod redirects;
mod setup;
mod tokens;
