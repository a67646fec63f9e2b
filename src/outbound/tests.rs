//! Tests of calls to other servers.

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;
use crate::scripted::{Reply, Server, dead_address};

/// Long enough for a request to arrive, on a busy machine too.
const SHORT: Duration = Duration::from_secs(1);

fn outbound() -> Outbound {
    outbound_to(Network::Internal { socket: None }, false)
}

fn outbound_to(network: Network<'_>, repeats_gets: bool) -> Outbound {
    let connect_timeout = Duration::from_secs(5);
    Outbound::new(Settings { peer: "peer", connect_timeout, network, repeats_gets, authorities: None }).unwrap()
}

async fn get(outbound: &Outbound, url: Url, deadline: Duration) -> Result<HttpAnswer, NoAnswer> {
    outbound.send(outbound.request(Method::GET, url), CallLimits { deadline, answer: 100 }).await
}

#[tokio::test]
async fn an_answer_larger_than_its_limit_is_an_error() {
    let bodies = Mutex::new(vec![101, 100]);
    let server =
        Server::start(move |_| Reply::text(200, "text/plain", vec![b'x'; bodies.lock().unwrap().pop().unwrap()])).await;
    let deadline = Duration::from_secs(5);
    assert_eq!(get(&outbound(), server.url("/"), deadline).await.unwrap().body.len(), 100);
    let larger = get(&outbound(), server.url("/"), deadline).await;
    assert!(matches!(larger, Err(NoAnswer::TooLarge { peer: "peer", limit: 100 })));
}

#[tokio::test]
async fn a_call_without_connection_is_unsent_and_one_without_answer_unanswered() {
    let dead = Url::parse(&format!("http://{}/", dead_address().await)).unwrap();
    assert!(matches!(get(&outbound(), dead, Duration::from_secs(5)).await, Err(NoAnswer::Unsent { .. })));
    for reply in [Reply::Hang, Reply::Cut, Reply::Reset] {
        let server = Server::start(move |_| reply.clone()).await;
        let answer = get(&outbound(), server.url("/"), SHORT).await;
        assert!(matches!(answer, Err(NoAnswer::Unanswered { .. })), "{:?}", answer.err());
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_call_over_the_limit_is_unsent_at_its_deadline_and_calls_to_other_peers_are_not_delayed() {
    let server = Server::start(|_| Reply::Hang).await;
    let outbound = Outbound::with_stack("peer", false, true, outbound().clients, 1);
    let (first, url) = (outbound.clone(), server.url("/"));
    let first = tokio::spawn(async move { get(&first, url, Duration::from_secs(60)).await });
    while server.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let waiting = get(&outbound, server.url("/"), SHORT / 20).await;
    assert!(matches!(waiting, Err(NoAnswer::Unsent { .. })), "{:?}", waiting.err());
    let other = get(&outbound.for_another_peer(), server.url("/"), SHORT).await;
    assert!(matches!(other, Err(NoAnswer::Unanswered { .. })), "{:?}", other.err());
    assert_eq!(server.seen().len(), 2);
    first.abort();
}

/// A server with this certificate, which answers every request.
async fn tls_server(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> Url {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let seen = Mutex::new(Vec::new());
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(socket).await {
                let good = |_: &crate::scripted::Seen| Reply::json(200, &json!({}));
                let _ = crate::scripted::serve(&mut stream, &good, &seen).await;
            }
        }
    });
    Url::parse(&format!("https://localhost:{port}/")).unwrap()
}

