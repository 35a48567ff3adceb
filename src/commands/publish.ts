/** `fanfare publish`: publishes one event, or each line of standard input. */
import { randomBytes } from 'node:crypto'
import type { Static } from '../schemas/typebox.js'
import type { EventBody, Receipt } from '../schemas/event.js'
import { UsageError, type Process } from './command.js'
import { HubClient } from './http-client.js'
import { hubAddress, type HubOptions } from './hub-address.js'
import { publishLines } from './line-publisher.js'
import { payloadOf, withoutLineEnd, type PayloadKind } from './payload.js'
import { requirePublishTopic } from './patterns.js'
import { untilAccepted } from './retry.js'
import { print } from './terminal.js'

export interface PublishOptions extends HubOptions {
  type?: string | undefined
  id?: string | undefined
  attribute?: string[] | undefined
  ephemeral?: boolean | undefined
  text?: boolean | undefined
  bytes?: boolean | undefined
  ndjson?: boolean | undefined
  json?: boolean | undefined
}

/** The time for which temporary refusals of one event are retried, in milliseconds. */
const RETRY_TIME = 30_000

/**
 * Publishes `data`, standard input as one event (`-`), or each of its lines (`--ndjson`).
 * @param data absent only with `--ndjson`
 * @throws UsageError, CommandError
 */
export async function publish(
  topic: string | undefined,
  data: string | undefined,
  options: PublishOptions,
  process: Process,
): Promise<void> {
  if (topic !== undefined) requirePublishTopic(topic)
  const kind = kindOf(options)
  const attributes = attributesOf(options.attribute)
  const members = {
    ...(options.type === undefined ? {} : { type: options.type }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(options.ephemeral ? { ephemeral: true } : {}),
  }
  if (options.ndjson) {
    if (data !== undefined && data !== '-')
      throw new UsageError('With --ndjson, publish reads standard input: leave out the data.')
    if (options.id !== undefined) throw new UsageError('--id names one event: leave it out with --ndjson.')
    const client = new HubClient(await hubAddress(options, process))
    return publishLines(client, { topic, kind, members, json: options.json ?? false }, process)
  }
  if (topic === undefined) throw new UsageError('publish needs a topic; only with --ndjson do the lines name it.')
  if (data === undefined)
    throw new UsageError('publish needs data: an argument, or "-" for what comes on standard input.')
  const client = new HubClient(await hubAddress(options, process))
  const written = data === '-' ? await readInput(process.stdin, kind) : data
  // an id of its own: after an answer that was lost, the event can be sent again and is stored once
  const id = options.id ?? (options.ephemeral ? undefined : randomBytes(16).toString('hex'))
  const body: EventBody = { ...payloadOf(written, kind), ...members, ...(id === undefined ? {} : { id }) }
  const receipt = await untilAccepted(
    () => client.json<Static<typeof Receipt>>(`/topics/${topic}/events`, { method: 'POST', body }),
    { time: RETRY_TIME, process },
  )
  await print(process.stdout, options.json ? `${JSON.stringify(receipt)}\n` : `${sentence(receipt)}\n`)
}

function kindOf({ text, bytes }: PublishOptions): PayloadKind {
  if (text && bytes) throw new UsageError('Use either --text or --bytes, not both.')
  if (text) return 'text'
  return bytes ? 'bytes' : 'auto'
}

function attributesOf(given: string[] | undefined): Record<string, string> | undefined {
  if (!given) return undefined
  return Object.fromEntries(
    given.map((text) => {
      const [, name, value] = /^([^=]+)=(.+)$/s.exec(text) ?? []
      if (name === undefined || value === undefined)
        throw new UsageError(`--attribute is <name>=<value>, and not ${JSON.stringify(text)}.`)
      return [name, value]
    }),
  )
}

async function readInput(stdin: Process['stdin'], kind: PayloadKind): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stdin as AsyncIterable<Buffer>) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  return kind === 'bytes' ? bytes : withoutLineEnd(bytes)
}

function sentence({ id, topic, duplicate, subscribers }: Static<typeof Receipt>): string {
  const count = `${subscribers} ${subscribers === 1 ? 'subscriber' : 'subscribers'}`
  if (id === null) return `${topic}: sent to ${count}, not stored`
  return duplicate ? `${topic}: ${id}, already stored under this id` : `${topic}: ${id}, sent to ${count}`
}
