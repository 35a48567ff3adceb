/**
 * Three hubs on three NATS servers with three replicas, of which any is killed, frozen or stopped at any moment. One
 * server at a time is away, and with `NATS_OUTAGES` now and then two: then nothing can be published, and publishing
 * continues afterwards. Every promise of the API holds for all publishers and subscribers.
 *
 * `NATS_KILLS` is the number of kills; without it the test is skipped, since a NATS server may stop to store events
 * under these faults (docs/scaling.md). `NATS_OUTAGES=30` adds an outage to one fault in 30, and `NATS_SEED` repeats
 * the choices of a run.
 */
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { Faults } from '../helper/chaos/faults.js'
import { HubPlace, NatsPlace } from '../helper/chaos/places.js'
import { runChaos } from '../helper/chaos/run.js'
import { Story, type Span } from '../helper/chaos/story.js'
import { poll } from '../helper/deadline.js'
import { post, request } from '../helper/http.js'
import { skipNats, startNatsCluster } from '../helper/nats.js'
import type { Random } from '../helper/random.js'
import { anyTopic } from '../helper/token.js'

const KILLS = Number(process.env['NATS_KILLS'] ?? 0)
const SEED = Number(process.env['NATS_SEED'] ?? Date.now() % 1_000_000)
/** The time after which there are no more faults, in milliseconds. */
const MAX_TIME = Number(process.env['NATS_TIME'] ?? Infinity)
/** The times between two faults, in milliseconds. */
const PAUSES = [20, 50, 100, 300]
/** FANFARE_NATS_TIMEOUT, in milliseconds. */
const TIMEOUT = 2_000
/** Allowance for a busy machine, in milliseconds. */
const SLACK = 3_000
/** FANFARE_PRESENCE_GRACE, and the time after which a silent hub has gone; in milliseconds. */
const GRACE = 1_000
const GONE = 9_000
/** FANFARE_RETAIN_EVENTS: more than any topic has whose events are not to be trimmed. */
const RETAINED = 4_000 + 60 * KILLS
/**
 * One fault out of so many is followed by a time without a quorum; 0: none. `nats-replicas.test.ts` has outages of its
 * own.
 */
const OUTAGES = Number(process.env['NATS_OUTAGES'] ?? 0)
/** After this time nothing is under way that the lost servers have answered, in milliseconds. */
const SETTLED = 500
/** What a hub tells the operator of a stream that answers and stores nothing. */
const STALLED = /stores nothing: if this lasts, restart its leader, the NATS server (\w+)/
/** The time in which a running hub notices that, in milliseconds. */
const NOTICED = 15_000
/** How long there is no quorum, in milliseconds, and how long the hubs may take to recover. */
const OUTAGE = 2_500
const RECOVERY = 60_000

const skip = KILLS > 0 ? skipNats : 'set NATS_KILLS to run the chaos test on NATS'

t.setTimeout(300_000 + KILLS * 5_000)

