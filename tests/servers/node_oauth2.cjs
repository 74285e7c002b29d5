// @node-oauth/oauth2-server: client_credentials, password and refresh_token; rotates refresh tokens. It reads Basic
// as it stands (no percent-decoding), so it is the one to try `basic_raw` on. Run alone it is a plain OAuth server.
'use strict';
const OAuth2Server = require('@node-oauth/oauth2-server');
const { serve } = require('./harness.cjs');

const REFRESH_TTL_S = 30 * 86400;

class Model {
  constructor(world, grants) {
    this.world = world;
    this.grants = grants;
    this.forget();
  }

  forget() {
    this.access = new Map();
    this.refresh = new Map();
  }

  async getClient(id, secret) {
    const client = this.world.clients.get(id);
    if (!client || (secret !== null && client.secret !== secret)) return null;
    return { id, grants: this.grants, scopes: client.scope.split(' '), accessTokenLifetime: this.world.lifetime(id) };
  }

  async getUser(name, password) {
    return this.world.users.has(name) && this.world.users.get(name) === password ? { id: name } : null;
  }

  async getUserFromClient(client) {
    return { id: client.id };
  }

  async validateScope(user, client, scope) {
    const wanted = scope ?? client.scopes;
    return wanted.every((one) => client.scopes.includes(one)) ? wanted : false;
  }

  async saveToken(token, client, user) {
    const saved = { ...token, client, user, family: user.family ?? { revoked: false } };
    this.access.set(token.accessToken, saved);
    if (token.refreshToken) this.refresh.set(token.refreshToken, saved);
    if (this.world.clients.get(client.id).revokes_previous) this.revokePrevious(saved);
    return saved;
  }

  // Some providers let a client have one access token at a time: a new one kills those before it at once.
  revokePrevious(saved) {
    for (const [value, token] of this.access) {
      if (token.client.id === saved.client.id && token !== saved) this.access.delete(value);
    }
  }

  async getAccessToken(value) {
    const token = this.access.get(value);
    return token?.family.revoked ? undefined : token;
  }

  // The library leaves reuse detection to its model: a spent token that comes back ends its whole family (RFC 9700
  // section 4.14.2).
  async getRefreshToken(value) {
    const token = this.refresh.get(value);
    if (token?.spent) token.family.revoked = true;
    return token?.family.revoked ? undefined : token;
  }

  async revokeToken(token) {
    token.spent = true;
    token.user = { id: token.user.id, family: token.family };
    return true;
  }

  async verifyScope() {
    return true;
  }
}

const plain = {
  path: '/token',
  grants: ['client_credentials', 'password', 'refresh_token'],
  success: (body) => body,
  status: (error) => error.code,
};

// `manner`: the token path, the grants, and how the vendor's answers differ from the library's: success(body),
// status(error, form).
function run(manner) {
  return serve(manner.path, (origin, world) => {
    const model = new Model(world, manner.grants);
    const server = new OAuth2Server({ model, refreshTokenLifetime: REFRESH_TTL_S });
    return {
      async token(req, res) {
        const response = new OAuth2Server.Response(res);
        try {
          await server.token(new OAuth2Server.Request(req), response);
          res.set(response.headers).json(manner.success(response.body));
        } catch (error) {
          res.set(response.headers).status(manner.status(error, req.body))
            .json({ error: error.name, error_description: error.message });
        }
      },
      async accepts(value) {
        const headers = { authorization: `Bearer ${value}` };
        const request = new OAuth2Server.Request({ method: 'GET', query: {}, headers });
        return server.authenticate(request, new OAuth2Server.Response({})).then(() => true, () => false);
      },
      fallback: (req, res) => res.status(404).json({ error: 'not_found' }),
      failure: () => ({ error: 'server_error' }),
      forget: () => model.forget(),
    };
  });
}

module.exports = { run };
if (require.main === module) run(plain);
