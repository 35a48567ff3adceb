import { generateKeyPairSync, randomBytes, type KeyPairKeyObjectResult } from 'node:crypto'
import t, { type Test } from 'tap'
import type { KeySetOptions } from '../../src/auth/key-set.js'
import { TokenVerifier } from '../../src/auth/verifier.js'
import { Problem } from '../../src/errors.js'
import { resolveSettings } from '../../src/settings.js'
import { jwk, startKeyServer, type KeyServer } from './key-server.js'
import { signWith, type Algorithm } from './sign.js'

type Outcome = 'accepted' | 'temporary' | 'final'

const old = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const fresh = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 })

function tokenOf({ privateKey }: KeyPairKeyObjectResult, alg: Algorithm, kid?: string): string {
  return signWith(privateKey, alg, { jti: randomBytes(8).toString('hex') }, kid === undefined ? {} : { kid })
}

async function outcomeOf(verifier: TokenVerifier, token: string): Promise<Outcome> {
  try {
    await verifier.verify(token)
    return 'accepted'
  } catch (err) {
    if (!(err instanceof Problem)) throw err
    if (err.code === 'keys-unavailable' && err.isTemporary && (err.retryAfter ?? 0) > 0) return 'temporary'
    if (err.code === 'invalid-signature' && err.status === 401 && !err.isTemporary) return 'final'
    throw err
  }
}

/** A verifier that has fetched `keys`. Within the cool-down no other fetch is allowed; `endCooldown` ends it. */
async function openVerifier(
  t: Test,
  keys: object[],
): Promise<{ server: KeyServer; verifier: TokenVerifier; endCooldown: () => void; beginCooldown: () => void }> {
  const server = await startKeyServer(t, keys)
  const options: KeySetOptions = { cooldown: 60_000 }
  const verifier = new TokenVerifier(resolveSettings({ jwksUrl: server.url, jwtSecret: undefined }), undefined, options)
  await verifier.prepare()
  return {
    server,
    verifier,
    endCooldown: () => (options.cooldown = 0),
    beginCooldown: () => (options.cooldown = 60_000),
  }
}

interface Case {
  name: string
  /** The keys that the hub has fetched; by default the old key as `k1`. */
  before?: object[]
  /** The keys that the key server publishes now. */
  after?: object[]
  token: string
  /** A token that was presented before, within the cool-down. */
  provocation?: string
  within: Outcome
  later: Outcome
}

const k1 = [jwk(old, { kid: 'k1' })]

const CASES: Case[] = [
  { name: 'a known key, with its kid', token: tokenOf(old, 'ES256', 'k1'), within: 'accepted', later: 'accepted' },
  { name: 'a known key, without kid', token: tokenOf(old, 'ES256'), within: 'accepted', later: 'accepted' },
  {
    name: 'a known key that is withdrawn',
    after: [jwk(fresh, { kid: 'k2' })],
    token: tokenOf(old, 'ES256', 'k1'),
    provocation: tokenOf(fresh, 'ES256', 'k2'),
    within: 'accepted',
    later: 'accepted',
  },
  {
    name: 'a new key, without kid',
    before: [jwk(old)],
    after: [jwk(fresh)],
    token: tokenOf(fresh, 'ES256'),
    within: 'temporary',
    later: 'accepted',
  },
  {
    name: 'a new key of another algorithm, without kid',
    after: [...k1, jwk(rsa)],
    token: tokenOf(rsa, 'RS256'),
    within: 'temporary',
    later: 'accepted',
  },
  {
    name: 'a new key with a new kid',
    after: [...k1, jwk(fresh, { kid: 'k2' })],
    token: tokenOf(fresh, 'ES256', 'k2'),
    within: 'temporary',
    later: 'accepted',
  },
  {
    name: 'a new key whose kid another token has used',
    after: [...k1, jwk(fresh, { kid: 'k2' })],
    token: tokenOf(fresh, 'ES256', 'k2'),
    provocation: tokenOf(foreign, 'ES256', 'k2'),
    within: 'temporary',
    later: 'accepted',
  },
  {
    name: 'a new key with a known kid',
    after: [jwk(fresh, { kid: 'k1' })],
    token: tokenOf(fresh, 'ES256', 'k1'),
    within: 'temporary',
    later: 'accepted',
  },
  {
    name: 'a new key of another algorithm with a known kid',
    after: [jwk(rsa, { kid: 'k1' })],
    token: tokenOf(rsa, 'RS256', 'k1'),
    within: 'temporary',
    later: 'accepted',
  },
  {
    name: 'a key that replaces a weak one',
    before: [...k1, jwk(weak, { kid: 'r' })],
    after: [...k1, jwk(rsa, { kid: 'r' })],
    token: tokenOf(rsa, 'RS256', 'r'),
    within: 'temporary',
    later: 'accepted',
  },
  {
    name: 'a key that replaces a malformed one',
    before: [...k1, { kty: 'RSA', n: 'AA', kid: 'r' }],
    after: [...k1, jwk(rsa, { kid: 'r' })],
    token: tokenOf(rsa, 'RS256', 'r'),
    within: 'temporary',
    later: 'accepted',
  },
  {
    name: 'a known key beside a malformed one, without kid',
    before: [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }, jwk(old)],
    token: tokenOf(old, 'ES256'),
    within: 'accepted',
    later: 'accepted',
  },
  { name: 'a made-up name', token: tokenOf(foreign, 'ES256', 'k9'), within: 'temporary', later: 'final' },
  { name: 'a foreign key, without kid', token: tokenOf(foreign, 'ES256'), within: 'temporary', later: 'final' },
  {
    name: 'a foreign key with a known kid',
    token: tokenOf(foreign, 'ES256', 'k1'),
    within: 'temporary',
    later: 'final',
  },
  {
    name: 'a foreign key of another algorithm with a known kid',
    token: tokenOf(rsa, 'RS256', 'k1'),
    within: 'temporary',
    later: 'final',
  },
  {
    name: 'a foreign key of an algorithm without keys',
    token: tokenOf(rsa, 'RS256'),
    within: 'temporary',
    later: 'final',
  },
  {
    name: 'a weak key',
    before: [...k1, jwk(weak, { kid: 'r' })],
    token: tokenOf(weak, 'RS256', 'r'),
    within: 'temporary',
    later: 'final',
  },
  {
    name: 'a malformed key',
    before: [...k1, { kty: 'RSA', n: 'AA', kid: 'r' }],
    token: tokenOf(rsa, 'RS256', 'r'),
    within: 'temporary',
    later: 'final',
  },
]

