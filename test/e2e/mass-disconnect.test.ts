/** Clients that request a stream and disconnect, at any moment and in any way, leave nothing behind. */
import t from 'tap'
import { disconnectMany } from '../helper/mass-disconnect.js'
import { random } from '../helper/random.js'

await t.test('1,500 streams that open and close leave nothing behind', async (t) => {
  const seed = Number(process.env['DISCONNECT_SEED'] ?? Date.now() % 1e6)
  t.comment(`DISCONNECT_SEED=${seed}`)
  const streams = await disconnectMany(t, 1_500, random(seed))
  t.ok(streams > 300, `${streams} streams were opened`)
})
