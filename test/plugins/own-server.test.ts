import t from 'tap'
import { buildApp } from '../../src/app.js'
import { SECRET } from '../helper/token.js'

await t.test('opening the log has no time limit of Fastify', async (t) => {
  const app = await buildApp({ log: 'memory', jwtSecret: SECRET })
  t.teardown(() => app.close())
  t.equal(app.initialConfig.pluginTimeout, 0)
})
