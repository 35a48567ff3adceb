/** The declarations of the package, as a TypeScript application that embeds the hub uses them. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { installPackage, ROOT } from '../helper/installed-package.js'

const run = promisify(execFile)
/** A busy machine needs this time to compile, in milliseconds. */
const TIMEOUT = 240_000

const APPLICATION = `
import Fastify from 'fastify'
import type { FastifyBaseLogger } from 'fastify'
import fanfare, {
  type Authenticate, type AuthenticatedPrincipal, buildApp, HubError, loadSettings, SettingsError, type EventGap, type EventInput, type EventsOptions, type FanfareHub, type FanfareOptions, type HubEvent,
  type ConnectionsOptions, type ConnectionsPage, type FanfareConnections,
  type IssueOptions, type LogStats, type PresentSubject, type PrincipalInput, type Receipt, type Settings, type StreamInfo, type TopicInfo,
} from 'fanfare'
import {
  FollowedView, logContract, MemoryLog, readPage, Selection, type Appended, type ContractCase, type EventLog, type LogLimits, type LogUnderTest, type OpenLog, type ReopenLog, type KeyValue, type LogDelta, type LogView, type NewEvent, type ScanResult,
} from 'fanfare/log'
import { openPublisher, type FolderPublisher, type PublishedEvent, type PublisherOptions } from 'fanfare/publisher'

const app = Fastify({ routerOptions: { maxParamLength: 600 } })
await app.register(fanfare, { prefix: '/realtime', jwtSecret: process.env.JWT_SECRET, log: 'file:./data', retainAge: 1_000, corsOrigins: ['https://a.example'] })
const receipt: Receipt = await app.hub.publish('orders.42', { type: 'created', data: { total: 12 } })
const id: string | null = receipt.id
const hub: FanfareHub = app.hub
const event: EventInput = { text: 'x' }
await hub.publish('a', event)
await hub.publish('a', { bytes: new Uint8Array(2), attributes: { traceparent: '00', tracestate: undefined } })
const options: EventsOptions = { from: 'start', types: ['created'], signal: AbortSignal.timeout(1_000) }
for await (const item of hub.events(['orders.*'], options)) {
  if (item.gap) {
    const gap: EventGap = item
    hub.events('a', { from: gap.gap.oldest ?? new Date(0) })
    continue
  }
  const logged: HubEvent = item
  const data: unknown = logged.data
  await hub.publish(logged.topic, { data, type: logged.type, attributes: logged.attributes, bytes: logged.bytes })
  const length: number | undefined = logged.bytes?.length
  if (length === 0) break
}
const login: Authenticate = async ({ headers }) => {
  if (headers.cookie === undefined) return undefined
  return { subject: 'u1', subscribe: ['a'], expiresAt: new Date() } satisfies AuthenticatedPrincipal
}
await app.register(async (scope) => void await scope.register(fanfare, { prefix: '/login', jwtSecret: 'x', authenticate: login }))
await app.register(fanfare, { authenticate: ({ url }) => (url === '/' ? { admin: true } : undefined) })
const principal: PrincipalInput = { subject: 'u1', subscribe: ['users.{sub}.**'] }
const issue: IssueOptions = { expiresIn: '15m' }
const signed: string = hub.issueToken(principal, issue)
const present: PresentSubject[] = await hub.present('a')
const topic: TopicInfo = await hub.topic('a')
const stats: LogStats = hub.stats()
const count: number = (await hub.purge(signed)) + hub.connections.size + present.length + topic.events + stats.events

const streams: FanfareConnections = hub.connections
const asked: ConnectionsOptions = { subject: 'u1', limit: 10 }
const page: ConnectionsPage = await streams.list(asked)
const stream: StreamInfo | undefined = page.more ? page.connections[0] : streams.get('c1')
const ended: boolean = stream !== undefined && streams.end(stream.id)

const { hub: settings } = loadSettings(process.env)
const retained: number = settings.retainEvents
const all: Settings = settings
await Fastify().register(fanfare, { prefix: '/realtime', ...all })
await app.register(async (scope) => {
  await scope.register(fanfare, { prefix: '/other', log: 'memory', jwksUrl: 'https://a.example/jwks' } satisfies FanfareOptions)
  await scope.hub.drain(10)
})
await Fastify({ http2: true }).register(fanfare, { jwtSecret: 'x' })
declare const loggerInstance: FastifyBaseLogger & { theirs: string }
await Fastify({ loggerInstance }).register(fanfare, { jwtSecret: 'x' })
const own = await buildApp({ jwtSecret: 'x', trustProxy: true })
await own.hub.publish('a', { data: 1 })
if (new HubError('invalid-topic', 'x').code === 'invalid-topic') throw new SettingsError(String(id) + retained + count + String(ended))

const memory: EventLog = new MemoryLog({ events: 10, age: 1_000, bytes: 1_000_000, dedupWindow: 0 })
class CountingLog {
  readonly view: LogView = memory.view
  readonly records: KeyValue = memory.records
  appended = 0
  async append(events: readonly NewEvent[]): Promise<Appended[]> {
    this.appended += events.length
    return memory.append(events)
  }
}
const counting: EventLog = Object.assign(memory, new CountingLog())
const view = new FollowedView({ epoch: 'x', failure: () => undefined, stats: () => memory.view.stats() }, { head: 0, mark: 0 })
const following = await counting.follow((delta: LogDelta) => view.apply(delta))
const scanned: ScanResult = await counting.scan(new Selection(['a.*']), { after: following.head }, ({ topic }) => topic !== '')
await readPage(counting, new Selection(['a']), { after: scanned.position, events: 10 })
const open: OpenLog = async (retention, clock, elapsed) => new MemoryLog(retention, clock, elapsed)
const reopen: ReopenLog = async (closed, retention, clock, elapsed) => (await closed.close(), open(retention, clock, elapsed))
const limits: LogLimits = { clock: 'its server has a clock of its own' }
const underTest: LogUnderTest = { open, reopen, limits, seed: 1 }
const [promise]: ContractCase[] = logContract(underTest)
if (promise?.skip === false) await promise.run()
// @ts-expect-error: the log has to be opened
logContract({ reopen })
await Fastify().register(fanfare, { prefix: '/own', jwtSecret: 'x', log: counting })
await buildApp({ jwtSecret: 'x', log: counting })

const retention: PublisherOptions = { retainEvents: 10, retainAge: 1_000, onError: (err, message) => console.error(message, err) }
const publisher: FolderPublisher = await openPublisher('file:./data', retention)
await openPublisher(settings.log, settings)
const [published]: PublishedEvent[] = await publisher.publishAll([{ topic: 'a', ...event }])
const cursor: string | null = (published ?? (await publisher.publish('a', { data: 1, id: 'x' }))).id
await publisher.close()
// @ts-expect-error: it does not know the subscribers
cursor === null && published.subscribers
// @ts-expect-error: there is no such option
await openPublisher('file:./data', { retainEvent: 1 })
// @ts-expect-error: no address of a log
await openPublisher('./data')
// @ts-expect-error: a log has more members
await app.register(fanfare, { log: new CountingLog() })
// @ts-expect-error: unknown option
await app.register(fanfare, { retainEvent: 1 })
// @ts-expect-error: a setting of the process
await app.register(fanfare, { port: 3000 })
// @ts-expect-error: an option of the hub's own application only
await app.register(fanfare, { ownsRoot: true })
// @ts-expect-error: a number of milliseconds
await app.register(fanfare, { retainAge: '1s' })
// @ts-expect-error: not an address of a log
await app.register(fanfare, { log: 'disk' })
// @ts-expect-error: not a value of the option
await app.register(fanfare, { durability: 'none' })
// @ts-expect-error: unknown member
await app.hub.publish('a', { date: 1 })
// @ts-expect-error: a topic is text
await app.hub.publish(42, { data: 1 })
// @ts-expect-error: a token needs an expiry
app.hub.issueToken({ subject: 'u1' })
// @ts-expect-error: an internal member
app.hub.locate
// @ts-expect-error: unknown option
await app.hub.connections.list({ subjects: 'u1' })
// @ts-expect-error: an item may be a gap, which has no data
for await (const item of app.hub.events('a')) item.data
// @ts-expect-error: unknown member
await app.register(fanfare, { authenticate: () => ({ sub: 'u1' }) })
// @ts-expect-error: unknown code
new HubError('invalid-topics', 'x')
`

