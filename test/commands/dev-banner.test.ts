import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { developmentKey, devBanner, programName, SECRET_FILE } from '../../src/commands/dev-banner.js'

const ADDRESS = { text: 'http://127.0.0.1:3000', url: 'http://127.0.0.1:3000' }

await t.test(
  'the token, the commands and the link are on separate lines, and the link signs in to the console',
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

await t.test('without the console no link is printed', (t) => {
  const told = devBanner(ADDRESS, developmentKey(undefined), false)
  t.notOk('console' in told)
  t.notMatch(told.text, /#token/)
  t.end()
})

await t.test('the commands for a Unix socket have its path, quoted if a shell requires it', (t) => {
  const told = devBanner(
    { text: 'unix:/run/hub.sock', url: 'http://localhost', socketPath: '/run/hub.sock' },
    developmentKey(undefined),
    true,
  )
  for (const command of [told.subscribe, told.publish])
    t.match(command, /^curl --unix-socket \/run\/hub\.sock .*http:\/\/localhost\/topics\//)
  t.notOk('console' in told, 'a browser cannot open a Unix socket, so no link is printed')
  t.match(
    devBanner({ text: '', url: 'http://localhost', socketPath: "/run/it's here" }, developmentKey(undefined), true)
      .publish,
    /--unix-socket '\/run\/it'\\''s here' /,
  )
  t.end()
})

await t.test(
  'the commands of the package are printed if they find the secret, with the address if it is another',
  (t) => {
    const key = { ...developmentKey(undefined), isKept: true }
    const { commands, text } = devBanner(ADDRESS, key, true, 'npx fanfare')
    t.strictSame(commands, {
      subscribe: "npx fanfare subscribe 'orders.*' --replay all",
      publish: `npx fanfare publish orders.42 '{"total":12}' --type created`,
    })
    for (const line of Object.values(commands!)) t.ok(text.split('\n').includes(line), line)
    const other = { text: 'unix:/run/a hub.sock', url: 'http://localhost', socketPath: '/run/a hub.sock' }
    t.match(devBanner(other, key, true, 'fanfare').commands!.publish, / --url 'unix:\/run\/a hub\.sock'$/)
    t.notOk('commands' in devBanner(ADDRESS, { ...key, isKept: false }, true, 'fanfare'))
    t.end()
  },
)

await t.test('the program is named as it was started', (t) => {
  t.equal(programName('/x/node_modules/.bin/fanfare', { npm_command: 'exec' }), 'npx fanfare')
  t.equal(programName('/usr/bin/fanfare', {}), 'fanfare')
  t.equal(programName('/x y/dist/main.js', {}), "node '/x y/dist/main.js'")
  t.end()
})

await t.test('the secret is stored in the folder of the log, readable by its user only', (t) => {
  const folder = join(t.testdir({}), 'new/data')
  const first = developmentKey(folder)
  t.match(first, { isKept: true })
  t.equal(developmentKey(folder).secret, first.secret)
  t.equal(statSync(join(folder, SECRET_FILE)).mode & 0o777, 0o600)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.equal(readFileSync(join(folder, SECRET_FILE), 'utf8'), `${first.secret}\n`)
  t.end()
})

await t.test('an invalid secret is replaced, and a secret that cannot be stored is used for one run', (t) => {
  const folder = t.testdir({ [SECRET_FILE]: 'too short', file: '' })
  const { secret } = developmentKey(folder)
  t.equal(developmentKey(folder).secret, secret)
  for (const folderPath of [undefined, join(folder, 'file'), '/proc/nowhere']) {
    const key = developmentKey(folderPath)
    t.equal(key.isKept, false)
    t.not(developmentKey(folderPath).secret, key.secret)
    t.equal(key.failure === undefined, folderPath === undefined)
  }
  t.end()
})

await t.test('a secret file that is empty, short, long or binary is replaced, and the replacement is reported', (t) => {
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
  t.equal(developmentKey(t.testdir({})).isReplaced, false, 'the first start replaces no secret')
  const folder = t.testdir({ [SECRET_FILE]: t.fixture('symlink', 'nowhere') })
  t.match(developmentKey(folder), { isKept: false, failure: Error }, 'a dangling link')
  t.end()
})

await t.test(
  'an unreadable file is not replaced',
  { skip: process.getuid?.() === 0 ? 'root can read every file' : false },
  (t) => {
    const folder = t.testdir({})
    writeFileSync(join(folder, SECRET_FILE), 'theirs')
    chmodSync(join(folder, SECRET_FILE), 0)
    t.match(developmentKey(folder), { isKept: false, failure: Error })
    t.ok(existsSync(join(folder, SECRET_FILE)))
    t.end()
  },
)
