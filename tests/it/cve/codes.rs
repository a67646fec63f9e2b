//! One-time codes, passwords and messages: guessed, forged, sent elsewhere.