await t.test('every promise holds whichever processes are killed', { skip }, async (t) => {
  t.comment(`NATS_KILLS=${KILLS} NATS_SEED=${SEED}`)
  const story = new Story()
  const started = await startNatsCluster(t, 3)
  const servers = started.map((server, n) => new NatsPlace(`nats-${n}`, story, server))
  const env = {
    FANFARE_LOG: `nats://${started.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    FANFARE_NATS_REPLICAS: '3',
    FANFARE_NATS_TIMEOUT: `${TIMEOUT}ms`,
    FANFARE_PRESENCE_GRACE: `${GRACE}ms`,
    FANFARE_RETAIN_EVENTS: String(RETAINED),
    FANFARE_HEARTBEAT: '1s',
    FANFARE_DRAIN: '500ms',
  }
  /** A hub that starts while NATS has no quorum gives up. */
  const mayRefuse = /NATS|JetStream/
  const hubs = await Promise.all([0, 1, 2].map((n) => HubPlace.create(t, `hub-${n}`, story, { env, mayRefuse })))
  await runChaos(t, story, {
    hubs,
    groups: [
      { places: hubs, limits: [1, 1, 2], freezes: [50, 400, 2_500] },
      {
        places: servers,
        limits: [1],
        freezes: [50, 400, 400, 2_500, 2_500, 12_000],
        recovered: () => recovered(story, servers),
      },
    ],
    servers,
    pauses: PAUSES,
    kills: KILLS,
    maxTime: MAX_TIME,
    seed: SEED,
    patience: TIMEOUT,
    retained: RETAINED,
    purges: 'known',
    leaveTime: GRACE + GONE,
    explain: async () => (await Promise.all(servers.map((server) => server.report()))).flat(),
    relieve: async (faults) => restartStalledLeader(story, { hubs, servers, faults }),
    between: async ({ faults, numbers }) =>
      OUTAGES > 0 && numbers.below(OUTAGES) === 0 ? loseQuorum(story, { hubs, servers, faults, numbers }) : undefined,
  })
})

/**
 * Resolves when every server says that it has all streams, or after a time: the health of the servers is no promise of
 * a hub, and what the hubs promise is checked all the same.
 */
async function recovered(story: Story, servers: readonly NatsPlace[]): Promise<void> {
  await poll(
    async () => ((await Promise.all(servers.map((server) => server.isHealthy()))).every(Boolean) ? true : undefined),
    () => 'not all NATS servers call themselves healthy',
    RECOVERY,
  ).catch((err: unknown) => story.fault(String(err)))
}

interface House {
  hubs: readonly HubPlace[]
  servers: readonly NatsPlace[]
  faults: Faults
  numbers: Random
}

/**
 * nats-server 2.15 has a fault: a leader that has outlived the other servers may store nothing any more, though it says
 * that it is well (docs/nats.md). Every hub has to be unready then, and to tell the operator which server to restart.
 * This restarts it.
 */
async function restartStalledLeader(story: Story, { hubs, servers, faults }: Omit<House, 'numbers'>): Promise<boolean> {
  const settled = hubs.filter((hub) => !hub.wasDisturbed(story.now() - NOTICED))
  if (settled.length === 0) return true // no hub runs for long enough
  const said = settled.map(({ hub }) => STALLED.exec(JSON.stringify(hub.logs().findLast(({ err }) => err)))?.[1])
  const ready = await Promise.all(settled.map(({ url }) => request(`${url}/health/ready`).catch(() => undefined)))
  const leader = servers.find((_, n) => said.includes(`n${n}`))
  if (!leader || ready.some((answer) => answer?.status === 200)) return false
  story.fault(`${leader.name} stores nothing, as every hub says: it is restarted`)
  if (faults.isFree(leader)) faults.begin(leader, 'stop', { freezes: [], recovered: () => recovered(story, servers) })
  return true
}

/** Takes two of three servers away for a while. Returns when nothing could be published. */
async function loseQuorum(story: Story, { hubs, servers, faults, numbers }: House): Promise<Span> {
  await faults.settled()
  const kept = numbers.pick(servers)
  const lost = servers.filter((server) => server !== kept)
  const isFrozen = numbers.below(2) === 0
  story.fault(`${lost.map(({ name }) => name).join(' and ')} are ${isFrozen ? 'frozen' : 'killed'}: no quorum`)
  const from = story.now()
  await Promise.all(lost.map(async (server) => (isFrozen ? server.freeze() : server.end('SIGKILL'))))
  await delay(SETTLED)
  const publish = async (hub: HubPlace) => {
    const at = story.now()
    const { status } = await post(`${hub.url}/topics/probe/events`, { data: 'probe' }, anyTopic())
    return { status, time: story.now() - at }
  }
  await Promise.all(
    hubs.map(async (hub) => {
      const { status, time } = await publish(hub)
      if (status !== 503) story.breaks(`${hub.name} answers ${status} without a quorum`)
      if (time > TIMEOUT + SLACK) story.breaks(`${hub.name} answers after ${Math.round(time)} ms without a quorum`)
    }),
  )
  await delay(OUTAGE) // events wait for as long as an outage lasts
  story.fault('the quorum comes back')
  await Promise.all(lost.map(async (server) => (isFrozen ? server.thaw() : server.start())))
  for (const hub of hubs)
    await poll(
      async () => ((await publish(hub)).status < 300 ? true : undefined),
      () => `${hub.name} does not recover`,
      RECOVERY,
    ).catch((err: unknown) => story.breaks(String(err)))
  return { from, until: story.now() }
}
