//! Floods of one connection or of many: how far each comes, and what it costs.
