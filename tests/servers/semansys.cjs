// Semansys as its document tells: POST /connect/token, password grant, client id and secret in the form; refresh
// tokens rotate. The statuses are those of its table: 400 invalid request parameters, 401 invalid client credentials,
// 403 user authentication failed. The bodies are the library's, since the document shows none.
'use strict';
const { run } = require('./node_oauth2.cjs');

function status(error, form) {
  if (error.name === 'invalid_client' && form.client_id && form.client_secret) return 401;
  if (error.name === 'invalid_grant' && form.grant_type === 'password') return 403;
  return error.code;
}

run({
  path: '/connect/token',
  grants: ['password', 'refresh_token'],
  success: (body) => ({ ...body, token_type: 'bearer' }), // "always bearer in this case", in lower case
  status,
});
