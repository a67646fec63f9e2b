//! The gateway as the authority, from login to the end of a family, against a store that can fail.
