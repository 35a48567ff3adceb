/** The writer of a finite topic stores each append once, whatever happens to its requests. */
import fc from 'fast-check'
import t from 'tap'
import { HubError } from '../src/errors.js'
import type { Append, FiniteStreams } from '../src/finite/streams.js'
import { isMark, Writer } from '../src/finite/writer.js'

/** What happens to a request. `lost`: the hub does not get it. `unanswered`: its answer is lost. */
type Fate = 'answered' | 'lost' | 'unanswered'

/** Returns a failure that is not final, and after which the time for another attempt is over. */
const unreachable = (): HubError => new HubError('unreachable', 0, 'no answer', { retryAfter: 120_000 })

/** The hub's rules for one producer (Durable Streams, 5.2.1). */
class FakeTopic {
  readonly stored: unknown[] = []
  fates: Fate[] = []
  #expected = 0

  async create(): Promise<void> {
    await Promise.resolve()
  }

  async append(_path: string, { messages, producer }: Append): Promise<string> {
    await Promise.resolve()
    const fate = this.fates.shift() ?? 'answered'
    if (fate === 'lost') throw unreachable()
    if (producer!.seq > this.#expected) throw new HubError('producer-gap', 409, 'gap')
    if (producer!.seq === this.#expected) {
      this.#expected++
      this.stored.push(...messages.filter((message) => !isMark(message)))
    }
    if (fate === 'unanswered') throw unreachable()
    return String(this.stored.length)
  }
}

const fates = fc.array(fc.constantFrom<Fate>('answered', 'lost', 'unanswered'), { maxLength: 12 })

await t.test('an append that was acknowledged is stored once, and any other at most once', async (t) => {
  await fc.assert(
    fc.asyncProperty(fates, fc.integer({ min: 1, max: 8 }), async (drawn, count) => {
      const topic = new FakeTopic()
      const writer = await Writer.open(topic as unknown as FiniteStreams, 'a', { id: 'w' })
      topic.fates = [...drawn]
      const numbers = Array.from({ length: count }, (_, i) => i)
      const results = await Promise.allSettled(numbers.map((number) => writer!.append([number])))
      writer!.leave()
      const acknowledged = numbers.filter((i) => results[i]!.status === 'fulfilled')
      const { stored } = topic
      if (!acknowledged.every((number) => stored.includes(number))) throw new Error('an append is missing')
      if (!stored.every((number, i) => i === 0 || (stored[i - 1] as number) < (number as number)))
        throw new Error(`repeated or in another order: ${stored.join()}`)
    }),
  )
  t.pass()
})
