/** Tests that the logger of a request prints as a child of pino would, and creates its child with its first line. */
import { pino } from 'pino'
import t from 'tap'
import { RequestLogger } from '../../src/server/request-logger.js'

function start(level = 'info') {
  const lines: Record<string, unknown>[] = []
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>)
  let children = 0
  const parent = pino({ level, onChild: () => (children += 1) }, { write })
  return { lines, log: new RequestLogger(parent, { reqId: 'req-1' }), created: () => children }
}

void t.test('creates no child before the first line, and one for all lines', (t) => {
  const { lines, log, created } = start()
  t.equal(created(), 0)
  log.info('first')
  log.warn({ code: 'late' }, 'second %s', 'line')
  t.equal(created(), 1)
  t.match(lines, [
    { level: 30, reqId: 'req-1', msg: 'first' },
    { level: 40, reqId: 'req-1', code: 'late', msg: 'second line' },
  ])
  t.end()
})

void t.test('prints each level with the id of the request', (t) => {
  const { lines, log } = start('trace')
  for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) log[level]('a line')
  log.silent()
  t.same(
    lines.map(({ level, reqId }) => [level, reqId]),
    [10, 20, 30, 40, 50, 60].map((level) => [level, 'req-1']),
  )
  t.end()
})

void t.test('keeps the level of its parent, and can have another', (t) => {
  const { lines, log } = start('warn')
  log.info('not printed')
  t.equal(log.level, 'warn')
  log.level = 'debug'
  log.debug('printed')
  t.match(lines, [{ level: 20, msg: 'printed' }])
  t.equal(lines.length, 1)
  t.end()
})

void t.test('has children with its bindings', (t) => {
  const { lines, log } = start()
  log.child({ part: 'body' }).info('a line')
  t.match(lines, [{ reqId: 'req-1', part: 'body' }])
  t.end()
})
