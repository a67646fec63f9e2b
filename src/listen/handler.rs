//! The interface between the listener and the code that answers requests.

use std::{error::Error, net::IpAddr};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;

use crate::{head_memory::HeadGuard, scheme::Scheme};

/// Answers requests. The listener has one handler per worker and asks it once per connection for a [`Self::Peer`].
pub trait Handler: Clone + Send + Sync + 'static {
    /// The handler's own data about a connection; each request comes with a clone.
    type Peer: Clone + Send + 'static;

    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static;

    /// Called once per connection, after TLS: `address` is the client's (from the PROXY protocol header where there is
    /// one), with IPv4-mapped IPv6 addresses as IPv4; `scheme` is `Https` if the connection has TLS.
    fn peer(&self, address: IpAddr, scheme: Scheme) -> Self::Peer;

    /// Whether the handler itself is likely to wait for the body of a request for this path.
    fn awaits_body(&self, _path: &str) -> bool {
        false
    }

    /// Answers one request. `head` is to be dropped as soon as nothing of the request's head is kept.
    fn handle(
        &self,
        peer: Self::Peer,
        request: Request<Incoming>,
        head: HeadGuard,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The handler of one worker, asked for once on the worker's own thread and inside its runtime: the place for state
    /// of one core, such as its connections to the upstreams.
    #[must_use]
    fn for_worker(&self, _worker: usize) -> Self {
        self.clone()
    }
}
