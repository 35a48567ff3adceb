/**
 * Thousands of clients open streams and disconnect, each in another way and at another moment, and leave nothing
 * behind.
 * `DISCONNECT_CLIENTS` is their number, and `DISCONNECT_SEED` repeats the choices of a run.
 */
import t from 'tap'
import { disconnectMany } from '../helper/mass-disconnect.js'
import { random } from '../helper/random.js'

const CLIENTS = Number(process.env['DISCONNECT_CLIENTS'] ?? 2_500)

t.setTimeout(1_200_000)

await t.test(`${CLIENTS} clients that connect and disconnect leave nothing behind`, async (t) => {
  const seed = Number(process.env['DISCONNECT_SEED'] ?? Date.now() % 1e6)
  t.comment(`DISCONNECT_SEED=${seed}`)
  const streams = await disconnectMany(t, CLIENTS, random(seed))
  t.ok(streams > CLIENTS / 5, `${streams} streams were opened`)
})
