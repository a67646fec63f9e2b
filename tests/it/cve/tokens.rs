//! Logins, tokens and sessions: forged, mixed up, replayed.

mod chromium;
mod claims;
mod cookies;
mod flow;
mod forged;
mod missing;
mod sizes;