#[tokio::test]
async fn a_certificate_of_a_given_authority_is_accepted_and_another_fault_is_told_in_words() {
    let params = || rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let mut of_authority = params();
    of_authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    of_authority.distinguished_name.push(rcgen::DnType::CommonName, "Corp");
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority = of_authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(of_authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let with = |authority: Option<&rcgen::Certificate>| {
        let authorities: Option<Vec<_>> = authority.map(|authority| vec![authority.der().clone()]);
        let (network, connect_timeout) = (Network::Internal { socket: None }, Duration::from_secs(5));
        let authorities = authorities.as_deref();
        Outbound::new(Settings { peer: "peer", connect_timeout, network, repeats_gets: false, authorities }).unwrap()
    };
    let told = async |outbound: Outbound, url: &Url| match get(&outbound, url.clone(), Duration::from_secs(5)).await {
        Ok(answer) => answer.status.to_string(),
        Err(error) => format!("{} {}", has_bad_certificate(&error), chain(&error)),
    };
    let good = tls_server(&params().signed_by(&key, &issuer).unwrap(), &key).await;
    assert_eq!(told(with(Some(&authority)), &good).await, "200 OK");
    let unknown = told(with(None), &good).await;
    assert!(unknown.starts_with("true ") && unknown.contains("an authority that is not known here"), "{unknown}");

    let mut expired = params();
    expired.not_before = rcgen::date_time_ymd(1999, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let mut elsewhere = rcgen::CertificateParams::new(vec!["else.example".to_owned()]).unwrap();
    elsewhere.distinguished_name.push(rcgen::DnType::CommonName, "else");
    for (params, expected) in [(expired, "it has expired"), (elsewhere, "it is for other names than the address")] {
        let url = tls_server(&params.signed_by(&key, &issuer).unwrap(), &key).await;
        let told = told(with(Some(&authority)), &url).await;
        assert!(told.starts_with("true ") && told.contains(expected), "{told}");
    }
    // `openssl req -x509` makes such a certificate.
    let mut as_authority = params();
    as_authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let own = as_authority.self_signed(&key).unwrap();
    let told = told(with(Some(&own)), &tls_server(&own, &key).await).await;
    assert!(told.contains("(`CA:TRUE`) that the server uses as its own"), "{told}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let server = Server::start(|_| Reply::json(302, &json!({})).with("location", "/elsewhere")).await;
    let answer = get(&outbound(), server.url("/"), Duration::from_secs(5)).await.unwrap();
    assert_eq!((answer.status, server.seen().len()), (StatusCode::FOUND, 1));
}

/// Answers requests with `head` and no body, that many on each connection; sends the number of each connection that
/// was closed.
async fn kept_alive(listener: TcpListener, head: String, per_connection: usize, closed: mpsc::Sender<usize>) {
    for connection in 0.. {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        for _ in 0..per_connection {
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                if stream.read_line(&mut line).await.unwrap() == 0 {
                    break;
                }
            }
            stream.write_all(format!("{head}content-length: 0\r\n\r\n").as_bytes()).await.unwrap();
        }
        drop(stream);
        closed.send(connection).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_whose_idle_connection_was_closed_is_sent_over_another() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let (closed, mut is_closed) = mpsc::channel(1);
    let server = tokio::spawn(kept_alive(listener, "HTTP/1.1 204 X\r\n".into(), 1, closed));
    let outbound = outbound();
    let limits = CallLimits { deadline: Duration::from_secs(5), answer: 100 };
    for call in 0..20 {
        // Refreshes and sign-outs are POSTs, which are sent twice in no case.
        let answer = outbound.send(outbound.request(Method::POST, url.clone()), limits).await;
        assert_eq!(answer.unwrap().status, 204, "call {call}");
        assert_eq!(is_closed.recv().await, Some(call));
        // The end of the connection arrives before this one does.
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(other.local_addr().unwrap()), other.accept());
        drop((near, far));
    }
    server.abort();
}

#[tokio::test]
async fn an_answer_may_have_a_thousand_headers_and_long_ones() {
    let many = (0..1000).fold("HTTP/1.1 200 OK\r\n".to_owned(), |head, n| format!("{head}x-{n}: 1\r\n"));
    let long = format!("HTTP/1.1 200 {}\r\nx-long: {}\r\n", "r".repeat(10_000), "v".repeat(300_000));
    for head in [many, long] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let (closed, _is_closed) = mpsc::channel(1);
        let server = tokio::spawn(kept_alive(listener, head, 1, closed));
        let answer = get(&outbound(), url, Duration::from_secs(5)).await;
        assert_eq!(answer.unwrap().status, 200);
        server.abort();
    }
}

#[test]
fn the_client_and_its_connections_are_made_anew_every_minute_however_busy_they_are() {
    let clients = outbound().clients;
    let begun = clients.newest.lock().unwrap().1;
    for (seconds, made) in [(0, 0), (59, 0), (60, 60), (61, 60), (119, 60), (500, 500)] {
        clients.current(begun + Duration::from_secs(seconds));
        let newest = clients.newest.lock().unwrap().1;
        assert_eq!(newest, begun + Duration::from_secs(made), "after {seconds} s");
    }
}

#[test]
fn retry_after_is_read_in_both_forms_and_at_most_ten_years() {
    let now = Timestamp::from_secs(784_111_747);
    for (value, seconds) in [
        ("120", Some(120)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("86400", Some(86_400)),
        ("Mon, 07 Nov 1994 08:49:07 GMT", Some(86_400)),
        ("99999999999", Some(315_360_000)),
        ("99999999999999999999999", Some(315_360_000)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(315_360_000)),
        ("", None),
        ("+5", None),
        ("-1", None),
        ("soon", None),
    ] {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
        assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{value}");
    }
}

/// A server whose connections answer so many requests each, with this line in their heads, and end at the next without
/// an answer. Returns its address and, for each connection, the requests that it read.
async fn short_lived(answered: usize, line: &'static str) -> (Url, Arc<Mutex<Vec<usize>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let read = Arc::new(Mutex::new(Vec::new()));
    let counted = Arc::clone(&read);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (counted, index) = (Arc::clone(&counted), counted.lock().unwrap().len());
            counted.lock().unwrap().push(0);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                for number in 1.. {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if stream.read_line(&mut head).await.unwrap() == 0 {
                            return;
                        }
                    }
                    counted.lock().unwrap()[index] = number;
                    if number > answered {
                        return;
                    }
                    let answer = format!("HTTP/1.1 200 OK\r\n{line}content-length: 0\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (url, read)
}

#[tokio::test]
async fn a_get_whose_used_connection_ends_without_an_answer_is_sent_once_more_on_a_new_one() {
    let deadline = Duration::from_secs(60);
    let (url, read) = short_lived(1, "").await;
    let outbound = outbound_to(Network::Internet, true);
    // A connection is used again as soon as the client has put it back.
    while !read.lock().unwrap().contains(&2) {
        assert_eq!(get(&outbound, url.clone(), deadline).await.unwrap().status, StatusCode::OK);
    }
    let (never, read) = short_lived(0, "").await;
    assert!(matches!(get(&outbound, never, deadline).await, Err(NoAnswer::Unanswered { .. })));
    assert_eq!(*read.lock().unwrap(), [1, 1], "it is sent twice at most");
}

#[tokio::test]
async fn a_post_to_the_internet_never_meets_a_connection_that_the_server_is_closing() {
    let deadline = Duration::from_secs(60);
    // Each connection answers one request, and ends at its second without an answer.
    let (url, read) = short_lived(1, "").await;
    let outbound = outbound_to(Network::Internet, true);
    for _ in 0..20 {
        assert_eq!(get(&outbound, url.clone(), deadline).await.unwrap().status, StatusCode::OK);
        let exchange = outbound.request(Method::POST, url.clone()).body("code=1");
        let answer = outbound.send(exchange, CallLimits { deadline, answer: 100 }).await;
        assert_eq!(answer.unwrap().status, StatusCode::OK);
    }
    assert!(read.lock().unwrap().len() >= 20, "one connection for each POST at least");
}

#[tokio::test]
async fn a_post_and_a_get_that_may_act_are_sent_once() {
    let deadline = Duration::from_secs(60);
    for (repeats_gets, method) in [(true, Method::POST), (false, Method::GET)] {
        let (url, read) = short_lived(0, "").await;
        let outbound = outbound_to(Network::Internet, repeats_gets);
        let request = outbound.request(method, url);
        let answer = outbound.send(request, CallLimits { deadline, answer: 100 }).await;
        assert!(matches!(answer, Err(NoAnswer::Unanswered { .. })), "{:?}", answer.err());
        assert_eq!(*read.lock().unwrap(), [1]);
    }
}

#[tokio::test]
async fn a_peer_that_closes_unused_connections_sooner_than_we_do_gets_a_new_one_for_each_call() {
    let internal = Network::Internal { socket: None };
    for (network, line, is_reused) in [
        (internal, "keep-alive: timeout=1\r\n", false),
        (internal, "keep-alive: max=9\r\nkeep-alive: timeout=1\r\n", false),
        (internal, "keep-alive: timeout=2\r\n", true),
        (Network::Internet, "keep-alive: timeout=4\r\n", false),
        (Network::Internet, "keep-alive: timeout=5\r\n", true),
        (Network::Internet, "", true),
    ] {
        let (url, read) = short_lived(usize::MAX, line).await;
        let outbound = outbound_to(network, matches!(network, Network::Internet));
        for calls in 1..=100 {
            get(&outbound, url.clone(), Duration::from_secs(60)).await.unwrap();
            let requests = read.lock().unwrap().clone();
            if !is_reused {
                assert_eq!(requests, vec![1; calls], "{line}");
            } else if requests.iter().any(|requests| *requests > 1) {
                break;
            }
        }
        assert_eq!(read.lock().unwrap().iter().any(|requests| *requests > 1), is_reused, "{network:?} {line}");
    }
}
