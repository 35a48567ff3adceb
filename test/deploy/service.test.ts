/** The unit of systemd agrees with the hub, and systemd accepts it. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { CLOSE_GRACE } from '../../src/commands/serve.js'
import { loadSettings } from '../../src/settings.js'
import { findOrInstall } from '../helper/apt.js'
import { readText } from './files.js'

/** The most that `systemd-analyze security` may find, of 10. */
const EXPOSURE = 1.5

const unit = readText('deploy/fanfare.service')
const path = findOrInstall(['systemd-analyze'], 'systemd')
if (path === undefined && process.env['CI'] !== undefined) t.fail('there is no systemd-analyze')
const skip = path === undefined && 'there is no systemd-analyze: apt-get install systemd'

/** Returns the value of the only line of this name. */
function valueOf(name: string): string {
  const values = [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value!)
  if (values.length !== 1) throw new Error(`${values.length} lines are ${name}`)
  return values[0]!
}

const environment = Object.fromEntries(
  valueOf('Environment')
    .split(' ')
    .map((variable) => variable.split('=') as [string, string]),
)

await t.test('the hub has valid settings, and keeps its log in its folder', (t) => {
  const { hub } = loadSettings(environment)
  t.equal(environment['NODE_ENV'], 'production')
  t.match(hub.log, new RegExp(`^file:/var/lib/${valueOf('StateDirectory')}/`))
  t.end()
})

await t.test('it may open enough descriptors, and has time to stop', (t) => {
  const { hub } = loadSettings(environment)
  t.ok(Number(valueOf('LimitNOFILE')) >= hub.maxConnections + 100)
  t.ok(Number.parseInt(valueOf('TimeoutStopSec'), 10) * 1_000 > hub.drain + CLOSE_GRACE)
  t.end()
})

await t.test('it starts as the image does', (t) => {
  const [, ...image] = JSON.parse(/^CMD (\[.*\])$/m.exec(readText('Dockerfile'))![1]!) as string[]
  const [, ...own] = valueOf('ExecStart').split(' ')
  t.strictSame(own, [...image.slice(0, -1), `${valueOf('WorkingDirectory')}/${image.at(-1)!}`])
  t.end()
})

await t.test('systemd accepts the unit, and finds little to protect', { skip }, (t) => {
  const file = join(t.testdir({}), 'fanfare.service')
  writeFileSync(file, unit.replace('/usr/bin/node', process.execPath))
  const run = (...args: string[]) => spawnSync(path!, args, { encoding: 'utf8' })
  const verified = run('verify', file)
  t.equal(verified.status, 0)
  t.equal(verified.stderr, '')
  const { stdout } = run('security', '--offline=true', '--no-pager', file)
  const [, exposure] = /exposure level for \S+: ([\d.]+)/.exec(stdout) ?? []
  t.ok(Number(exposure) <= EXPOSURE, `an exposure of ${exposure ?? 'an unknown value'}`)
  t.end()
})
