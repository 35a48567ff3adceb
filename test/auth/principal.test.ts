import t from 'tap'
import { anonymous, authorize, authorizeAdmin, readClaims } from '../../src/auth/principal.js'
import type { Principal } from '../../src/model/principal.js'

function bearer(fanfare: unknown, claims: object = {}): Principal {
  return readClaims({ ...claims, fanfare }, 'fanfare', [])
}

await t.test('reads subject, expiry and grants from claims', (t) => {
  t.strictSame(
    readClaims(
      {
        sub: 'u1',
        exp: 1_700_000_000.5,
        jti: 'j',
        iat: 1,
        name: 'x',
        fanfare: {
          subscribe: ['a.*', 'users.{sub}.**'],
          publish: ['b'],
          presence: ['c'],
          info: { name: 'x' },
          admin: true,
          more: 1,
        },
      },
      'fanfare',
      ['public.**'],
    ),
    {
      anonymous: false,
      subject: 'u1',
      tokenId: 'j',
      expiresAt: 1_700_000_000_500,
      acceptedUntil: 1_700_000_000_500,
      admin: true,
      info: { name: 'x' },
      grants: { subscribe: ['a.*', 'users.u1.**', 'public.**'], publish: ['b'], presence: ['c'] },
      missingClaim: undefined,
      voidGrants: { subscribe: [], publish: [], presence: [] },
    },
  )
  t.match(readClaims({}, 'fanfare', ['x']), {
    anonymous: false,
    subject: undefined,
    expiresAt: undefined,
    acceptedUntil: undefined,
    admin: false,
    grants: { subscribe: ['x'], publish: [], presence: [] },
  })
  t.match(
    readClaims(
      { 'https://example.com/grants': { publish: ['a'] }, fanfare: { publish: ['b'] } },
      'https://example.com/grants',
      [],
    ),
    { grants: { publish: ['a'] } },
  )
  t.end()
})

await t.test('a claim of the wrong shape is refused by name', (t) => {
  const table: [claims: Record<string, unknown>, named: RegExp][] = [
    [{ fanfare: 'x' }, /"fanfare"/],
    [{ fanfare: [] }, /"fanfare"/],
    [{ fanfare: 7 }, /"fanfare"/],
    [{ fanfare: { subscribe: 'a' } }, /"fanfare\.subscribe"/],
    [{ fanfare: { publish: { 0: 'a' } } }, /"fanfare\.publish"/],
    [{ fanfare: { subscribe: [7] } }, /"fanfare\.subscribe\.0"/],
    [{ fanfare: { subscribe: ['a', null] } }, /"fanfare\.subscribe\.1"/],
    [{ fanfare: { admin: 'yes' } }, /"fanfare\.admin"/],
    [{ fanfare: { admin: 1 } }, /"fanfare\.admin"/],
    [{ fanfare: { subscribe: Array.from({ length: 1_001 }, () => 'a') } }, /"fanfare\.subscribe"/],
    [{ fanfare: { subscribe: ['x'.repeat(201)] } }, /"fanfare\.subscribe\.0"/],
    [{ sub: 7 }, /"sub"/],
    [{ sub: '' }, /"sub"/],
    [{ sub: null }, /"sub"/],
    [{ sub: 'x'.repeat(257) }, /"sub"/],
    [{ exp: '1' }, /"exp"/],
    [{ jti: 7 }, /"jti"/],
    [{ fanfare: { subscribe: ['a..b'] } }, /fanfare\.subscribe.*"a\.\.b"/],
    [{ fanfare: { publish: ['**.a'] } }, /fanfare\.publish.*"\*\*\.a"/],
    [{ fanfare: { publish: [''] } }, /fanfare\.publish/],
    [{ sub: 'u1', fanfare: { publish: ['x{sub}'] } }, /fanfare\.publish.*"x\{sub\}"/],
  ]
  for (const [claims, named] of table)
    t.throws(
      () => readClaims(claims, 'fanfare', []),
      { name: 'Problem', code: 'invalid-claims', status: 401, message: named },
      JSON.stringify(claims).slice(0, 80),
    )
  t.end()
})

await t.test('a grant for {sub} is void when the subject is missing or more than a segment', (t) => {
  for (const sub of [undefined, 'a.b', '*', '**', 'a b', 'é', '{sub}']) {
    t.strictSame(
      bearer({ subscribe: ['users.{sub}', 'a'] }, sub === undefined ? {} : { sub }).grants.subscribe,
      ['a'],
      String(sub),
    )
  }
  t.end()
})

