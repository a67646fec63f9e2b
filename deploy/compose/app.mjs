// A small app with logins of its own and one made-up person, for compose.yaml. It knows nothing of cookies: it issues tokens, and
// answers the requests that carry one.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const PERSON = { email: 'mina@example.test', name: '김미나 Mina', password: 'open sesame' };
// Short, so that a refresh is seen soon.
const LIFE_SECONDS = 60;
const MOST_SESSIONS = 1000;

// Sessions by refresh token and by access token; the oldest go first.
const byRefresh = new Map();
const byAccess = new Map();

const digest = (text) => createHash('sha256').update(text).digest();
const isPassword = (text) => timingSafeEqual(digest(text), digest(PERSON.password));

function issue(session) {
  const [accessToken, refreshToken] = [randomBytes(24).toString('base64url'), randomBytes(24).toString('base64url')];
  byAccess.set(accessToken, { session, ends: Date.now() + LIFE_SECONDS * 1000 });
  byRefresh.set(refreshToken, session);
  for (const tokens of [byAccess, byRefresh]) {
    if (tokens.size > MOST_SESSIONS) tokens.delete(tokens.keys().next().value);
  }
  session.refreshes += 1;
  return [200, { accessToken, refreshToken, expiresIn: LIFE_SECONDS }];
}

const calls = {
  '/tokens/login': ({ email, password }) =>
    String(email).toLowerCase() === PERSON.email && isPassword(String(password))
      ? issue({ person: PERSON, refreshes: -1 })
      : [401, { error: 'invalid_credentials' }],
  '/tokens/refresh': ({ refreshToken }) => {
    const session = byRefresh.get(refreshToken);
    // A refresh token works once.
    return byRefresh.delete(refreshToken) ? issue(session) : [401, { error: 'invalid_refresh_token' }];
  },
  '/tokens/signout': ({ refreshToken }) => {
    byRefresh.delete(refreshToken);
    return [200, {}];
  },
};

function page({ person, refreshes }) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The app</title><style>:root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui;max-width:34rem;margin:4rem auto;padding:0 1rem}</style>
<h1>Hello, ${person.name}</h1>
<p>This app saw a Bearer token of yours; your browser never did. Its tokens live ${LIFE_SECONDS} seconds and this session has been
refreshed <b>${refreshes}</b> times: load the page again in a minute.</p>
<form method="post" action="/auth/logout"><button>Log out</button></form></html>`;
}

createServer(async (request, response) => {
  const answer = (status, type, body) => response.writeHead(status, { 'content-type': type }).end(body);
  const json = (status, value) => answer(status, 'application/json', JSON.stringify(value));
  const path = new URL(request.url, 'http://app').pathname;
  const call = request.method === 'POST' && Object.hasOwn(calls, path) ? calls[path] : undefined;
  if (call) {
    let body = '';
    for await (const piece of request) {
      body += piece;
      if (body.length > 10_000) return json(413, { error: 'too_large' });
    }
    try {
      return json(...call(JSON.parse(body)));
    } catch {
      return json(400, { error: 'bad_request' });
    }
  }
  const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
  const found = byAccess.get(token);
  if (!found || found.ends <= Date.now()) {
    response.setHeader('www-authenticate', 'Bearer error="invalid_token"');
    return json(401, { error: 'invalid_token' });
  }
  return path === '/' ? answer(200, 'text/html; charset=utf-8', page(found.session)) : json(200, { path, email: found.session.person.email });
}).listen(Number(process.env.PORT ?? 3000), () => console.log('the app listens'));
