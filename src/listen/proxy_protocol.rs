//! The PROXY protocol, versions 1 and 2: the client's address as reported by a trusted load balancer.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use ppp::{v1, v2};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

/// The longest header of version 1, line end included (specification, section 2.1).
const MAX_V1: usize = 107;
/// Bytes of the fixed part of a version 2 header: signature, version and command, family, length.
const V2_FIXED: usize = 16;
/// Most bytes of addresses and TLVs of version 2. Load balancers send fewer; the length field allows 64 KiB.
const MAX_V2_PAYLOAD: usize = 4096;

/// The proxies whose header is trusted, and its deadline.
#[derive(Clone, Debug)]
pub(super) struct ProxyProtocol {
    pub(super) trusted: Vec<IpNet>,
    /// Time for the whole header.
    pub(super) deadline: Duration,
}

/// Why a trusted proxy's connection is closed.
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

impl ProxyProtocol {
    /// The client's address: from the header if `peer` is trusted, else the address of `peer`, with nothing read.
    pub(super) async fn client_address(&self, stream: &mut TcpStream, peer: SocketAddr) -> Result<IpAddr, ProxyError> {
        let peer = peer.ip().to_canonical();
        if !self.trusted.iter().any(|net| net.contains(&peer)) {
            return Ok(peer);
        }
        let reported = timeout(self.deadline, read_header(stream)).await.map_err(|_| ProxyError::TooSlow)??;
        Ok(reported.unwrap_or(peer))
    }
}

/// Reads exactly the header, so that the bytes after it (of a TLS handshake, for example) stay in the socket.
/// `None`: the connection is the proxy's own (a health check), or the proxy does not know the client.
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
    if payload > MAX_V2_PAYLOAD {
        return Err(ProxyError::Malformed);
    }
    header.resize(V2_FIXED + payload, 0);
    stream.read_exact(&mut header[V2_FIXED..]).await?;
    let header = v2::Header::try_from(header.as_slice()).map_err(|_| ProxyError::Malformed)?;
    Ok(match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(addresses)) => Some(addresses.source_address.into()),
        (v2::Command::Proxy, v2::Addresses::IPv6(addresses)) => Some(addresses.source_address.into()),
        _ => None,
    })
}

async fn read_v1(stream: &mut TcpStream, mut header: Vec<u8>) -> Result<Option<IpAddr>, ProxyError> {
    let mut ahead = [0; MAX_V1];
    while header.last() != Some(&b'\n') {
        let room = MAX_V1 - header.len();
        if room == 0 {
            return Err(ProxyError::Malformed);
        }
        let seen = stream.peek(&mut ahead[..room]).await?;
        if seen == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        // All bytes up to the end of the line belong to the header. Taking them now makes the next peek wait for more.
        let in_header = memchr::memchr(b'\n', &ahead[..seen]).map_or(seen, |end| end + 1);
        let start = header.len();
        header.resize(start + in_header, 0);
        stream.read_exact(&mut header[start..]).await?;
    }
    let header = v1::Header::try_from(header.as_slice()).map_err(|_| ProxyError::Malformed)?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(addresses) => Some(addresses.source_address.into()),
        v1::Addresses::Tcp6(addresses) => Some(addresses.source_address.into()),
        v1::Addresses::Unknown => None,
    })
}
