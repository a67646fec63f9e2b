"""Request heads of about 31 kB that were made to cost a gateway as much processor time as possible."""

import base64
import hashlib
import json

# Octets of a head; `limits.header_bytes` is 32 KiB.
FULL = 31_000
# Octets of a path and of a target; a longer one is refused at once.
PATH, TARGET = 16_000, 28_000
SESSION_KEY = bytes([7]) * 32
KEY_ID = hashlib.sha256(SESSION_KEY).hexdigest()[:8]
CREDENTIALS = json.dumps({"email": "mina@example.test", "password": "x"})
NAVIGATION = ("Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")


class Heads:
    """The heads for one gateway."""

    def __init__(self, port, cookies, token):
        self.host, self.cookies, self.token = f"127.0.0.1:{port}", cookies, token

    def http1(self, path="/x", *lines, method="GET", session=True, host=None, body=""):
        lines = [f"Host: {host or self.host}", *lines]
        if session and not any(line.startswith("Cookie:") for line in lines):
            lines.append(f"Cookie: {self.cookies}")
        if body:
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        return ("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", body])).encode(), None

    def cookie(self, piece, before="", path="/x", **more):
        """The session's cookies after as many copies of `piece` (text, or a function of a number) as fit."""
        pieces = copies(piece, FULL - 200 - len(self.cookies) - len(before))
        return self.http1(path, f"Cookie: {before}{'; '.join([*pieces, self.cookies])}", **more)

    def anonymous(self, piece, path):
        """A navigation with as many copies of `piece` as fit, without a session."""
        return self.http1(
            path,
            f"Cookie: {'; '.join(copies(piece, FULL - 300))}",
            *NAVIGATION,
        )

    def http2(self, value, count):
        """As many references to one line of `Cookie` in the header table as fit."""
        fixed = (
            b"\x82\x86" + b"\x04" + text_of("/x") + b"\x01" + text_of(self.host) + b"\x0f\x11" + text_of(self.cookies)
        )
        return fixed + b"\x60" + text_of(value) + b"\xbe" * (count - 1), fixed + b"\xbe" * count


