//! Headers that say who somebody is or where they came from, written by a visitor.
