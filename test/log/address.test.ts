import t from 'tap'
import { folderOf, isLogAddress, natsServersOf, type LogAddress } from '../../src/log/address.js'

await t.test('a log is in memory, in a folder, or on servers of NATS', (t) => {
  const valid = ['memory', 'file:data', 'file:/var/lib/a b', 'nats://localhost', 'nats://a:4222,b', 'nats://[::1]:4222']
  for (const text of valid) t.ok(isLogAddress(text), text)
  const invalid = [
    '',
    'file:',
    'file',
    'Memory',
    'nats://',
    'nats://a,',
    'nats://a b',
    'nats://u:p@a',
    'nats://::1',
    'http://a',
  ]
  for (const text of invalid) t.notOk(isLogAddress(text), text)
  t.end()
})

await t.test('only the address of a folder has one, and only that of NATS has servers', (t) => {
  t.equal(folderOf('file:data/log'), 'data/log')
  t.equal(folderOf('memory'), undefined)
  t.equal(folderOf('nats://a'), undefined)
  t.equal(natsServersOf('memory'), undefined)
  t.equal(natsServersOf('file:nats'), undefined)
  t.end()
})

await t.test('a server of NATS has port 4222 unless it names one', (t) => {
  for (const [address, servers] of [
    ['nats://a', ['a:4222']],
    ['nats://a:1/', ['a:1']],
    ['nats://a:1, nats://b/,c', ['a:1', 'b:4222', 'c:4222']],
    ['nats://[::1],[::2]:5', ['[::1]:4222', '[::2]:5']],
  ] as [LogAddress, string[]][])
    t.strictSame(natsServersOf(address), servers, address)
  t.end()
})