await t.test('one grant must cover the whole pattern', (t) => {
  const principal = bearer({ subscribe: ['orders.*', 'users.u1.**'], publish: ['orders.42'] })
  for (const pattern of ['orders.42', 'orders.*', 'users.u1.x.y', 'users.u1.*'])
    t.doesNotThrow(() => authorize(principal, 'subscribe', [pattern]), pattern)
  for (const pattern of ['orders', 'orders.**', 'orders.42.x', 'users.u2.x', 'users.*.x', '*', '**']) {
    t.throws(
      () => authorize(principal, 'subscribe', ['orders.1', pattern]),
      { code: 'not-granted', status: 403, message: JSON.stringify(pattern) },
      pattern,
    )
  }
  t.doesNotThrow(() => authorize(principal, 'publish', ['orders.42']))
  t.throws(() => authorize(principal, 'publish', ['orders.43']), { code: 'not-granted', message: /publish/ })
  t.throws(() => authorize(principal, 'presence', ['orders.42']), { code: 'not-granted', message: /presence/ })
  t.throws(
    () => authorize(bearer({ subscribe: ['a.b', 'a.c'] }), 'subscribe', ['a.*']),
    { code: 'not-granted' },
    'several grants together do not count',
  )
  t.end()
})

await t.test('a refusal names the missing claim', (t) => {
  const refusal = (principal: Principal, pattern: string) => {
    try {
      authorize(principal, 'subscribe', [pattern])
    } catch (err) {
      return (err as Error).message
    }
    return ''
  }
  const none = readClaims({ grants: {} }, 'hub', [])
  for (const pattern of ['a', 'fanfare.stats']) t.match(refusal(none, pattern), /no claim "hub".*FANFARE_JWT_CLAIM/)
  t.throws(() => authorizeAdmin(none, 'purge a topic'), { code: 'not-granted', message: /no claim "hub"/ })
  t.notMatch(refusal(bearer({}), 'a'), /no claim/)
  const grants = { subscribe: ['users.{sub}.**', 'secret'], publish: ['rooms.{sub}'] }
  t.match(refusal(bearer(grants), 'users.u1.x'), /void: the token has no "sub"/)
  for (const sub of ['u.secret', '*'])
    t.match(refusal(bearer(grants, { sub }), 'users.u1.x'), /void: the token's "sub" is not a single segment/)
  for (const [claims, pattern] of [
    [{ sub: 'u2' }, 'users.u1.x'],
    [{}, 'rooms.u1'],
    [{}, 'users.**'],
  ] as const)
    t.notMatch(refusal(bearer(grants, claims), pattern), /void/, 'the missing "sub" is named only if it would help')
  t.notMatch(
    refusal(bearer(grants, { sub: 'u.secret' }), 'users.u1.x'),
    /secret/,
    'the refusal does not reveal grants or subject',
  )
  t.end()
})

await t.test('the system topics are for admins, who need no grant for them', (t) => {
  const everything = bearer({ subscribe: ['**', 'fanfare.**'] })
  const admin = bearer({ admin: true })
  for (const pattern of ['fanfare.stats', 'fanfare.*', 'fanfare.**']) {
    t.throws(() => authorize(everything, 'subscribe', [pattern]), { code: 'not-granted', message: /admin/ })
    t.doesNotThrow(() => authorize(admin, 'subscribe', [pattern]))
  }
  t.throws(
    () => authorize(admin, 'subscribe', ['a']),
    { code: 'not-granted' },
    'an admin needs a grant to subscribe to other topics',
  )
  t.end()
})

await t.test('a request without a token may subscribe to anonymous topics, and is refused for others', (t) => {
  const nobody = anonymous(['public.*'])
  t.match(nobody, { anonymous: true, subject: undefined, admin: false })
  t.doesNotThrow(() => authorize(nobody, 'subscribe', ['public.1', 'public.*']))
  for (const [action, pattern] of [
    ['subscribe', 'public.**'],
    ['subscribe', 'fanfare.stats'],
    ['publish', 'public.1'],
    ['presence', 'public.1'],
  ] as const) {
    t.throws(() => authorize(nobody, action, [pattern]), {
      code: 'missing-token',
      status: 401,
      message: JSON.stringify(pattern),
    })
  }
  t.end()
})

await t.test('info that is nested too deep counts as missing', (t) => {
  const nested = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as unknown
  for (const depth of [1, 600])
    t.strictSame(readClaims({ fanfare: { info: nested(depth) } }, 'fanfare', []).info, nested(depth))
  for (const depth of [601, 5_000, 100_000])
    t.equal(readClaims({ fanfare: { info: nested(depth) } }, 'fanfare', []).info, undefined)
  t.end()
})
