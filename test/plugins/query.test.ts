/** Refusals of query parameters, on every route of the hub. */
import t from 'tap'
import { listen, isProblem, openApp } from '../routes/open-app.js'
import { anyTopic } from '../helper/token.js'

/** Every route, and its parameters. */
const ROUTES: [method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, known: string[]][] = [
  ['POST', '/topics/a/events', ['type']],
  ['POST', '/events', []],
  [
    'GET',
    '/topics/a/events',
    [
      'type',
      'lastEventId',
      'replay',
      'from',
      'format',
      'cursor',
      'slow',
      'presence',
      'observe',
      'after',
      'before',
      'limit',
      'last',
    ],
  ],
  [
    'GET',
    '/events',
    [
      'topic',
      'type',
      'lastEventId',
      'replay',
      'from',
      'format',
      'cursor',
      'slow',
      'presence',
      'observe',
      'after',
      'before',
      'limit',
      'last',
    ],
  ],
  ['DELETE', '/topics/a/events', []],
  ['GET', '/topics', ['prefix', 'after', 'limit', 'search', 'activity']],
  ['GET', '/topics/a', []],
  ['GET', '/topics/a/presence', []],
  ['GET', '/connections', ['topic', 'subject', 'limit', 'after', 'search', 'order']],
  ['DELETE', '/connections', ['subject']],
  ['GET', '/connections/x', []],
  ['PATCH', '/connections/x', []],
  ['DELETE', '/connections/x', []],
  ['PUT', '/connections/x/token', []],
  ['GET', '/nodes', []],
  ['GET', '/stats', ['range']],
  ['GET', '/cursors', []],
  ['GET', '/cursors/x', []],
  ['PUT', '/cursors/x', []],
  ['DELETE', '/cursors/x', []],
  ['POST', '/tickets', []],
  ['POST', '/sessions', []],
  ['DELETE', '/sessions', []],
  ['GET', '/revocations', []],
  ['POST', '/revocations', []],
  ['DELETE', '/revocations/x', []],
  ['GET', '/status', []],
  ['GET', '/metrics', []],
  ['GET', '/health/live', []],
  ['GET', '/health/ready', []],
  ['GET', '/errors', []],
  ['GET', '/client.js', []],
  ['GET', '/openapi.json', []],
  ['GET', '/docs', []],
  ['GET', '/docs/', []],
  ['GET', '/docs/reference.css', []],
  ['GET', '/errors/not-found', []],
]

/** Routes that accept any query: probes and agents add one to avoid caches, and pages add a version. */
const ANY_QUERY = [
  '/status',
  '/metrics',
  '/health/live',
  '/health/ready',
  '/client.js',
  '/openapi.json',
  '/docs',
  '/docs/reference.css',
]
/** As above, but it leads to another route. */
const MOVED = '/docs/'

await t.test('the routes for probes and for the client accept any query', async (t) => {
  const { app } = await openApp(t)
  for (const path of ANY_QUERY) {
    for (const method of ['GET', 'HEAD'] as const)
      t.equal((await app.inject({ method, url: `${path}?_=123&_=4&topic=a..b` })).statusCode, 200, `${method} ${path}`)
  }
})

