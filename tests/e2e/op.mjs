// A certified OpenID provider (npm oidc-provider) for the integration tests: rotating refresh tokens with reuse detection,
// RP-initiated logout, revocation. Anyone may log in, with any name. Prints its issuer once it listens, and events as JSON lines.
//
// Environment: GATEWAY, the gateway's public address; CALLBACK, the path of its callback; AT_LIFE, seconds that an access token lives.
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const gateway = process.env.GATEWAY;
const atLife = Number(process.env.AT_LIFE ?? 10);
const say = (event) => console.log(JSON.stringify(event));

// The port has to be known before the provider is made: it is part of the issuer.
const server = createServer((request, response) => callback(request, response));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'vestibule', client_secret: 'a-secret-for-tests', id_token_signed_response_alg: 'ES256',
    redirect_uris: [`${gateway}${process.env.CALLBACK}`], post_logout_redirect_uris: [`${gateway}/`, gateway],
    grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
  }],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'test' }] },
  cookies: { keys: ['only for tests'] },
  pkce: { required: () => true },
  conformIdTokenClaims: false,
  rotateRefreshToken: true,
  issueRefreshToken: async (_, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  claims: { openid: ['sub', 'role'], email: ['email', 'email_verified'], profile: ['name'] },
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true }, revocation: { enabled: true } },
  ttl: { AccessToken: atLife, IdToken: 600, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600 },
  findAccount: async (_, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, name: id, email: `${id}@example.test`, email_verified: true, role: id === 'jun' ? 'admin' : 'user' }),
  }),
});
for (const name of ['grant.success', 'grant.error', 'grant.revoked', 'end_session.success', 'server_error']) {
  provider.on(name, (ctx, error) => say({ event: name, grant: ctx?.oidc?.params?.grant_type, error: error?.error ?? error?.message }));
}
const callback = provider.callback();
say({ event: 'listening', issuer });
