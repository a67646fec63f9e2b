//! Logins, tokens and sessions: forged, mixed up, replayed.
