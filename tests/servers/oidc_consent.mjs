// oidc-provider as a server that asks people: authorization code (PKCE demanded) and device code, both with pages for
// login and consent that a browser can drive, and refresh tokens that rotate. A native client: its redirect address is
// on loopback, with any port.
//
// A client may have device_ttl (seconds of its device codes).
// POST /_spend?code=...  redeems a code, as somebody else would
// GET  /_secrets         what came to the token endpoint since it was last asked, and must not be seen anywhere else:
//                        {name: [value]}
import { run } from './oidc.mjs';

const POLL_S = 1;
const DEVICE_TTL_S = 600;
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

const page = (what, fields) => `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${what}</title></head>
<body><h1>${what}</h1><form method="post">${fields}
<button type="submit" name="yes" value="yes">Continue</button>
<button type="submit" name="abort" value="yes">Cancel</button></form></body></html>`;
const SECRETS = ['code', 'code_verifier', 'device_code', 'refresh_token'];
const PAGES = {
  login: page('Sign-in', '<input name="login"><input name="password" type="password">'),
  consent: page('Authorize', ''),
};

const show = (what, fields = '') => (ctx, form = '') => {
  ctx.body = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${what}</title></head>
<body><h1>${what}</h1>${form}${fields}</body></html>`;
};
// Without the library's own pages, which wait for a font from elsewhere.
const DEVICE_PAGES = {
  userCodeInputSource: show('Device', '<button type="submit" form="op.deviceInputForm">Continue</button>'),
  userCodeConfirmSource: show('Confirm', `<button type="submit" form="op.deviceConfirmForm">Continue</button>
<button type="submit" form="op.deviceConfirmForm" name="abort" value="yes">Cancel</button>`),
  successSource: show('Done'),
};

async function formOf(req) {
  let text = '';
  for await (const chunk of req) text += chunk;
  return new URLSearchParams(text);
}

// What the person's answer on a page comes to, as the library wants it; null shows the page again.
async function resultOf(provider, world, { prompt, params, session, grantId }, form) {
  if (form.has('abort')) return { error: 'access_denied' };
  if (prompt.name === 'login') {
    const name = form.get('login');
    return world.users.has(name) && world.users.get(name) === form.get('password') ? { login: { accountId: name } } : null;
  }
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '));
  return { consent: { grantId: await grant.save() } };
}

run({
  path: '/token',
  grants: ['authorization_code', 'refresh_token', DEVICE],
  metadata: { application_type: 'native', redirect_uris: ['http://127.0.0.1/callback'], response_types: ['code'] },
  configuration: (world) => ({
    scopes: ['openid', 'offline_access', 'read', 'write'],
    features: {
      deviceFlow: { enabled: true, ...DEVICE_PAGES },
      devInteractions: { enabled: false },
      revocation: { enabled: true },
    },
    interactions: { url: (ctx, { uid }) => `/interaction/${uid}` },
    pkce: { required: () => true },
    ttl: { DeviceCode: (ctx, token, client) => world.clients.get(client.clientId)?.device_ttl ?? DEVICE_TTL_S },
  }),
  manner(provider, world) {
    const seen = Object.fromEntries(SECRETS.map((name) => [name, []]));
    provider.use(async (ctx, next) => {
      if (ctx.path === '/_secrets') {
        ctx.body = { ...seen };
        for (const name of SECRETS) seen[name] = [];
        return;
      }
      if (ctx.path === '/_spend') {
        const code = await provider.AuthorizationCode.find(ctx.query.code);
        await code.consume();
        ctx.body = {};
        return;
      }
      if (!ctx.path.startsWith('/interaction/')) return next();
      const details = await provider.interactionDetails(ctx.req, ctx.res);
      const result = ctx.method === 'POST' ? await resultOf(provider, world, details, await formOf(ctx.req)) : null;
      if (result) {
        ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: true }));
        ctx.status = 303;
      } else {
        ctx.type = 'html';
        ctx.body = PAGES[details.prompt.name];
      }
    });
    return {
      accepts: async (value) => Boolean((await provider.AccessToken.find(value))?.isValid),
      failure: () => ({ error: 'server_error' }),
      before(req) {
        for (const name of SECRETS) if (req.body?.[name]) seen[name].push(req.body[name]);
      },
      finish(ctx) {
        if (ctx.body?.device_code) ctx.body.interval = POLL_S;
      },
    };
  },
});
