//! Tells systemd the state of the service (`sd_notify(3)`): `Type=notify-reload` in the unit.

use std::os::{
    linux::net::SocketAddrExt as _,
    unix::net::{SocketAddr, UnixDatagram},
};

use rustix::time::{ClockId, clock_gettime};

use crate::config::Environment;

/// The socket of the service manager.
pub(super) struct Systemd(Option<SocketAddr>);

/// A state that systemd is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ServiceState {
    /// Requests are served; also after a reload.
    Ready,
    /// The configuration is being read again.
    Reloading,
    /// The shutdown has begun.
    Stopping,
}

impl Systemd {
    /// Of `NOTIFY_SOCKET`; without it no service manager is told anything.
    pub(super) fn of(environment: &Environment) -> Self {
        let name = environment.get("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let address = name.and_then(|name| match name.strip_prefix('@') {
            Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name).ok(),
            None => SocketAddr::from_pathname(name).ok(),
        });
        Self(address)
    }

    /// Tells a state. An error is logged: the service works without.
    pub(super) fn tell(&self, state: ServiceState) {
        let Some(address) = &self.0 else { return };
        let message = match state {
            ServiceState::Ready => "READY=1".to_owned(),
            ServiceState::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_micros()),
            ServiceState::Stopping => "STOPPING=1".to_owned(),
        };
        let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(message.as_bytes(), address));
        if let Err(error) = sent {
            tracing::warn!(%error, ?state, "systemd cannot be told the state of the service");
        }
    }
}

/// The time that systemd compares with the moment of its reload signal.
fn monotonic_micros() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(socket: &UnixDatagram, name: &str, state: ServiceState) -> String {
        let environment = Environment::from([("NOTIFY_SOCKET".to_owned(), name.to_owned())]);
        Systemd::of(&environment).tell(state);
        let mut message = [0; 100];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    #[test]
    fn states_are_sent_to_a_path_and_to_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        assert_eq!(told(&socket, path.to_str().unwrap(), ServiceState::Ready), "READY=1");
        assert_eq!(told(&socket, path.to_str().unwrap(), ServiceState::Stopping), "STOPPING=1");
        let name = format!("vestibule-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let message = told(&socket, &format!("@{name}"), ServiceState::Reloading);
        let micros = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        let age = monotonic_micros() - micros.parse::<i64>().unwrap();
        assert!((0..60_000_000).contains(&age), "{message}");
    }

    #[test]
    fn without_a_socket_nothing_is_sent() {
        Systemd::of(&Environment::new()).tell(ServiceState::Ready);
        Systemd::of(&Environment::from([("NOTIFY_SOCKET".to_owned(), String::new())])).tell(ServiceState::Ready);
    }
}
