//! `gateway.toml` → typed settings, or all complaints at once.

/// The whole configuration, validated: nothing invalid can be expressed in it, and no code past it reads TOML, environment or files.
#[derive(Clone, Debug)]
pub struct Config {
    /// Sockets.
    pub listen: crate::listen::Settings,
    /// What is refused and stripped.
    pub hygiene: crate::hygiene::Settings,
    /// Cookies, refresh.
    pub session: crate::session::Settings,
    /// Most bytes of a request body kept for a replay.
    pub replay_body: u64,
    /// Login pages and targets.
    pub login: crate::login::Settings,
    /// Who issues tokens.
    pub authority: crate::authority::Settings,
    /// Identity providers, in the order of the file.
    pub providers: Vec<crate::oidc::Settings>,
    /// Upstreams; routes and calls refer to them by index.
    pub upstreams: Vec<crate::upstream::Settings>,
    /// Routes, in the order of the file.
    pub routes: Vec<crate::route::Settings>,
    /// Store.
    pub store: crate::store::Settings,
    /// Logs.
    pub telemetry: crate::telemetry::Settings,
}
