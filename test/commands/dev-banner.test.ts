import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { developmentKey, devBanner, SECRET_FILE } from '../../src/commands/dev-banner.js'

const ADDRESS = { text: 'http://127.0.0.1:3000', url: 'http://127.0.0.1:3000' }

await t.test(
  'the token, the commands and the link have lines of their own, and the link signs in to the console',
  (t) => {
    const key = developmentKey(undefined)
    const told = devBanner(ADDRESS, key, true)
    t.equal(told.console, `http://127.0.0.1:3000/#token=${key.token}`)
    const lines = told.text.split('\n')
    for (const words of [told.token, told.subscribe, told.publish, told.console!]) t.ok(lines.includes(words), words)
    t.notOk(told.text.includes(key.secret))
    t.end()
  },
)

await t.test('without the console there is no link to it', (t) => {
  const told = devBanner(ADDRESS, developmentKey(undefined), false)
  t.notOk('console' in told)
  t.notMatch(told.text, /#token/)
  t.end()
})

await t.test('the commands for a Unix socket name it, quoted where a shell asks for that', (t) => {
  const told = devBanner(
    { text: 'unix:/run/hub.sock', url: 'http://localhost', socketPath: '/run/hub.sock' },
    developmentKey(undefined),
    true,
  )
  for (const command of [told.subscribe, told.publish])
    t.match(command, /^curl --unix-socket \/run\/hub\.sock .*http:\/\/localhost\/topics\//)
  t.notOk('console' in told, 'no browser opens it')
  t.match(
    devBanner({ text: '', url: 'http://localhost', socketPath: "/run/it's here" }, developmentKey(undefined), true)
      .publish,
    /--unix-socket '\/run\/it'\\''s here' /,
  )
  t.end()
})

await t.test('the secret is kept in the folder of the log, for its user alone', (t) => {
  const folder = join(t.testdir({}), 'new/data')
  const first = developmentKey(folder)
  t.match(first, { isKept: true })
  t.equal(developmentKey(folder).secret, first.secret)
  t.equal(statSync(join(folder, SECRET_FILE)).mode & 0o777, 0o600)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.equal(readFileSync(join(folder, SECRET_FILE), 'utf8'), `${first.secret}\n`)
  t.end()
})

await t.test('an invalid secret is replaced, and a secret that cannot be stored is for one run', (t) => {
  const folder = t.testdir({ [SECRET_FILE]: 'too short', file: '' })
  const { secret } = developmentKey(folder)
  t.equal(developmentKey(folder).secret, secret)
  for (const place of [undefined, join(folder, 'file'), '/proc/nowhere']) {
    const key = developmentKey(place)
    t.equal(key.isKept, false)
    t.not(developmentKey(place).secret, key.secret)
    t.equal(key.failure === undefined, place === undefined)
  }
  t.end()
})

await t.test('a file that is empty, short, long or binary is replaced, which the key says', (t) => {
  for (const content of [
    '',
    '\n',
    'short',
    '\0'.repeat(43),
    `${'a'.repeat(42)}\0`,
    `${'a'.repeat(43)}\0`,
    'a'.repeat(44),
    `${'a'.repeat(21)} ${'a'.repeat(21)}`,
  ]) {
    const folder = t.testdir({ [SECRET_FILE]: content })
    const key = developmentKey(folder)
    t.match(key, { isKept: true, isReplaced: true, secret: /^[\w-]{43}$/ }, JSON.stringify(content))
    t.match(developmentKey(folder), { isKept: true, isReplaced: false, secret: key.secret })
  }
  t.equal(developmentKey(t.testdir({})).isReplaced, false, 'a first start replaces nothing')
  const folder = t.testdir({ [SECRET_FILE]: t.fixture('symlink', 'nowhere') })
  t.match(developmentKey(folder), { isKept: false, failure: Error }, 'a link to nothing')
  t.end()
})

await t.test(
  'an unreadable file is not replaced',
  { skip: process.getuid?.() === 0 ? 'root may read everything' : false },
  (t) => {
    const folder = t.testdir({})
    writeFileSync(join(folder, SECRET_FILE), 'theirs')
    chmodSync(join(folder, SECRET_FILE), 0)
    t.match(developmentKey(folder), { isKept: false, failure: Error })
    t.ok(existsSync(join(folder, SECRET_FILE)))
    t.end()
  },
)
