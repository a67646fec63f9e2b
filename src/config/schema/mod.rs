//! Reading `gateway.toml`: spans, environment overrides, secrets, complaints, forms, JSON Schema, reference page.

pub(crate) mod complaint;
pub(crate) mod context;
pub(crate) mod environment;
pub(crate) mod form;
pub(crate) mod kind;
pub(crate) mod reference;
pub(crate) mod section;
pub(crate) mod shape;
pub(crate) mod tree;
