// oidc-provider as any RFC 6749 server: client_credentials, password (a grant that we register, since the library has
// none) and refresh_token with rotation and reuse detection; opaque tokens. Basic must be percent-encoded (RFC 6749
// section 2.3.1); a client of auth "post" sends its secret in the form.
import { errors, issue, run } from './oidc.mjs';

run({
  path: '/token',
  grants: ['client_credentials', 'password', 'refresh_token'],
  configuration: () => ({
    scopes: ['openid', 'offline_access', 'read', 'write'],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
    },
  }),
  manner(provider, world) {
    provider.registerGrantType('password', async (ctx) => {
      const { username, password } = ctx.oidc.params;
      if (!username || !password) throw new errors.InvalidRequest('missing required parameter(s)');
      if (!world.users.has(username) || world.users.get(username) !== password) {
        throw new errors.InvalidGrant('invalid username or password');
      }
      ctx.body = await issue(provider, ctx, { accountId: username, gty: 'password' });
    }, ['username', 'password', 'scope']);
    return {
      async accepts(value) {
        const token = await provider.AccessToken.find(value) ?? await provider.ClientCredentials.find(value);
        return Boolean(token?.isValid);
      },
      failure: () => ({ error: 'server_error' }),
    };
  },
});
