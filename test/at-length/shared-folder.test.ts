/**
 * Four hubs on one folder, of which any is killed, frozen or stopped at any moment. Every promise of the API holds for
 * all publishers and subscribers, whichever processes they ask.
 *
 * `SHARED_KILLS` is the number of kills, and `SHARED_SEED` repeats the choices of a run.
 */
import t from 'tap'
import { HubPlace } from '../helper/chaos/places.js'
import { runChaos } from '../helper/chaos/run.js'
import { Story } from '../helper/chaos/story.js'

const KILLS = Number(process.env['SHARED_KILLS'] ?? 100)
const SEED = Number(process.env['SHARED_SEED'] ?? Date.now() % 1_000_000)
const HUBS = 4
/** On a busy machine the faults end after this time unless the number of kills is given, in milliseconds. */
const MAX_TIME = process.env['SHARED_KILLS'] === undefined ? 240_000 : Infinity
/** FANFARE_LEADER_TIMEOUT, in milliseconds. */
const TIMEOUT = 2_000
/** FANFARE_PRESENCE_GRACE, and the time after which a process without a connection has gone; in milliseconds. */
const GRACE = 1_000
const GONE = 2_000
/** FANFARE_RETAIN_EVENTS: more than any topic has whose events are not to be trimmed. */
const RETAINED = 4_000 + 60 * KILLS

t.setTimeout(300_000 + KILLS * 5_000)
t.comment(`SHARED_KILLS=${KILLS} SHARED_SEED=${SEED}`)

const story = new Story()
const env = {
  FANFARE_LOG: `file:${t.testdir({})}/log`,
  FANFARE_LEADER_TIMEOUT: `${TIMEOUT}ms`,
  FANFARE_PRESENCE_GRACE: `${GRACE}ms`,
  FANFARE_RETAIN_EVENTS: String(RETAINED),
  FANFARE_DURABILITY: 'commit',
  FANFARE_HEARTBEAT: '1s',
  FANFARE_DRAIN: '500ms',
}
/** A hub that starts beside a frozen leader gives up. */
const mayRefuse = /does not answer/
const hubs = await Promise.all(
  Array.from({ length: HUBS }, (_, n) => HubPlace.create(t, `hub-${n}`, story, { env, mayRefuse })),
)
await runChaos(t, story, {
  hubs,
  groups: [{ places: hubs, limits: [1, 2, 2, 3, HUBS], freezes: [50, 400, 2_500] }],
  kills: KILLS,
  maxTime: MAX_TIME,
  seed: SEED,
  patience: TIMEOUT,
  retained: RETAINED,
  purges: 'all',
  leaveTime: GRACE + GONE,
})
