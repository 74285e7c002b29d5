// Screening Eagle as its document tells: POST /api/id/v1/auth/token, client_credentials, HTTP Basic of the plain
// id:secret; a JWT access token, an id_token and a refresh token (but no refresh grant). Every error, 400, 401, 403,
// 404 and 500, has one body.
import { jwtVerify, createLocalJWKSet } from 'jose';
import { issue, run } from './oidc.mjs';

const BASE = '/api/id/v1/auth';
const RESOURCE = 'urn:inspect';
const SCOPES = ['openid', 'email', 'profile', 'inspect'];
const REFUSED = { error: 'Forbidden', errorDescription: 'permission denied' };

const resourceServer = (ttl) => ({
  scope: SCOPES.join(' '), accessTokenFormat: 'jwt', accessTokenTTL: ttl, jwt: { sign: { alg: 'ES256' } },
});

// The library percent-decodes Basic (RFC 6749 section 2.3.1); this vendor's document shows base64(id:secret) as it is.
function encodeBasic(req) {
  const basic = /^Basic (.*)$/.exec(req.headers.authorization ?? '');
  if (!basic) return;
  const [id, ...secret] = Buffer.from(basic[1], 'base64').toString().split(':');
  const encoded = `${encodeURIComponent(id)}:${encodeURIComponent(secret.join(':'))}`;
  req.headers.authorization = `Basic ${Buffer.from(encoded).toString('base64')}`;
}

function asDocumented(ctx) {
  if (ctx.status < 400) return;
  // "The client lacks the necessary privileges": a scope that is not its own.
  const status = ctx.body?.error === 'invalid_scope' ? 403 : ctx.status;
  ctx.body = REFUSED;
  ctx.status = status;
}

run({
  path: `${BASE}/token`,
  grants: ['client_credentials'],
  configuration: (world) => ({
    scopes: [...SCOPES, 'offline_access'],
    claims: { openid: ['sub'], email: ['email'], profile: ['name'] },
    conformIdTokenClaims: false,
    routes: { token: `${BASE}/token`, jwks: `${BASE}/jwks` },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: async () => RESOURCE,
        getResourceServerInfo: async (ctx, resource, client) => resourceServer(world.lifetime(client.clientId)),
      },
    },
  }),
  manner(provider, world, { origin, key }) {
    provider.registerGrantType('client_credentials', async (ctx) => {
      const { clientId } = ctx.oidc.client;
      const account = { accountId: clientId, gty: 'client_credentials', resource: RESOURCE };
      const body = await issue(provider, ctx, { ...account, resourceServer: resourceServer(world.lifetime(clientId)) });
      const identity = new provider.IdToken({ sub: clientId, email: `${clientId}@example.org` }, { ctx });
      identity.scope = body.scope;
      ctx.body = { ...body, id_token: await identity.issue({ use: 'idtoken' }) };
    }, ['scope']);
    const keys = createLocalJWKSet({ keys: [{ ...key, d: undefined }] });
    return {
      accepts: (value) => jwtVerify(value, keys, { issuer: origin, audience: RESOURCE }).then(() => true, () => false),
      failure: () => REFUSED,
      before: encodeBasic,
      finish: asDocumented,
    };
  },
});
