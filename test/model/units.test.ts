import t from 'tap'
import { parseDuration, parseSize } from '../../src/model/units.js'

await t.test('durations', (t) => {
  const table: [string, number | undefined][] = [
    ['250ms', 250],
    ['15s', 15_000],
    ['2m', 120_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['0s', 0],
    ['1.5s', 1_500],
    ['0.25s', 250],
    ['0.0001ms', 0],
    ['', undefined],
    ['15', undefined],
    ['s', undefined],
    ['15 s', undefined],
    [' 15s', undefined],
    ['15s ', undefined],
    ['15S', undefined],
    ['-1s', undefined],
    ['+1s', undefined],
    ['1e3s', undefined],
    ['1,5s', undefined],
    ['.5s', undefined],
    ['5.s', undefined],
    ['15sec', undefined],
    ['1h30m', undefined],
    ['15KiB', undefined],
    ['999999999999999d', undefined],
    ['1constructor', undefined],
    ['15s\n', undefined],
  ]
  for (const [text, expected] of table) t.equal(parseDuration(text), expected, JSON.stringify(text))
  t.end()
})

await t.test('sizes', (t) => {
  const table: [string, number | undefined][] = [
    ['512B', 512],
    ['256KiB', 262_144],
    ['64MiB', 67_108_864],
    ['1GiB', 1_073_741_824],
    ['1TiB', 1_099_511_627_776],
    ['1.5KiB', 1_536],
    ['1kB', 1_000],
    ['1KB', 1_000],
    ['1MB', 1_000_000],
    ['1GB', 1e9],
    ['1TB', 1e12],
    ['', undefined],
    ['256', undefined],
    ['KiB', undefined],
    ['256 KiB', undefined],
    ['256kib', undefined],
    ['1G', undefined],
    ['-1B', undefined],
    ['1PiB', undefined],
    ['15s', undefined],
    ['999999999999999TiB', undefined],
  ]
  for (const [text, expected] of table) t.equal(parseSize(text), expected, JSON.stringify(text))
  t.end()
})
