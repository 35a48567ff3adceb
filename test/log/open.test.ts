import t from 'tap'
import { defaultRetainBytes, warnOfHeap } from '../../src/log/open.js'

const MiB = 1024 ** 2

await t.test('a log in memory keeps a part of the heap, and a log in a folder a gibibyte', (t) => {
  t.equal(defaultRetainBytes('memory', 256 * MiB), 64 * MiB)
  t.equal(defaultRetainBytes('memory', 64 * 1024 * MiB), 1024 * MiB)
  t.equal(defaultRetainBytes('file:./data', 256 * MiB), 1024 * MiB)
  t.end()
})

await t.test('a log in memory that may outgrow the heap is warned of', (t) => {
  t.match(
    warnOfHeap('memory', 1024 * MiB, 256 * MiB),
    /1\.0 GiB \(FANFARE_RETAIN_BYTES\), and Node's heap to 256\.0 MiB.*64\.0 MiB/,
  )
  t.equal(warnOfHeap('memory', defaultRetainBytes('memory', 256 * MiB), 256 * MiB), undefined)
  t.equal(warnOfHeap('memory', 128 * MiB, 256 * MiB), undefined)
  t.equal(warnOfHeap('file:./data', 1024 * MiB, 256 * MiB), undefined)
  t.end()
})