def cookies(h):
    """Copies and parts of our cookies, beside those of a session."""
    yield "a small head", h.http1()
    yield "one cookie of another name", h.http1("/x", f"Cookie: {h.cookies}; a={'b' * 29000}")
    yield "`a=b;`", h.cookie("a=b")
    yield "`;` alone", h.http1("/x", f"Cookie: {h.cookies}{filled(';', 29000)}")
    yield "sb_at=x", h.cookie("sb_at=x")
    yield "sb_at= and sb_rt=", h.cookie("sb_at=; sb_rt=")
    yield (
        "sb_at=KEYID.60. and 59 parts",
        h.cookie(f"sb_at={KEY_ID}.60.", "".join((f"sb_at.{n}=; " for n in range(1, 60)))),
    )
    yield (
        "4 copies of 5 parts, both cookies",
        h.cookie(
            "a=b",
            "".join(
                (
                    f"{name}={KEY_ID}.5.{copy}; " + "".join((f"{name}.{n}={copy}{'A' * 650}; " for n in range(1, 5)))
                    for name in ("sb_at", "sb_rt")
                    for copy in range(4)
                )
            ),
        ),
    )
    yield (
        "4 copies of 5 short parts, both cookies",
        h.cookie(
            "a=b",
            "".join(
                (
                    f"{name}={KEY_ID}.5.{copy}; " + "".join((f"{name}.{n}={copy}AAAAAAAAAAAAA; " for n in range(1, 5)))
                    for name in ("sb_at", "sb_rt")
                    for copy in range(4)
                )
            ),
        ),
    )
    for length in (54, 239, 403, 1003):
        yield (
            f"sb_at of {length} octets, known key",
            h.cookie(lambda n, length=length: f"sb_at={sealed_form(length)(n)}"),
        )
    yield "sb_rt of 239 octets, known key", h.cookie(lambda n: f"sb_rt={sealed_form(239)(n)}")
    yield "sb_at of 54 octets, unknown key", h.cookie(lambda n: f"sb_at=00000000.1.{n:06}" + "A" * 37)
    yield "sb_at, not base64", h.cookie(lambda n: f"sb_at={KEY_ID}.1.{n:06}" + "A" * 300 + "!")
    yield "sb_at like a JWT", h.cookie(lambda n: f"sb_at={base64.urlsafe_b64encode(b'{}').decode()}.{n}.x")
    yield "sb_at, a forged JWT", h.cookie(lambda n: f"sb_at={forged(h.token, n)}")
    yield "sb_tx of 54 octets, login", h.anonymous(lambda n: f"sb_tx{n}={sealed_form(54)(n)}", "/auth/login/github")
    yield "sb_tx=x, login", h.anonymous(lambda n: f"sb_tx{n}=x", "/auth/login/github")
    yield (
        "sb_tx of 83 octets, one id, callback",
        h.anonymous(lambda n: f"sb_txaaaaaaaa={sealed_form(83)(n)}", "/auth/callback/github?state=aaaaaaaa.b&code=c"),
    )
    yield (
        "sb_tx of 54 octets, one id, callback",
        h.anonymous(lambda n: f"sb_txaaaaaaaa={sealed_form(54)(n)}", "/auth/callback/github?state=aaaaaaaa.b&code=c"),
    )
    yield (
        "sb_tx of 83 octets, login",
        h.anonymous(lambda n: f"sb_tx{n}={sealed_form(83)(n)}", "/auth/login/github"),
    )
    yield "sb_otp_sms of 54 octets", h.cookie(lambda n: f"sb_otp_sms={sealed_form(54)(n)}")
    yield "sb_did=x", h.cookie("sb_did=x")
    yield (
        "sb_at=x and path of U+FDFA",
        h.http1(
            filled("%EF%B7%BA", PATH, "/"),
            "Cookie: " + filled("sb_at=x; ", FULL - 1000 - PATH - len(h.cookies)) + h.cookies,
            method="POST",
        ),
    )
    yield (
        "sb_at=x and path of /..%20 with override",
        h.http1(
            filled("/A/..%20", PATH, "/open/a/%20/;/..."),
            "Cookie: " + filled("sb_at=x; ", FULL - 1000 - PATH - len(h.cookies)) + h.cookies,
            "X-HTTP-Method-Override: PUT",
            method="POST",
        ),
    )


def paths(h):
    """Paths that are dear to canonicalise, to fold or to read in all ways."""
    yield "path of capitals", h.http1(filled("A", PATH, "/"))
    yield "path of /A", h.http1(filled("/A", PATH, "/a"))
    yield "path of /", h.http1(filled("/", PATH, "/a"))
    yield "path of .", h.http1(filled(".", PATH, "/a"))
    yield "path of ;", h.http1(filled(";", PATH, "/a"))
    yield "path of /;", h.http1(filled("/;", PATH, "/a"))
    yield "path of /a/..", h.http1(filled("/a/..", PATH, "/a"))
    yield "path of |", h.http1(filled("|", PATH, "/a"))
    yield "path with %41", h.http1(filled("%41", PATH, "/a"))
    yield "path of %2541", h.http1(filled("%2541", PATH, "/a"))
    yield "path of /..%20", h.http1(filled("/A/..%20", PATH, "/a/%20/;/..."))
    yield "path of full-width capitals", h.http1(filled("%EF%BC%A1", PATH, "/"))
    yield "path of full-width slashes", h.http1(filled("%EF%BC%8F", PATH, "/a"))
    yield "path of a/full-width slash", h.http1(filled("a%EF%BC%8F/;", PATH, "/%20/.../..%20/"))
    yield "path of escaped slashes", h.http1(filled("a%2F", PATH, "/kept/A/%EF%BC%8F/;/", "a"), method="POST")
    for name, unit in (
        ("U+FDFA (18 letters)", "%EF%B7%BA"),
        ("U+1F110 (full form of 3)", "%F0%9F%84%90"),
        ("U+0390 (3 capitals)", "%CE%90"),
        ("U+1FB7", "%E1%BE%B7"),
        ("marks in worst order", "%CC%A7%CC%81%CC%96"),
        ("marks of falling class", "%CD%85%CC%80%CC%B1%CC%B4"),
        ("Hangul letters", "%E1%84%89%E1%85%B5%E1%86%A8"),
        ("Cyrillic capitals", "%D0%90"),
    ):
        yield f"path of {name}", h.http1(filled(unit, PATH, "/"), method="POST")
    yield "POST, path of own call", h.http1(filled("now.", PATH, "/Sign-In/"), method="POST")
    yield "POST, override", h.http1(filled("%EF%BC%A1", PATH, "/open/"), "X-HTTP-Method-Override: PUT", method="POST")


