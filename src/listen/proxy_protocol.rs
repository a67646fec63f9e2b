//! The PROXY protocol, versions 1 and 2: the visitor's address as a trusted load balancer tells it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use ppp::{v1, v2};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

/// The longest header of version 1, line end included (specification, section 2.1).
const LONGEST_V1: usize = 107;
/// What every header of version 2 begins with: signature, version, family, length.
const V2_FIXED: usize = 16;
/// More address and TLV bytes than any balancer sends in version 2; the length field would allow 64 KiB.
const LONGEST_V2_PAYLOAD: usize = 4096;

/// Who is believed, and for how long they may take.
#[derive(Clone, Debug)]
pub(super) struct Proxies {
    pub(super) trusted: Vec<IpNet>,
    pub(super) deadline: Duration,
}

/// Why a trusted proxy's connection is dropped.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    #[error("the connection ended inside the PROXY protocol header")]
    Io(#[from] io::Error),
    #[error("the connection does not begin with a PROXY protocol header")]
    Absent,
    #[error("the PROXY protocol header is malformed")]
    Malformed,
    #[error("the PROXY protocol header took too long")]
    TooSlow,
}

impl Proxies {
    /// The visitor's address: from the header where `peer` is trusted, else `peer`'s own, with nothing read.
    pub(super) async fn visitor(&self, stream: &mut TcpStream, peer: SocketAddr) -> Result<IpAddr, ProxyError> {
        let peer = peer.ip().to_canonical();
        if !self.trusted.iter().any(|net| net.contains(&peer)) {
            return Ok(peer);
        }
        let told = timeout(self.deadline, read_header(stream)).await.map_err(|_| ProxyError::TooSlow)??;
        Ok(told.unwrap_or(peer))
    }
}

/// Reads exactly the header, so that what follows it (a TLS handshake perhaps) stays in the socket.
/// `None`: the proxy speaks for itself (a health check) or does not know.
async fn read_header(stream: &mut TcpStream) -> Result<Option<IpAddr>, ProxyError> {
    // The signature of version 2 is twelve bytes, and the shortest header of version 1 is fifteen.
    let mut header = vec![0; v2::PROTOCOL_PREFIX.len()];
    stream.read_exact(&mut header).await?;
    if header == v2::PROTOCOL_PREFIX {
        read_v2(stream, header).await
    } else if header.starts_with(b"PROXY ") {
        read_v1(stream, header).await
    } else {
        Err(ProxyError::Absent)
    }
}

async fn read_v2(stream: &mut TcpStream, mut header: Vec<u8>) -> Result<Option<IpAddr>, ProxyError> {
    header.resize(V2_FIXED, 0);
    stream.read_exact(&mut header[v2::PROTOCOL_PREFIX.len()..]).await?;
    let payload = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if payload > LONGEST_V2_PAYLOAD {
        return Err(ProxyError::Malformed);
    }
    header.resize(V2_FIXED + payload, 0);
    stream.read_exact(&mut header[V2_FIXED..]).await?;
    let header = v2::Header::try_from(header.as_slice()).map_err(|_| ProxyError::Malformed)?;
    Ok(match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(told)) => Some(told.source_address.into()),
        (v2::Command::Proxy, v2::Addresses::IPv6(told)) => Some(told.source_address.into()),
        _ => None,
    })
}

async fn read_v1(stream: &mut TcpStream, mut header: Vec<u8>) -> Result<Option<IpAddr>, ProxyError> {
    let mut ahead = [0; LONGEST_V1];
    while header.last() != Some(&b'\n') {
        let room = LONGEST_V1 - header.len();
        if room == 0 {
            return Err(ProxyError::Malformed);
        }
        let seen = stream.peek(&mut ahead[..room]).await?;
        if seen == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        // Everything before the line's end is the header's, so it can be taken now: the next peek waits for more.
        let ours = memchr::memchr(b'\n', &ahead[..seen]).map_or(seen, |end| end + 1);
        let start = header.len();
        header.resize(start + ours, 0);
        stream.read_exact(&mut header[start..]).await?;
    }
    let header = v1::Header::try_from(header.as_slice()).map_err(|_| ProxyError::Malformed)?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(told) => Some(told.source_address.into()),
        v1::Addresses::Tcp6(told) => Some(told.source_address.into()),
        v1::Addresses::Unknown => None,
    })
}
