//! The tables of `gateway.toml`, one file each: the keys with type, default and meaning, the reader, and the checks
//! within the table.

use authority::AuthorityTable;
use limits::LimitsTable;
use login::LoginTable;
use otp::OtpTable;
use pages::PagesTable;
use providers::ProviderTable;
use routes::RouteTable;
use server::ServerTable;
use session::SessionTable;
use signing::SigningTable;
use store::StoreTable;
use telemetry::TelemetryTable;
use upstreams::UpstreamTable;

use crate::config::schema::key::{Named, Table, Tables, table};

mod allow;
mod authorities;
pub(crate) mod authority;
pub(crate) mod call;
mod fields;
mod forms;
pub(crate) mod limits;
pub(crate) mod login;
pub(crate) mod otp;
pub(crate) mod pages;
pub(crate) mod providers;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod signing;
pub(crate) mod store;
pub(crate) mod telemetry;
pub(crate) mod upstreams;

table! {
    /// The whole file.
    pub(crate) struct RootTable {
        /// The addresses to listen on, and the public address.
        SERVER: Table<ServerTable> = required("server");
        /// Cookies, keys, refreshes and lifetimes of sessions.
        SESSION: Table<SessionTable> = optional("session");
        /// The state that all requests share: running refreshes, ended sessions, used single-use tokens, one-time codes
        /// and all counts.
        STORE: Table<StoreTable> = optional("store");
        /// Who issues the access and refresh tokens.
        AUTHORITY: Table<AuthorityTable> = optional("authority");
        /// Identity providers. The name is part of paths (`{base_path}/login/NAME`). For `google`, `kakao` and `naver`
        /// issuer and scopes have defaults.
        PROVIDERS: Named<ProviderTable> = optional("providers");
        /// The protected backends. Routes and calls refer to them by name.
        UPSTREAMS: Named<UpstreamTable> = optional("upstreams");
        /// Which requests are forwarded to which upstream. The most specific route wins; a request without a route is
        /// answered 404.
        ROUTES: Tables<RouteTable> = optional("routes");
        /// One-time codes by SMS and e-mail.
        OTP: Table<OtpTable> = optional("otp");
        /// The keys that the gateway signs its own JWTs with.
        SIGNING: Table<SigningTable> = optional("signing");
        /// Calls at logins.
        LOGIN: Table<LoginTable> = optional("login");
        /// How the gateway's own pages look.
        PAGES: Table<PagesTable> = optional("pages");
        /// The gateway's logs.
        TELEMETRY: Table<TelemetryTable> = optional("telemetry");
        /// Limits of wrong guesses, connections, sizes and times; each answers an attack.
        LIMITS: Table<LimitsTable> = optional("limits");
        later "verify";
    }
}