await t.test('every other route refuses an unknown parameter, and a repeated one', async (t) => {
  const { app, send } = await openApp(t)
  for (const [method, path, known] of ROUTES) {
    if (ANY_QUERY.includes(path) || path === MOVED) continue
    const what = `${method} ${path}`
    for (const name of ['unheard-of', ...known.map((one) => one.toUpperCase()), ...known.map((one) => `${one}[]`)]) {
      const { detail, errors } = isProblem(
        t,
        await send({ method, url: `${path}?${encodeURIComponent(name)}=1` }),
        400,
        'unknown-parameter',
        `${what}?${name}`,
      )
      t.strictSame(errors, [{ path: `/${name}`, message: 'is not known' }])
      if (known.length === 0) t.match(detail, /this route takes no parameters\.$/)
      else if (name === 'unheard-of')
        t.match(detail, new RegExp(`this route takes "${known[0]}"`), 'no parameter has a similar name')
      else
        t.ok(
          known.some((one) => detail.includes(`did you mean "${one}"?`)),
          detail,
        )
    }
    for (const name of known) {
      const response = await send({
        method,
        url: `${path}?${name}=a&${name}=b${path === '/events' && name === 'type' ? '&topic=a' : ''}`,
        headers: { accept: 'application/json' },
      })
      if ((name === 'topic' && path === '/events') || (name === 'type' && method === 'GET'))
        t.equal(response.statusCode, 200, `${what}: ${name} may be repeated`)
      else t.match(isProblem(t, response, 400, 'invalid-request', `${what}: ${name} twice`).detail, /more than once/)
    }
  }
  t.equal((await app.inject({ method: 'HEAD', url: '/errors?unheard-of=1' })).statusCode, 400)
})

await t.test('every route of the hub is in the table above', async (t) => {
  const { app } = await openApp(t)
  const listed = ROUTES.map(([method, path]) => `${method} ${path}`)
  const tree = app.printRoutes({ commonPrefix: false })
  const served: string[] = []
  const path: string[] = []
  for (const line of tree.split('\n')) {
    const [, indent = '', rest = ''] = /^([│ ]*)[├└]── (.*)$/.exec(line) ?? []
    const [, segment = '', methods = ''] = /^(.*?) \(([A-Z, ]+)\)$/.exec(rest) ?? [undefined, rest]
    path.length = indent.length / 4
    path.push(segment)
    for (const method of methods.split(', '))
      if (['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].includes(method)) served.push(`${method} ${path.join('')}`)
  }
  const paths = served.map((route) =>
    route
      .replace(':topic', 'a')
      .replace(/:(id|name)/, 'x')
      .replace(':code', 'not-found'),
  )
  const ofTheHub = paths.filter((route) => !/ \/(assets\/.*|.*\.(html|svg))?$/.test(route))
  t.strictSame([...new Set(ofTheHub)].sort(), listed.sort(), tree)
})

await t.test('the refusal names the closest known parameter', async (t) => {
  const { send } = await openApp(t)
  for (const [wrong, right] of [
    ['lastEventID', 'lastEventId'],
    ['last-event-id', 'lastEventId'],
    ['Replay', 'replay'],
    ['types', 'type'],
    ['topics', 'topic'],
    ['formats', 'format'],
    ['frm', 'from'],
    ['cursors', 'cursor'],
  ]) {
    t.match(
      isProblem(t, await send({ url: `/events?topic=a&${wrong}=1` }), 400, 'unknown-parameter').detail,
      `did you mean "${right}"?`,
    )
  }
})

await t.test('ticket and token are allowed where the hub reads them', async (t) => {
  const token = anyTopic()
  const { app, send } = await openApp(t, { queryToken: true })
  const ticket = (await send({ method: 'POST', url: '/tickets' })).json<{ ticket: string }>().ticket
  const origin = await listen(app)
  for (const path of ['/topics/a/events', '/events?topic=a']) {
    const opened = await fetch(`${origin}${path}${path.includes('?') ? '&' : '?'}ticket=${ticket}`)
    t.equal(opened.status, 200)
    await opened.body?.cancel()
  }
  t.equal((await app.inject({ url: `/topics?token=${token}` })).statusCode, 200)
  t.equal((await app.inject({ url: `/status?token=${token}` })).statusCode, 200)
  isProblem(t, await app.inject({ url: `/topics?ticket=${ticket}` }), 401, 'invalid-ticket')
  isProblem(t, await app.inject({ url: '/errors?ticket=x' }), 400, 'unknown-parameter')

  const { app: strict } = await openApp(t)
  isProblem(t, await strict.inject({ url: `/topics?token=${token}` }), 400, 'token-in-query')
})
