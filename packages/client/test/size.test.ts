/** The size of the client in a page. */
import { gzipSync, brotliCompressSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import t from 'tap'
import { ENTRY } from './pages.js'

/** The largest size of the core, compressed with brotli, in bytes. */
const MOST = 5_120
/** The parts that are loaded when they are used. */
const LATER = [
  'acknowledge',
  'changes',
  'claims',
  'event-source',
  'iterate',
  'own-stream',
  'presence',
  'publish',
  'refusal',
  'request',
  'snapshot',
  'tabs',
  'upkeep',
]

await t.test('the core of the client stays small', async (t) => {
  const build = await rolldown({
    input: ENTRY,
    platform: 'browser',
    external: new RegExp(`/(${LATER.join('|')})\\.js$`),
  })
  const { output } = await build.generate({ format: 'esm', minify: true })
  t.equal(output.length, 1)
  const [{ code }] = output
  for (const part of LATER) t.ok(code.includes(`import(\`./${part}.js\`)`), `${part} is loaded later`)
  const size = brotliCompressSync(code).length
  t.ok(size <= MOST, `${size} bytes with brotli, ${gzipSync(code).length} with gzip`)
})