def targets(h):
    """Queries, and addresses to return to."""
    yield "query", h.http1(filled("&a=%25", TARGET, "/x?a"))
    yield "query of an own endpoint", h.http1(filled("&a=%25", TARGET, "/auth/login?a"), session=False)
    yield (
        "different names in its query",
        h.http1("/auth/login?" + "&".join((f"{n}=" for n in range(4500))), session=False),
    )
    yield (
        "login redirect",
        h.http1(filled("%25", PATH, "/x/") + filled("%22", TARGET - PATH, "?"), *NAVIGATION, session=False),
    )
    yield "login redirect of 8 kB", h.http1(filled("'|^", 8000, "/x/"), *NAVIGATION, session=False)
    yield (
        "return_to",
        h.http1("/auth/login?return_to=" + filled("%2525", 8000, "/"), "Accept: text/html", session=False),
    )
    yield (
        "return_to of steps",
        h.http1("/auth/login?return_to=" + filled("/a;%252e", 8000, "/"), "Accept: text/html", session=False),
    )
    yield (
        "return_to of 28 kB",
        h.http1("/auth/login?return_to=" + filled("%ED%95%9C", TARGET - 30, "/"), "Accept: text/html", session=False),
    )
    yield (
        "return_to of an absolute URL",
        h.http1("/auth/login?return_to=https://" + filled("a.", 8000), "Accept: text/html", session=False),
    )


def headers(h):
    """Long lists and values in every header that is read."""
    yield "90 headers", h.http1("/x", *(f"x-{n:03}: {'a' * 320}" for n in range(90)))
    yield "90 Sec- headers", h.http1("/x", *(f"Sec-{n:03}: {'a' * 320}" for n in range(90)))
    yield "90 reserved headers", h.http1("/x", *(f"x_{n:03}: {'a' * 320}" for n in range(90)))
    yield "90 lines of one header", h.http1("/x", *(f"Accept: {'a' * 320}" for _ in range(90)))
    yield "one header name", h.http1("/x", f"{filled('x-_a', 29000)}: a")
    yield "Connection names 90", h.http1("/x", f"Connection: {','.join((f'x-{n:03}' + 'a' * 300 for n in range(90)))}")
    yield (
        "Trailer names 90",
        h.http1("/x", f"Trailer: {','.join((f'x-{n:03}' + 'a' * 300 for n in range(90)))}", "TE: trailers"),
    )
    yield "TE", h.http1("/x", filled("trailers;q=0,", 29000, "TE: "), "Connection: te")
    yield "Via", h.http1("/x", filled("1 a,", 29000, "Via: "))
    yield "CDN-Loop", h.http1("/x", filled("a,", 29000, "CDN-Loop: "))
    yield "Expect", h.http1("/x", filled("100-continue,", 29000, "Expect: "))
    yield (
        "Accept-Language of 5,000",
        h.http1("/auth/login", filled("a;q=0,", 30000, "Accept-Language: "), session=False),
    )
    yield "Accept", h.http1("/auth/nothing", filled("a/b;q=0,", 29000, "Accept: "))
    yield "X-Forwarded-For, trusted", h.http1("/x", filled("10.1.1.1,", 29000, "X-Forwarded-For: ", "10.1.1.1"))
    yield "X-Forwarded-For, IPv6", h.http1("/x", filled("::ffff:10.1.1.1,", 29000, "X-Forwarded-For: ", "10.1.1.1"))
    yield "Forwarded", h.http1("/x", filled("for=10.1.1.1;,", 29000, "Forwarded: ", "for=10.1.1.1"))
    yield (
        "Forwarded of pairs",
        h.http1(
            "/x",
            filled(";a=b", 29000, "Forwarded: a=b"),
            "X-Forwarded-Host: app.example",
            host="listed.example",
            session=False,
        ),
    )
    yield (
        "Forwarded of hosts",
        h.http1(
            "/x",
            filled("host=A:1,", 29000, "Forwarded: "),
            "X-Forwarded-Host: a:1",
            host="listed.example",
            session=False,
        ),
    )
    yield (
        "traceparent",
        h.http1("/x", filled("-0", 29000, "traceparent: 01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")),
    )
    yield "X-Request-Id", h.http1("/x", filled("a", 29000, "X-Request-Id: "))
    yield "Authorization", h.http1("/x", filled("Bearer ", 29000, "Authorization: "))
    yield "a login", h.http1("/auth/login", method="POST", session=False, body=CREDENTIALS)
    yield (
        "User-Agent at a login",
        h.http1("/auth/login", filled("Edge", 30000, "User-Agent: "), method="POST", session=False, body=CREDENTIALS),
    )
    yield "Origin", h.http1("/open/x", filled("https://a.example,", 29000, "Origin: "), method="POST")
    yield "foreign origin", h.http1("/x", filled("a.", 29000, "Origin: https://"), method="POST")
    yield (
        "preflight",
        h.http1(
            "/open/x",
            "Origin: https://99.example",
            "Access-Control-Request-Method: PUT",
            filled("x,", 29000, "Access-Control-Request-Headers: "),
            method="OPTIONS",
        ),
    )
    yield "method", h.http1("/x", method="A" * 29000)
    yield "host", h.http1("/x", host="a." * 14000, session=False)


