import t from 'tap'
import { KnownTokens } from '../../src/auth/known-tokens.js'

const SETTINGS = { jwtClaim: 'fanfare', anonymousSubscribe: [], clockTolerance: 0 }

await t.test('a token is verified once, and again after clear()', async (t) => {
  let verified = 0
  const tokens = new KnownTokens(async () => ({ sub: `u${++verified}` }), SETTINGS)
  t.equal((await tokens.read('a')).subject, 'u1')
  t.equal((await tokens.read('a')).subject, 'u1')
  t.equal((await tokens.read('b')).subject, 'u2')
  tokens.clear()
  t.equal((await tokens.read('a')).subject, 'u3')
})

await t.test('an expired token is refused, even if it is cached', async (t) => {
  const claims = { exp: Math.floor(Date.now() / 1_000) - 1 }
  const tokens = new KnownTokens(async () => claims, SETTINGS)
  for (let n = 0; n < 2; n++) await t.rejects(tokens.read('a'), { code: 'expired-token' })
})

await t.test('within the tolerance an expired token is accepted until the tolerance ends', async (t) => {
  const exp = Math.floor(Date.now() / 1_000) - 1
  const tokens = new KnownTokens(async () => ({ exp }), { ...SETTINGS, clockTolerance: 60_000 })
  t.match(await tokens.read('a'), { expiresAt: exp * 1_000, acceptedUntil: exp * 1_000 + 60_000 })
})

await t.test('refusals are not cached', async (t) => {
  let isRefused = true
  const tokens = new KnownTokens(async () => {
    if (isRefused) throw new Error('refused')
    return { sub: 'u1' }
  }, SETTINGS)
  await t.rejects(tokens.read('a'), { message: 'refused' })
  isRefused = false
  t.equal((await tokens.read('a')).subject, 'u1')
})
