/** The consumer that follows a stream. */
import t from 'tap'
import { JetStream } from '../../../src/log/nats/jetstream.js'
import { OrderedConsumer } from '../../../src/log/nats/ordered-consumer.js'
import { provideStream, recordStream } from '../../../src/log/nats/stream-config.js'
import { NatsLink } from '../../../src/nats/nats-link.js'
import { skipNats, startNats } from '../../helper/nats.js'

/** A JetStream that does not answer the first requests for a consumer. */
class SlowJetStream extends JetStream {
  refusals: number

  constructor(link: NatsLink, refusals: number) {
    super(link, 5_000)
    this.refusals = refusals
  }

  override createConsumer(...request: Parameters<JetStream['createConsumer']>) {
    if (this.refusals-- > 0) return Promise.reject(new Error('timeout'))
    return super.createConsumer(...request)
  }
}

await t.test('a consumer that cannot be made at first is made later', { skip: skipNats }, async (t) => {
  const server = await startNats(t)
  const options = server.options()
  const link = await NatsLink.open(options, 'test')
  t.teardown(() => link.close())
  const jetstream = new SlowJetStream(link, 2)
  const config = recordStream(options.prefix, 1)
  await provideStream(jetstream, config)
  const subject = config.subjects[0]!.replace('>', 'a')
  await link.connection.request(subject, 'one')
  const got: string[] = []
  const consumer = new OrderedConsumer(link, jetstream, 1, {
    stream: config.name,
    filter: config.subjects[0]!,
    onMessage: ({ message }) => void got.push(message.string()),
  })
  t.teardown(() => consumer.stop())
  await t.rejects(consumer.start(), { message: 'timeout' })
  await consumer.reach(1)
  t.strictSame(got, ['one'])
  t.equal(jetstream.refusals, -1)
})
