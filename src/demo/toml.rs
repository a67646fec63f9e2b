//! The `gateway.toml` of a gateway in front of the demo's servers, in three forms: that of the tests, whose provider
//! has an address of its own, that of `demo`, and that of `dev`.

use std::net::SocketAddr;

use url::Url;

use super::{DemoServers, backend, page::PANEL_PATH};

/// Where browsers find the provider of `demo` and `dev`: behind the gateway, so that one port is all that has to be
/// reachable (a container, an SSH tunnel).
const PROVIDER_PATH: &str = "/auth/dev/id";

/// The address of the provider for browsers.
pub(super) fn provider_url(page: &Url) -> String {
    format!("{}{PROVIDER_PATH}", page.origin().ascii_serialization())
}

/// The file of a gateway that listens at `gateway`; browsers reach the provider itself.
pub fn gateway_toml(servers: &DemoServers, gateway: SocketAddr) -> String {
    server("Vestibule demo", &format!("http://{gateway}"), gateway) + &logins(servers) + DEMO_ROUTES
}

/// The file of `vestibule demo`.
pub fn demo_toml(servers: &DemoServers, page: &Url, listen: SocketAddr) -> String {
    let server = server("Vestibule demo", &page.origin().ascii_serialization(), listen);
    server + &logins(servers) + &provider_route(servers) + ADMIN_ROUTE + DEMO_ROUTES
}

/// Who may use the app of `vestibule dev`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppAccess {
    /// Who is logged in; all others are sent to the login.
    User,
    /// Everybody; the app sees who is logged in.
    Optional,
}

/// The file of `vestibule dev`, in front of the app at `front`.
pub fn dev_toml(servers: &DemoServers, page: &Url, listen: SocketAddr, front: &str, access: AppAccess) -> String {
    let server = server("Vestibule dev", &page.origin().ascii_serialization(), listen);
    let access = match access {
        AppAccess::User => "user",
        AppAccess::Optional => "optional",
    };
    let routes = format!(
        r#"
[upstreams.app]
targets = ["{front}"]

[[routes]]
path = "{PANEL_PATH}/{{*rest}}"
strip = "{PANEL_PATH}"
upstream = "backend"
access = "public"

[[routes]]
path = "/{{*rest}}"
upstream = "app"
access = "{access}"

[routes.headers.set]
x-user-id = "{{claims.sub}}"
x-user-email = "{{claims.email}}"
x-user-name = "{{claims.name}}"
x-user-role = "{{claims.role}}"
"#
    );
    server + &logins(servers) + &provider_route(servers) + &routes
}

// Secrets are base64url and addresses are host and port, so no value needs escaping.

/// `[server]` and `[pages]`, with the colour of the demo's own pages.
fn server(name: &str, public_url: &str, listen: SocketAddr) -> String {
    format!(
        "[server]\nlisten = \"{listen}\"\npublic_url = \"{public_url}\"\n\n[pages]\nname = \"{name}\"\ncolor = \"#4338ca\"\n"
    )
}

fn logins(servers: &DemoServers) -> String {
    let (provider, backend) = (&servers.provider, servers.backend.origin());
    let outbox = servers.backend.outbox_url();
    let (issuer, audience) = (provider.issuer(), backend::AUDIENCE);
    let (client_id, client_secret) = (provider.client_id(), provider.client_secret().expose());
    format!(
        r#"
[session]
roles_claim = "/role"
expose_claims = ["sub", "email", "name", "role"]

[authority]
kind = "backend"
upstream = "backend"

[authority.exchange]
path = "/auth/{{provider}}"
json = {{ id_token = "{{id_token}}", deviceId = "{{device_id}}", deviceName = "{{device_name}}" }}

[authority.credentials]
path = "/auth/login"
json = {{ email = "{{email}}", password = "{{password}}", deviceId = "{{device_id}}" }}

[authority.otp]
path = "/auth/otp"
json = {{ channel = "{{channel}}", address = "{{address}}", deviceId = "{{device_id}}" }}

[authority.refresh]
path = "/auth/refresh"
json = {{ refreshToken = "{{refresh_token}}", deviceId = "{{device_id}}" }}

[authority.signout]
path = "/auth/signout"
json = {{ refreshToken = "{{refresh_token}}" }}

[authority.verify]
jwks_url = "{backend}/.well-known/jwks.json"
issuer = "{backend}"
audience = "{audience}"

[providers.demo]
issuer = "{issuer}"
client_id = "{client_id}"
client_secret = "{client_secret}"
scopes = ["openid", "email", "profile"]
label = "Demo ID"

[otp.sms]
purpose = "login"
outbox = {{ url = "{outbox}" }}

[otp.email]
purpose = "login"
from = "Vestibule <demo@example.test>"
outbox = {{ url = "{outbox}" }}

[upstreams.backend]
targets = ["{backend}"]
"#
    )
}

fn provider_route(servers: &DemoServers) -> String {
    let issuer = servers.provider.issuer();
    format!(
        r#"
[upstreams.provider]
targets = ["{issuer}"]

[[routes]]
path = "{PROVIDER_PATH}/{{*rest}}"
strip = "{PROVIDER_PATH}"
upstream = "provider"
access = "public"
"#
    )
}

const ADMIN_ROUTE: &str = r#"
[[routes]]
path = "/admin/{*rest}"
upstream = "backend"
access = { roles = ["admin"] }
"#;

const DEMO_ROUTES: &str = r#"
[[routes]]
path = "/api/{*rest}"
upstream = "backend"
access = "user"

[[routes]]
path = "/control/events"
upstream = "backend"
access = "public"

[[routes]]
path = "/control/{*rest}"
upstream = "backend"
access = "optional"

[[routes]]
path = "/{*rest}"
upstream = "backend"
access = "optional"
"#;
