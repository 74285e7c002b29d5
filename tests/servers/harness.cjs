// What every Node server here shares: it listens on a free port, counts how it answered, misbehaves on request,
// and dies with the process that started it. harness.py is the same for Python servers; test_faults.py holds both
// to one contract.
//
// GET  /_stats    {"log": [...], "refresh_reused": n, "at_once": n}, see `note`
// POST /_control  a JSON object, see CONTROLS; an unknown member is refused
// GET  /api       a protected resource: 200 for a live token, else 401
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const express = require('express');

// Members of /_control. Faults hold for the client named in `client`, else for all; `null` or `false` lifts them.
//   reset: true                forget clients, users, tokens, faults and counts; let go of held connections
//   ttl: seconds               lifetime of access tokens from now on
//   clients: {id: {secret, ttl?, scope?, auth?, ...}}    added to what is there; what more there is, a server reads
//   users: {name: password}                         the same
//   delay_ms: n                answer that much later
//   fail: {status, times?, retry_after?}            answer so, for the next `times` requests (absent: until lifted)
//   hang: true                 take the request and never answer
//   outage: true               drop the connection without an answer
const FAULTS = ['delay_ms', 'fail', 'hang', 'outage'];
const CONTROLS = ['reset', 'ttl', 'clients', 'users', 'client', ...FAULTS];
const ALL = '';

// With a folder of certificates in TLS_FOLDER it serves https, and asks its callers for one; the server under test judges it.
const FOLDER = process.env.TLS_FOLDER;
const TLS = FOLDER && {
  key: fs.readFileSync(`${FOLDER}/server.key`),
  cert: fs.readFileSync(`${FOLDER}/server.pem`),
  ca: fs.readFileSync(`${FOLDER}/ca.pem`),
  requestCert: true,
  rejectUnauthorized: false,
};

class World {
  constructor() {
    this.held = new Set();
    this.forget();
  }

  forget() {
    this.ttl = 3600;
    this.clients = new Map();
    this.users = new Map();
    this.faults = new Map();
    this.log = [];
    this.spent = new Set();
    this.refreshReused = 0;
    this.running = 0;
    this.atOnce = 0;
    this.letGo();
  }

  letGo() {
    for (const socket of this.held) socket.destroy();
    this.held.clear();
  }

  lifetime(clientId) {
    return this.clients.get(clientId)?.ttl ?? this.ttl;
  }

  change(wanted) {
    const unknown = Object.keys(wanted).filter((key) => !CONTROLS.includes(key));
    if (unknown.length) throw new RangeError(`no such control: ${unknown.join(', ')}`);
    if (wanted.reset) this.forget();
    if (wanted.ttl) this.ttl = wanted.ttl;
    for (const [id, client] of Object.entries(wanted.clients ?? {})) this.clients.set(id, client);
    for (const [name, password] of Object.entries(wanted.users ?? {})) this.users.set(name, password);
    const whose = wanted.client ?? ALL;
    const fault = { ...this.faults.get(whose) };
    for (const key of FAULTS) if (key in wanted) fault[key] = wanted[key];
    this.faults.set(whose, fault);
    if (wanted.hang === false) this.letGo();
  }

  fault(clientId) {
    return { ...this.faults.get(ALL), ...this.faults.get(clientId) };
  }

  // How the next request fails, if it does: the count is kept where the fault was set.
  failure(clientId) {
    const { fail } = this.fault(clientId);
    if (!fail || fail.times === 0) return null;
    if (fail.times) fail.times -= 1;
    return fail;
  }
}

function clientOf(req) {
  const basic = /^Basic (.*)$/.exec(req.headers.authorization ?? '');
  if (!basic) return req.body.client_id ?? '';
  const id = Buffer.from(basic[1], 'base64').toString().split(':', 1)[0];
  try {
    return decodeURIComponent(id);
  } catch {
    return id; // sent as it is, and it holds a bare %
  }
}

// One line of the log: {at (Unix seconds), client, grant, outcome}. `outcome` is the status, or "hung", "dropped",
// "abandoned" (the caller went before the answer), "pending".
function note(world, req, res) {
  const line = { at: Date.now() / 1000, client: clientOf(req), grant: req.body.grant_type ?? '', outcome: 'pending' };
  const { log } = world;
  log.push(line);
  world.running += 1;
  world.atOnce = Math.max(world.atOnce, world.running);
  if (world.spent.has(req.body.refresh_token)) world.refreshReused += 1;
  res.on('close', () => {
    if (world.log === log) world.running -= 1;
    if (line.outcome === 'pending') line.outcome = res.writableFinished ? String(res.statusCode) : 'abandoned';
  });
  return line;
}

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// `build(origin, world)` returns the server under test:
//   token(req, res)     answers the token request and resolves then; req.body holds the parsed form
//   accepts(token)      whether the access token is good now
//   fallback(req, res)  whatever else it serves
//   failure(status)     the body of an error, in the server's own shape
//   forget()            drops every token
async function serve(tokenPath, build) {
  const world = new World();
  const app = express();
  const server = (TLS ? https : http).createServer(TLS ?? {}, app).listen(0, '127.0.0.1');
  await new Promise((resolve, reject) => { server.once('listening', resolve); server.once('error', reject); });
  const origin = `http${TLS ? 's' : ''}://127.0.0.1:${server.address().port}`;
  const target = await build(origin, world);

  app.get('/_stats', (req, res) => {
    res.json({ log: world.log, refresh_reused: world.refreshReused, at_once: world.atOnce });
  });
  app.post('/_control', express.json({ limit: '1mb' }), (req, res) => {
    try {
      world.change(req.body);
      if (req.body.reset) target.forget();
      res.json({});
    } catch (error) {
      res.status(400).json({ error: error.message });
    }
  });
  app.get('/api', async (req, res) => {
    if (world.fault(ALL).outage) return req.socket.destroy();
    const bearer = /^Bearer (.+)$/i.exec(req.headers.authorization ?? '');
    return bearer && await target.accepts(bearer[1]) ? res.json({ ok: true }) : res.status(401).json({ ok: false });
  });
  app.post(tokenPath, express.urlencoded({ extended: false }), async (req, res) => {
    req.body ??= {};
    const line = note(world, req, res);
    const { outage, hang, delay_ms: delay } = world.fault(line.client);
    if (outage) {
      line.outcome = 'dropped';
      return req.socket.destroy();
    }
    if (hang) {
      line.outcome = 'hung';
      return world.held.add(req.socket);
    }
    if (delay) await sleep(delay);
    const fail = world.failure(line.client);
    if (fail) {
      if (fail.retry_after !== undefined) res.set('Retry-After', String(fail.retry_after));
      return res.status(fail.status).json(target.failure(fail.status));
    }
    await target.token(req, res);
    if (res.statusCode === 200 && req.body.refresh_token) world.spent.add(req.body.refresh_token);
  });
  app.use((req, res) => target.fallback(req, res));

  process.stdin.resume(); // the pipe closes when the parent is gone, whatever ended it
  process.stdin.on('close', () => process.exit(0));
  console.log = console.error;
  console.info = console.error;
  process.stdout.write(`ready ${origin}\n`);
}

module.exports = { serve, TLS };
