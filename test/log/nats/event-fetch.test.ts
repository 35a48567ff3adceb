import t from 'tap'
import { EventFetch, type EventFetchOptions } from '../../../src/log/nats/event-fetch.js'

/** An index, a stream and its follower, which hold sequences of events. */
function prepare({ indexed, stored, atLeader = stored }: { indexed: number[]; stored: number[]; atLeader?: number[] }) {
  const known = new Set(indexed)
  const lost: number[] = []
  const trims: string[] = []
  let settled = 0
  const index = {
    has: ({ sequence }: { sequence: number }) => known.has(sequence),
    trimTopic(topic: string, until: number) {
      for (const sequence of known) if (sequence <= until) known.delete(sequence)
      trims.push(`${topic} to ${until}`)
    },
  }
  const read = (sequences: number[], sequence: number) =>
    sequences.includes(sequence) ? { sequence, payload: String(sequence) } : undefined
  const follower = { index, settle: () => Promise.resolve(settled++), tell: () => trims.push('told') }
  const fetch = new EventFetch({
    calls: { askAgain: <T>(request: () => Promise<T>) => request() },
    source: {
      read: async (wanted: { sequence: number }[]) =>
        new Map(
          wanted.flatMap(({ sequence }) => (stored.includes(sequence) ? [[sequence, read(stored, sequence)]] : [])),
        ),
      readFromLeader: async ({ sequence }: { sequence: number }) => read(atLeader, sequence),
    },
    follower,
    onLost: (sequence: number) => lost.push(sequence),
  } as unknown as EventFetchOptions)
  const events = async (...sequences: number[]) => {
    const wanted = sequences.map((sequence) => ({ topic: 'a', sequence }))
    return (await fetch.events(index as never, wanted as never)).map((event) => event?.payload)
  }
  return { events, lost, trims, follower, settled: () => settled }
}

await t.test('events that the stream has are returned in order, without further requests', async (t) => {
  const { events, settled } = prepare({ indexed: [1, 2], stored: [1, 2] })
  t.strictSame(await events(2, 1), ['2', '1'])
  t.equal(settled(), 0)
})

await t.test('an event that was trimmed meanwhile is missing, and does not count as lost', async (t) => {
  const { events, lost } = prepare({ indexed: [2], stored: [2] })
  t.strictSame(await events(1, 2), [undefined, '2'])
  t.strictSame(lost, [])
})

await t.test('an event that the answering server lacks is read from the leader', async (t) => {
  const { events, lost, settled } = prepare({ indexed: [1, 2], stored: [1], atLeader: [1, 2] })
  t.strictSame(await events(1, 2), ['1', '2'])
  t.equal(settled(), 1)
  t.strictSame(lost, [])
})

await t.test(
  'an event that the leader lacks too is lost: its topic is trimmed, and the followers are told',
  async (t) => {
    const { events, lost, trims } = prepare({ indexed: [1, 2, 3], stored: [1, 3] })
    t.strictSame(await events(1, 2, 3), ['1', undefined, '3'])
    t.strictSame(lost, [2])
    t.strictSame(trims, ['a to 2', 'told'])
  },
)

await t.test('nothing is read with the index of an earlier stream', async (t) => {
  const { events, follower } = prepare({ indexed: [1], stored: [1] })
  follower.index = { ...follower.index }
  await t.rejects(events(1), { code: 'log-unavailable', message: /was replaced/ })
})
