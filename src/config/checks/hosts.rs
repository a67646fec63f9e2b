//! Checks of the hosts that the file names besides that of `public_url`.

use super::{
    super::{
        schema::{context::Context, tree::Place},
        sections::{RootTable, routes::RouteTable, server::ServerTable},
    },
    Checks,
};
use crate::{
    endpoint::{LoginPlace, OriginSettings, Origins},
    route::Access,
};

impl Checks<'_, '_> {
    /// Warns of a host on which no provider can end a login, where a route needs one.
    pub(super) fn hosts_without_logins(&self, cx: &mut Context<'_>) {
        let Some(public_url) = self.server.public_url.as_ref().filter(|_| self.has_providers()) else { return };
        let hosts = self.hosts();
        let origins = Origins::new(&OriginSettings { public_url, hosts: &hosts });
        for host in hosts.iter().skip(1) {
            if origins.of(host).logins() == LoginPlace::AtPublicUrl
                && self.needs_login_on(host)
                && let Some(place) = self.place_of_host(host)
            {
                cx.warn(
                    &place,
                    format!(
                        "a login at a provider never ends on `{host}`: providers redirect to no name without a dot, so the person is logged in on the host of `public_url` instead"
                    ),
                    "write a name with a dot, e.g. \"app.example.com\", or open its routes without a session",
                );
            }
        }
    }

    /// Whether a route on this host, as [`Checks::hosts`] writes it, needs a session.
    pub(super) fn needs_login_on(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').filter(|_| !host.ends_with(']')).map_or(host, |(name, _)| name);
        let is_on = |own: &String| [host, name].contains(&without_usual_port(own));
        self.routes.iter().any(|(_, route)| {
            matches!(route.access, Access::User | Access::Roles(_))
                && (route.hosts.is_empty() || route.hosts.iter().any(is_on))
        })
    }

    /// The first place in the file that names this host.
    fn place_of_host(&self, host: &str) -> Option<Place> {
        let server = self.root.section(&RootTable::SERVER);
        let of_routes = self.routes.iter().flat_map(|(section, _)| section.list(&RouteTable::HOSTS));
        let mut named = server.list(&ServerTable::HOSTS).into_iter().chain(of_routes);
        named.find(|(named, _)| without_usual_port(named) == host).map(|(_, place)| place)
    }
}

/// A host as an admitted request has it: without the ports 80 and 443.
pub(super) fn without_usual_port(host: &str) -> &str {
    host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host)
}