// with `skipLibCheck: true`, declarations that do not compile would become `any`, and nothing would be checked
const resolutions = [
  ['node16', 'node16', false],
  ['nodenext', 'nodenext', false],
  ['esnext', 'bundler', false],
  ['esnext', 'bundler', true],
] as const

await t.test(
  'an application compiles with every module resolution, and misspelt names do not',
  { timeout: 2 * TIMEOUT },
  async (t) => {
    const folder = await installPackage(t, { 'app.ts': APPLICATION }, ['@types/node'])
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    for (const [module, moduleResolution, skipLibCheck] of resolutions) {
      const project = join(folder, `tsconfig.${moduleResolution}.json`)
      writeFileSync(
        project,
        JSON.stringify({
          compilerOptions: {
            noEmit: true,
            target: 'es2023',
            module,
            moduleResolution,
            types: ['node'],
            strict: true,
            exactOptionalPropertyTypes: true,
            skipLibCheck,
          },
          files: ['app.ts'],
        }),
      )
      const found = await run(process.execPath, [tsc, '-p', project], {
        cwd: folder,
        timeout: TIMEOUT,
        env: { PATH: process.env['PATH'] },
      }).then(
        () => '',
        (err: unknown) => (err as { stdout?: string }).stdout || String(err),
      )
      t.equal(found, '', `${moduleResolution}, skipLibCheck: ${String(skipLibCheck)}`)
    }
  },
)
