// @jmondi/oauth2-server: client_credentials, password, refresh_token, and a token exchange of its own (RFC 8693), whose
// answer lacks issued_token_type; access tokens are JWTs. It takes the secret in the form (its Basic ends at a colon).
//
// It exchanges its own live tokens alone, for the audiences and resources below; what was asked for stands in `aud`.
import crypto from 'node:crypto';
import {
  AuthorizationServer, DateInterval, JwtService, OAuthException, OAuthRequest,
} from '@jmondi/oauth2-server';
import harness from './harness.cjs';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const GRANTS = ['client_credentials', 'password', 'refresh_token', EXCHANGE];
const TARGETS = ['https://api.partner.example', 'https://files.partner.example'];
const HOUR = new DateInterval('1h');
const list = (value) => (value === undefined ? [] : [value].flat());
const random = () => crypto.randomBytes(24).toString('base64url');

harness.serve('/token', async (origin, world) => {
  const tokens = new Map();
  const jwt = new JwtService(random());
  jwt.extraTokenFields = ({ user }) => (user?.targets?.length ? { aud: user.targets } : {});

  const live = async (value) => {
    try {
      const claims = await jwt.verify(value);
      const token = tokens.get(claims.jti);
      return token && !token.revoked && token.accessTokenExpiresAt > new Date() ? claims : null;
    } catch {
      return null;
    }
  };
  async function processTokenExchange({ subjectToken, audience, resource }) {
    const targets = [...list(audience), ...list(resource)];
    if (targets.some((one) => !TARGETS.includes(one))) {
      throw new OAuthException('no such target', 'invalid_target', undefined, undefined, 400);
    }
    const claims = await live(subjectToken);
    if (!claims) throw OAuthException.invalidGrant('the subject token is not one of ours, or is dead');
    return { id: claims.sub, targets };
  }
  const clients = {
    async getByIdentifier(id) {
      const client = world.clients.get(id);
      return client && { id, name: id, secret: client.secret, redirectUris: [], allowedGrants: GRANTS, scopes: [] };
    },
    isClientValid: async (grant, client, secret) => client.secret === secret,
  };
  const store = {
    issueToken: async (client, scopes, user) => ({ accessToken: random(), client, scopes, user }),
    issueRefreshToken: async (token) => Object.assign(token, { refreshToken: random(), refreshTokenExpiresAt: HOUR.getEndDate() }),
    async persist(token) {
      token.accessTokenExpiresAt = new Date(Date.now() + 1000 * world.lifetime(token.client.id));
      tokens.set(token.accessToken, token);
    },
    revoke: async (token) => { token.revoked = true; },
    isRefreshTokenRevoked: async (token) => Boolean(token.revoked),
    getByRefreshToken: async (value) => [...tokens.values()].find((one) => one.refreshToken === value),
    getByAccessToken: async (value) => tokens.get(value),
  };
  const scopes = {
    getAllByIdentifiers: async (names) => names.filter((name) => ['read', 'write'].includes(name)).map((name) => ({ name })),
    finalize: async (wanted) => wanted,
  };
  const userRepository = {
    async getUserByCredentials(name, password) {
      return world.users.has(name) && world.users.get(name) === password ? { id: name } : undefined;
    },
  };
  const server = new AuthorizationServer(clients, store, scopes, jwt, { requiresPKCE: false, issuer: origin });
  const enabled = ['client_credentials', 'refresh_token', { grant: 'password', userRepository }, { grant: EXCHANGE, processTokenExchange }];
  for (const grant of enabled) server.enableGrantType([grant, HOUR]);

  return {
    async token(req, res) {
      try {
        const answer = await server.respondToAccessTokenRequest(new OAuthRequest({ headers: req.headers, query: {}, body: req.body }));
        res.set(answer.headers).status(answer.status).json(answer.body);
      } catch (error) {
        res.status(error.status ?? 500).json({ error: error.errorType ?? 'server_error', error_description: error.message });
      }
    },
    accepts: async (value) => Boolean(await live(value)),
    fallback: (req, res) => res.status(404).json({ error: 'not_found' }),
    failure: () => ({ error: 'server_error' }),
    forget: () => tokens.clear(),
  };
});
