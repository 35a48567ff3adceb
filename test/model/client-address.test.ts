import { SocketAddress } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { canonicalAddress, networkOf } from '../../src/model/client-address.js'

await t.test('an address is in canonical form, without a zone', (t) => {
  for (const [text, canonical] of [
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::0001', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:0a00:0001', '10.0.0.1'],
    ['10.0.0.1', '10.0.0.1'],
    ['::10.0.0.1', '::10.0.0.1'],
    ['not an address', 'not an address'],
    ['', ''],
  ] as const)
    t.equal(canonicalAddress(text), canonical, text)
  t.end()
})

await t.test('the network of IPv4 is the address, and peers on a Unix socket have one key', (t) => {
  t.equal(networkOf('10.0.0.1'), '10.0.0.1')
  t.equal(networkOf('::ffff:10.0.0.1'), '10.0.0.1')
  t.equal(networkOf(undefined), '')
  t.end()
})

await t.test('the network of IPv6 has the first four groups, wherever the zeros are', (t) => {
  t.equal(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
  t.equal(networkOf('2001:db8::1'), '2001:db8:0:0::/64')
  t.equal(networkOf('fd00:0:0:1:2:3:4:5'), 'fd00:0:0:1::/64')
  t.equal(networkOf('::1'), '0:0:0:0::/64')
  t.equal(networkOf('fe80::1%eth0'), 'fe80:0:0:0::/64')
  t.end()
})

await t.test('IPv6 addresses have the same network exactly if their first 64 bits are the same', (t) => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 0xffff })).map((bits) => bits.toString(16))
  const half = fc.tuple(group, group, group, group)
  const written = (groups: readonly string[]) => [
    groups.join(':'),
    new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address,
  ]
  fc.assert(
    fc.property(half, half, half, half, (network, other, host, neighbour) => {
      // ::/64 has the mapped IPv4 addresses
      fc.pre(network.some((bits) => bits !== '0') && other.some((bits) => bits !== '0'))
      const keys = [...written([...network, ...host]), ...written([...network, ...neighbour])].map(networkOf)
      return (
        keys.every((key) => key === `${network.join(':')}::/64`) &&
        (networkOf([...other, ...host].join(':')) === keys[0]) === (other.join() === network.join())
      )
    }),
  )
  t.end()
})