def http2(h):
    """Few octets that stand for many, by way of the header table."""
    for value, count in (
        ("sb_at=x", 600),
        (f"sb_at={KEY_ID}.60.", 500),
        (f"sb_rt={KEY_ID}.1.{'A' * 260}", 90),
        ("a=b; " * 40, 120),
    ):
        yield f"HTTP/2: {count} references to {value[:20]}", h.http2(value, count)
    # Eight times the code of `a` are five octets.
    codes = text_of(int("00011" * 8, 2).to_bytes(5, "big") * 3_500, 128)
    coded = h.http2("a=b", 0)[1] + b"\x0f\x02" + codes
    yield "HTTP/2: Huffman codes", (coded, coded)


def last(h):
    """What ends the session."""
    yield (
        "sb_tx of 83 octets, logout",
        h.cookie(lambda n: f"sb_tx{n}={sealed_form(83)(n)}", path="/auth/logout", method="POST"),
    )


def copies(piece, room):
    made = piece if callable(piece) else lambda _: piece
    pieces = []
    while room > len(made(len(pieces))) + 2:
        pieces.append(made(len(pieces)))
        room -= len(pieces[-1]) + 2
    return pieces


def filled(unit, room, before="", after=""):
    return before + unit * ((room - len(before) - len(after)) // len(unit)) + after


def sealed_form(length):
    """Values in the form of sealed ones, each another one. One of 239 octets may be a session, one of 83 an attempt;
    less 11 octets, the length must not be one more than a multiple of four."""
    return lambda number: f"{KEY_ID}.1.{number:06}" + "A" * (length - 17)


def forged(token, number):
    head, payload, signature = token.split(".")
    return f"{head}.{payload}.{number:04}{signature[4:]}"


def text_of(value, huffman=0):
    """A string literal of HPACK (RFC 7541 section 5.2); `huffman` is 128 for octets that are Huffman codes."""
    value = value if huffman else value.encode()
    length, octets = len(value), b""
    if length < 127:
        octets = bytes([huffman + length])
    else:
        octets, length = bytes([huffman + 127]), length - 127
        while length >= 128:
            octets, length = octets + bytes([length % 128 + 128]), length // 128
        octets += bytes([length])
    return octets + value
