// What the two servers on oidc-provider share: storage without a size limit, clients that tests add at run time, and
// the token endpoint behind the harness.
import crypto from 'node:crypto';
import Provider, { errors } from 'oidc-provider';
import harness from './harness.cjs';

export { errors };
const REFRESH_TTL_S = 30 * 86400;
const METHODS = {
  basic: 'client_secret_basic',
  post: 'client_secret_post',
  client_secret_jwt: 'client_secret_jwt',
  private_key_jwt: 'private_key_jwt',
  none: 'none',
  ...(harness.TLS && { tls: 'tls_client_auth' }),
};
// RFC 8705 section 2.1: the certificate is of our authority, and names the client's `subject`.
const MTLS = harness.TLS && {
  mTLS: {
    enabled: true,
    tlsClientAuth: true,
    getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
    certificateAuthorized: (ctx) => ctx.socket.authorized,
    certificateSubjectMatches: (ctx, property, expected) => ctx.socket.getPeerX509Certificate().subject === expected,
  },
};
// The library takes a few of these alone unless told.
const ALGORITHMS = [
  ...['HS', 'RS', 'PS', 'ES'].flatMap((kind) => [256, 384, 512].map((size) => `${kind}${size}`)), 'EdDSA', 'Ed25519',
];

// The library's own store drops the oldest of 1000 entries; a test over hours must not lose a live token that way.
class Store {
  static entries = new Map();

  static world;

  static grants;

  static metadata;

  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload) {
    Store.entries.set(this.key(id), payload);
  }

  async find(id) {
    return this.model === 'Client' ? client(id) : Store.entries.get(this.key(id));
  }

  async findByUid(uid) {
    return this.having('uid', uid);
  }

  async findByUserCode(code) {
    return this.having('userCode', code);
  }

  having(name, value) {
    for (const [key, payload] of Store.entries) {
      if (key.startsWith(`${this.model}:`) && payload[name] === value) return payload;
    }
    return undefined;
  }

  async consume(id) {
    Store.entries.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    Store.entries.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, payload] of Store.entries) if (payload.grantId === grantId) Store.entries.delete(key);
  }
}

function client(id) {
  const known = Store.world.clients.get(id);
  return known && {
    client_id: id,
    client_secret: known.secret || undefined,
    token_endpoint_auth_method: METHODS[known.auth ?? 'basic'],
    ...(known.alg && { token_endpoint_auth_signing_alg: known.alg }),
    ...(known.subject && { tls_client_auth_subject_dn: known.subject }),
    ...(known.jwk && { jwks: { keys: [known.jwk] } }),
    grant_types: Store.grants,
    id_token_signed_response_alg: 'ES256',
    redirect_uris: [],
    response_types: [],
    scope: known.scope,
    ...Store.metadata,
  };
}

// The scope that a request asks for, or all that its client may have; refuses what the client may not have.
export function scopeOf(ctx) {
  const allowed = ctx.oidc.client.scope.split(' ');
  const wanted = ctx.oidc.params.scope?.split(' ').filter(Boolean) ?? allowed;
  const refused = wanted.find((one) => !allowed.includes(one));
  if (refused) throw new errors.InvalidScope('requested scope is not allowed', refused);
  return wanted.join(' ');
}

// Issues what a grant of ours answers: an access token and a refresh token that the library's own refresh grant takes.
export async function issue(provider, ctx, { accountId, gty, resource, resourceServer }) {
  const { client: owner } = ctx.oidc;
  const scope = scopeOf(ctx);
  const grant = new provider.Grant({ accountId, clientId: owner.clientId });
  grant.addOIDCScope(scope);
  if (resource) grant.addResourceScope(resource, scope);
  const common = { accountId, client: owner, grantId: await grant.save(), gty, scope };
  const access = new provider.AccessToken(common);
  if (resource) access.resourceServer = new provider.ResourceServer(resource, resourceServer);
  ctx.oidc.entity('AccessToken', access);
  const refresh = new provider.RefreshToken({ ...common, resource, rotations: 0 });
  ctx.oidc.entity('RefreshToken', refresh);
  return {
    scope,
    token_type: 'Bearer',
    access_token: await access.save(),
    expires_in: access.expiration,
    refresh_token: await refresh.save(),
  };
}

// `manner(provider, world, jwks)` registers grants and returns {accepts, failure, before?, finish?}; before(req) may
// change the request, finish(ctx) the answer. `metadata` is what all clients have besides.
export function run({ path, grants, configuration, manner, metadata = {} }) {
  return harness.serve(path, async (origin, world) => {
    Object.assign(Store, { world, grants, metadata });
    const { ttl, features, ...more } = configuration(world);
    const { privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', kid: 'test', alg: 'ES256' };
    const lifetime = (ctx, token, owner) => world.lifetime(owner.clientId);
    const provider = new Provider(origin, {
      adapter: Store,
      clientAuthMethods: Object.values(METHODS),
      enabledJWA: { clientAuthSigningAlgValues: ALGORITHMS },
      cookies: { keys: ['unused'] },
      findAccount: async (ctx, sub) => ({ accountId: sub, claims: async () => ({ sub, email: `${sub}@example.org`, name: sub }) }),
      jwks: { keys: [key] },
      rotateRefreshToken: true,
      ttl: { AccessToken: lifetime, ClientCredentials: lifetime, IdToken: lifetime, Grant: REFRESH_TTL_S, RefreshToken: REFRESH_TTL_S, ...ttl },
      features: { ...features, ...MTLS },
      ...more,
    });
    const { accepts, failure, before, finish } = manner(provider, world, { origin, key });
    if (finish) provider.use(async (ctx, next) => { await next(); finish(ctx); });
    provider.on('server_error', (ctx, error) => console.error(error));
    provider.on('grant.error', (ctx, error) => console.error(error.error, error.error_description, error.error_detail));
    const handle = provider.callback();
    const answer = (req, res) => { before?.(req); return handle(req, res); };
    return { token: answer, fallback: answer, accepts, failure, forget: () => Store.entries.clear() };
  });
}
