/**
 * Ten thousand clients open streams and disconnect, each in another way and at another moment, and leave nothing
 * behind.
 */
import t from 'tap'
import { disconnectMany } from '../helper/mass-disconnect.js'
import { random } from '../helper/random.js'

t.setTimeout(1_200_000)

await t.test('10,000 clients that connect and disconnect leave nothing behind', async (t) => {
  const seed = Number(process.env['DISCONNECT_SEED'] ?? Date.now() % 1e6)
  t.comment(`DISCONNECT_SEED=${seed}`)
  const streams = await disconnectMany(t, 10_000, random(seed))
  t.ok(streams > 2_000, `${streams} streams were opened`)
})
