/** Tokens that an application has its hub issue. */
import t from 'tap'
import { createTokenIssuer, type IssueOptions } from '../../src/auth/token-issuer.js'
import type { PrincipalInput } from '../../src/auth/principal-input.js'
import { openApp } from '../routes/open-app.js'
import { SECRET } from '../helper/token.js'

const SETTINGS = { jwtSecret: SECRET, jwtClaim: 'fanfare', jwtIssuer: undefined, jwtAudience: undefined }

function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>
}

await t.test('the hub accepts an issued token until it expires, for its grants only', async (t) => {
  for (const settings of [
    {},
    { jwtClaim: 'https://example.com/hub', jwtIssuer: 'https://id.example.com', jwtAudience: 'hub' },
  ]) {
    const { app, send } = await openApp(t, settings)
    const token = app.hub.issueToken(
      { subject: 'u1', subscribe: ['users.{sub}.*'], publish: ['chat'] },
      { expiresIn: '15m' },
    )
    const headers = { authorization: `Bearer ${token}` }
    t.equal((await send({ method: 'POST', url: '/topics/chat/events', payload: { data: 1 }, headers })).statusCode, 201)
    t.equal(
      (await send({ url: '/topics/users.u1.mail/events', headers: { ...headers, accept: 'application/json' } }))
        .statusCode,
      200,
    )
    t.equal(
      (await send({ url: '/topics/users.u2.mail/events', headers: { ...headers, accept: 'application/json' } }))
        .statusCode,
      403,
    )
    const left = Number(claimsOf(token)['exp']) - Date.now() / 1_000
    t.ok(left > 890 && left <= 900, `${left} s`)
  }
})

await t.test('the claims have the names of the settings, and no other members', async (t) => {
  const issue = createTokenIssuer({
    ...SETTINGS,
    jwtClaim: 'https://example.com/hub',
    jwtIssuer: 'me',
    jwtAudience: 'hub',
  })
  const { exp, iat, ...claims } = claimsOf(
    issue({ subject: 'u1', subscribe: undefined, info: { name: 'Ann' }, admin: true }, { expiresIn: 60_000 }),
  )
  t.strictSame(claims, {
    iss: 'me',
    aud: 'hub',
    sub: 'u1',
    'https://example.com/hub': { info: { name: 'Ann' }, admin: true },
  })
  t.ok(Math.abs(Number(exp) - Number(iat) - 60) <= 1)
})

await t.test('without a secret issuing throws', async (t) => {
  const issue = createTokenIssuer({ ...SETTINGS, jwtSecret: undefined })
  t.throws(() => issue({ subject: 'u1' }, { expiresIn: '1h' }), { name: 'SettingsError', message: /jwtSecret/ })
})

await t.test('claims that the hub would refuse, and void grants, are refused', async (t) => {
  const issue = createTokenIssuer(SETTINGS)
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  const wrong: [principal: unknown, options: unknown, message: RegExp][] = [
    [undefined, { expiresIn: '1h' }, /must be an object/],
    [[], { expiresIn: '1h' }, /must be an object/],
    [{ sub: 'u1' }, { expiresIn: '1h' }, /no member "sub"/],
    [{ subject: '' }, { expiresIn: '1h' }, /"sub"/],
    [{ subject: 42 }, { expiresIn: '1h' }, /"sub"/],
    [{ subscribe: 'a' }, { expiresIn: '1h' }, /fanfare\.subscribe/],
    [{ publish: ['a..b'] }, { expiresIn: '1h' }, /"a\.\.b"/],
    [{ subscribe: ['users.{sub}'] }, { expiresIn: '1h' }, /"users\.\{sub\}" would be void/],
    [{ subject: 'a.b', presence: ['users.{sub}'] }, { expiresIn: '1h' }, /void/],
    [{ admin: 'yes' }, { expiresIn: '1h' }, /fanfare\.admin/],
    [{ info: 1n }, { expiresIn: '1h' }, /JSON/],
    [{ subject: 'u1' }, undefined, /expiresIn/],
    [{ subject: 'u1' }, {}, /expiresIn/],
    [{ subject: 'u1' }, { expiresIn: '1h', notBefore: '1m' }, /no "notBefore"/],
    [{ subject: 'u1' }, { expiresIn: 'soon' }, /"soon"/],
    [{ subject: 'u1' }, { expiresIn: 900 }, /1,000 or more/],
    [{ subject: 'u1' }, { expiresIn: Infinity }, /expiresIn/],
  ]
  for (const [principal, options, message] of wrong) {
    t.throws(
      () => issue(principal as PrincipalInput, options as IssueOptions),
      { name: 'HubError', code: 'invalid-claims', message },
      String(message),
    )
  }
  t.throws(() => issue({ info: circular }, { expiresIn: '1h' }), { name: 'HubError', code: 'invalid-claims' })
})
