import t from 'tap'
import { optionsFor, readOptions, refusalOf, UsageError } from '../../bench/options.js'
import { durableStreamsVersion } from '../../bench/durable-streams-package.js'
import { scenarios } from '../../bench/scenarios/index.js'

/** Returns why a scenario refuses the arguments; `undefined`: it runs. */
function refusal(name: string, ...args: string[]): string | undefined {
  const scenario = scenarios.find((known) => known.name === name)!
  return refusalOf(scenario, optionsFor(scenario, readOptions([name, ...args])))
}

await t.test('without options every scenario runs, and those of several processes use a log that these share', (t) => {
  for (const { name } of scenarios) t.equal(refusal(name), undefined, name)
  const commandLine = readOptions([])
  const logs = scenarios.map((scenario) => `${scenario.name} ${optionsFor(scenario, commandLine).log}`)
  t.same(
    logs.filter((log) => log.endsWith(' file')),
    ['processes file', 'many file'],
  )
  t.end()
})

await t.test('combinations that measure nothing are refused with a sentence', (t) => {
  t.match(refusal('fanout-paced', '--workers', '2'), /needs a log that processes share.*add --log file or --log nats\./)
  t.equal(refusal('fanout-paced', '--workers', '2', '--log', 'file'), undefined)
  t.equal(refusal('fanout-paced', '--workers', '2', '--log', 'nats'), undefined)
  t.match(refusal('ndjson', '--workers', '2', '--log', 'file'), /ndjson measures one process: leave out --workers\./)
  t.match(refusal('processes', '--log', 'memory'), /processes measures several processes.*leave out --log/)
  t.match(refusal('start-up', '--log', 'nats'), /start-up measures a log of the machine itself/)
  t.match(refusal('idle', '--subscribers', '9'), /--subscribers is for many, and not for idle\./)
  t.equal(refusal('many', '--subscribers', '9'), undefined)
  t.match(refusal('publish', '--publish-rate', '9'), /--publish-rate is for many-topics, and not for publish\./)
  t.match(
    refusal('publish', '--durable-streams', 'x'),
    /--durable-streams is for stream-appends, and not for publish\./,
  )
  t.equal(refusal('stream-appends', '--durable-streams', 'x'), undefined)
  t.end()
})

await t.test('TLS and HTTP/2 are for the scenarios that measure them', (t) => {
  for (const { name } of scenarios) {
    const takesTls = ['fanout-paced', 'first-minute', 'fanout-flood', 'idle'].includes(name)
    if (takesTls) t.equal(refusal(name, '--tls'), undefined, name)
    else t.match(refusal(name, '--tls'), `--tls is for the fan-out scenarios and idle, and not for ${name}.`)
    if (name === 'idle') t.equal(refusal(name, '--http2'), undefined)
    else
      t.match(
        refusal(name, '--http2'),
        `--http2 is for idle, which measures the memory of streams, and not for ${name}.`,
      )
  }
  t.end()
})

await t.test('a folder without the server to compare with is refused with the command that installs it', (t) => {
  const folder = t.testdir()
  t.throws(() => durableStreamsVersion(folder), { name: 'UsageError', message: /npm install --prefix/ })
  t.end()
})

await t.test('values that are no options are refused', (t) => {
  const refused = (...args: string[]) => t.throws(() => readOptions(args), UsageError)
  refused('--workers', '0')
  refused('--workers', '65')
  refused('--workers', '1.5')
  refused('--subscribers', '-1')
  refused('--runs', '100')
  refused('--fast')
  t.throws(() => readOptions(['--log', 'nats', '--durability', 'sync']), /--durability is for a log in a folder/)
  t.end()
})
