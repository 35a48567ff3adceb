import t from 'tap'
import { isProblem, openApp, type OpenApp } from '../open-app.js'
import { hubOf } from '../../../src/plugins/hub.js'

const JSON_TYPE = { 'content-type': 'application/json' }

function post({ send }: OpenApp, payload: string | Buffer) {
  return send({ method: 'POST', url: '/events', payload, headers: JSON_TYPE })
}

await t.test('invalid JSON is refused at any position', async (t) => {
  const hub = await openApp(t)
  const good = '{"events":[{"topic":"a","data":{"x":[1,"\\"]}"]}},{"topic":"a","text":"]"}]}'
  t.equal((await post(hub, good)).statusCode, 201)
  for (let n = 1; n < good.length; n++) {
    const { statusCode } = await post(hub, good.slice(0, n))
    if (statusCode !== 400) t.fail(`cut to ${good.slice(0, n)}: ${statusCode}`)
  }
  for (const bad of [
    '',
    ' ',
    '{',
    '{"events":[{"topic":"a","data":1},]}',
    '{"events":[{"topic":"a","data":1}],}',
    '{"events":[,{"topic":"a","data":1}]}',
    '{"events":[{"topic":"a","data":1} {"topic":"a","data":1}]}',
    '{"events":[{"topic":"a","data":1}]}}',
    '{"events":[{"topic":"a","data":1}]} x',
    '{events:[{"topic":"a","data":1}]}',
    '{"events" [{"topic":"a","data":1}]}',
    "{'events':[]}",
    '{"events":[{"topic":"a","data":01}]}',
    '{"events":[{"topic":"a","data":[1}]}',
    'nonsense',
    '\0',
  ]) {
    isProblem(t, await post(hub, bad), 400, 'invalid-json', JSON.stringify(bad))
  }
  for (const bad of [
    '[]',
    '"x"',
    'true',
    '-1',
    '{"events":{}}',
    '{"events":"x"}',
    '{"events":[]}',
    '{"events":[1]}',
    '{"more":[],"events":[{"topic":"a","data":1}]}',
    '{"events":[{"topic":"a","data":1}],"events":[{"topic":"a","data":1}]}',
    '{"events":[{"topic":"a","data":1}],"\\u0065vents":[{"topic":"a","data":1}]}',
  ]) {
    isProblem(t, await post(hub, bad), 400, 'invalid-request', bad)
  }
  t.equal(hubOf(hub.app).head, 2)
})

await t.test('a batch with too many events is refused by their number, before any is parsed', async (t) => {
  const hub = await openApp(t)
  const { errors, detail } = isProblem(
    t,
    await post(hub, `{"events":[${'{},'.repeat(2_000_000)}{}]}`),
    400,
    'invalid-request',
  )
  t.strictSame(errors, [{ path: '/events', message: 'must not have more than 1000 items' }])
  t.match(detail, /1000/)
})

await t.test('the first of many faults is reported', async (t) => {
  const hub = await openApp(t)
  const { errors } = isProblem(
    t,
    await post(hub, JSON.stringify({ events: Array(1_000).fill({ topic: 'a', data: 1, x: 1, y: 2 }) })),
    400,
    'invalid-request',
  )
  t.strictSame(errors, [
    { path: '/events/0/x', message: 'is not known' },
    { path: '/events/0/y', message: 'is not known' },
  ])
  const members = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`m${n}`, 0]))
  t.equal(
    isProblem(t, await post(hub, JSON.stringify({ events: [members] })), 400, 'invalid-request').errors?.length,
    20,
  )
})

await t.test('a large event is refused by its index, before it is parsed', async (t) => {
  const hub = await openApp(t, { maxEventSize: 1_000 })
  const body = JSON.stringify({
    events: [
      { topic: 'a', data: 1 },
      { topic: 'a', data: 'x'.repeat(6_000) },
    ],
  })
  t.strictSame(
    isProblem(t, await post(hub, body), 413, 'event-too-large').errors?.map(({ path }) => path),
    ['/events/1'],
  )
})

await t.test('no batch blocks the event loop for long', async (t) => {
  const hub = await openApp(t, { log: 'memory' })
  const wide = `{"topic":"t","data":[${'[],'.repeat(80_000)}[]]}`
  const names = `{"topic":"t","data":{${Array.from({ length: 22_000 }, (_, n) => `"a${n}":0`).join(',')}}}`
  const bodies = [
    `{"events":[${Array(40).fill(wide).join(',')}]}`,
    `{"events":[${Array(40).fill(names).join(',')}]}`,
    `{"events":[${'{"topic":"a b"},'.repeat(900_000)}{}]}`,
    `{${' '.repeat(15_000_000)}`,
  ].map((text) => Buffer.from(text))
  let isOver = false
  let worst = 0
  let last = process.cpuUsage()
  const look = () => {
    const { user, system } = process.cpuUsage(last)
    worst = Math.max(worst, (user + system) / 1_000)
    last = process.cpuUsage()
    if (!isOver) setImmediate(look)
  }
  look()
  for (const body of bodies) await post(hub, body)
  isOver = true
  // in a single turn this would take seconds
  t.ok(worst < 150, `the longest turn takes ${worst.toFixed(1)} ms of CPU, garbage collection included`)
})