for (const { name, before = k1, after = before, token, provocation, within, later } of CASES) {
  await t.test(`${name}: ${within} within the cool-down, ${later} after it`, async (t) => {
    const { server, verifier, endCooldown, beginCooldown } = await openVerifier(t, before)
    if (provocation !== undefined) {
      t.equal(await outcomeOf(verifier, provocation), 'temporary', 'the other token is refused temporarily')
      endCooldown()
      await verifier.prepare()
      beginCooldown()
    }
    const { fetches } = server
    server.keys = after
    t.equal(await outcomeOf(verifier, token), within)
    t.equal(await outcomeOf(verifier, token), within, 'a second try has the same outcome')
    t.equal(server.fetches, fetches, 'no key set is fetched')
    endCooldown()
    t.equal(await outcomeOf(verifier, token), later)
    beginCooldown()
    t.equal(await outcomeOf(verifier, token), later, 'a second try after the fetch has the same outcome')
  })
}

await t.test('the fetch for another token makes a refusal final', async (t) => {
  const { server, verifier, endCooldown, beginCooldown } = await openVerifier(t, k1)
  const tokens = [tokenOf(foreign, 'ES256', 'k9'), tokenOf(foreign, 'ES256'), tokenOf(foreign, 'ES256', 'k1')]
  for (const token of tokens) t.equal(await outcomeOf(verifier, token), 'temporary')
  endCooldown()
  t.equal(await outcomeOf(verifier, tokenOf(foreign, 'ES256', 'another')), 'final')
  beginCooldown()
  for (const token of tokens) t.equal(await outcomeOf(verifier, token), 'final')
  t.equal(
    await outcomeOf(verifier, tokenOf(foreign, 'ES256', 'k9')),
    'temporary',
    'a token that arrives after the fetch is refused temporarily',
  )
  t.equal(server.fetches, 2)
})

await t.test('a fetch that began before a token arrived does not make its refusal final', async (t) => {
  const { server, verifier, endCooldown, beginCooldown } = await openVerifier(t, k1)
  let release = (): void => undefined
  server.hold = new Promise((resolve) => (release = resolve))
  endCooldown()
  const fetching = verifier.prepare()
  const answer = outcomeOf(verifier, tokenOf(fresh, 'ES256', 'k2'))
  beginCooldown()
  release()
  await fetching
  t.equal(await answer, 'temporary')
})

await t.test('a final refusal stays final while the key server is down', async (t) => {
  const { server, verifier, endCooldown } = await openVerifier(t, k1)
  const token = tokenOf(foreign, 'ES256', 'k9')
  endCooldown()
  t.equal(await outcomeOf(verifier, token), 'final')
  server.keys = undefined
  t.equal(await outcomeOf(verifier, token), 'final')
  t.equal(
    await outcomeOf(verifier, tokenOf(foreign, 'ES256', 'k9')),
    'temporary',
    'a token that arrives during the outage is refused temporarily',
  )
  t.equal(await outcomeOf(verifier, tokenOf(old, 'ES256', 'k1')), 'accepted')
})

await t.test('many tokens without a key cause few requests, and older ones are forgotten', async (t) => {
  const { server, verifier, endCooldown } = await openVerifier(t, k1)
  const early = tokenOf(foreign, 'ES256', 'k9')
  t.equal(await outcomeOf(verifier, early), 'temporary')
  const outcomes = new Set<Outcome>()
  for (let n = 0; n < 2_100; n++) outcomes.add(await outcomeOf(verifier, `${early}${n}`))
  t.strictSame([...outcomes], ['temporary'])
  t.equal(server.fetches, 1)
  endCooldown()
  t.equal(await outcomeOf(verifier, early), 'final')
})
