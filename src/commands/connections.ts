/** `fanfare connections`: lists and ends the open streams of a hub. */
import type { Static } from '../schemas/typebox.js'
import type { Closed, Connection } from '../schemas/connection.js'
import { printSize } from '../model/units.js'
import { UsageError, type Process } from './command.js'
import { HubClient } from './http-client.js'
import { hubAddress, type HubOptions } from './hub-address.js'
import { listPrinter } from './list-printer.js'
import { pages } from './pages.js'
import { requirePattern } from './patterns.js'
import { print } from './terminal.js'

export interface ConnectionsOptions extends HubOptions {
  topic?: string | undefined
  subject?: string | undefined
  limit?: number | undefined
  json?: boolean | undefined
}

export interface EndOptions extends HubOptions {
  subject?: string | undefined
  json?: boolean | undefined
}

/** The number of topics that a row names. */
const SHOWN_TOPICS = 3

/** Prints the open streams. Needs an admin's token. */
export async function connections(options: ConnectionsOptions, process: Process): Promise<void> {
  const { topic, subject, limit } = options
  if (topic !== undefined) requirePattern(topic)
  const client = new HubClient(await hubAddress(options, process))
  const query = new URLSearchParams({
    ...(topic === undefined ? {} : { topic }),
    ...(subject === undefined ? {} : { subject }),
  })
  const now = Date.now()
  const printer = listPrinter<Connection>(
    [
      { title: 'connection', cell: ({ id }) => id },
      { title: 'subject', cell: (connection) => connection.subject ?? '-' },
      { title: 'topics', cell: ({ topics }) => namesOf(topics) },
      { title: 'age', align: 'right', cell: ({ since }) => printAge(now - Date.parse(since)) },
      { title: 'events', align: 'right', cell: ({ sent }) => String(sent.events) },
      { title: 'bytes', align: 'right', cell: ({ sent }) => printSize(sent.bytes) },
      { title: 'lag', align: 'right', cell: ({ lag }) => String(lag) },
    ],
    { ...options, what: 'connections' },
    process,
  )
  for await (const page of pages<Connection>(client, 'connections', query, limit)) await printer.add(page)
  await printer.end()
}

/**
 * Ends a stream, or all streams of a subject. Their subscribers connect again, unless their tokens are revoked.
 * @throws UsageError unless either an id or `--subject` is given
 */
export async function endConnections(id: string | undefined, options: EndOptions, process: Process): Promise<void> {
  const { subject, json } = options
  if ((id === undefined) === (subject === undefined))
    throw new UsageError('connections end takes either the id of a connection or --subject.')
  const client = new HubClient(await hubAddress(options, process))
  let closed = 1
  if (id !== undefined) await client.json<undefined>(`/connections/${encodeURIComponent(id)}`, { method: 'DELETE' })
  else {
    const query = new URLSearchParams({ subject: subject ?? '' })
    const answer = await client.json<Static<typeof Closed>>(`/connections?${query.toString()}`, { method: 'DELETE' })
    closed = answer.closed
  }
  const text = json ? JSON.stringify({ closed }) : `${closed} ${closed === 1 ? 'connection' : 'connections'} ended`
  await print(process.stdout, `${text}\n`)
}

function namesOf(topics: readonly string[]): string {
  const rest = topics.length - SHOWN_TOPICS
  return `${topics.slice(0, SHOWN_TOPICS).join(' ')}${rest > 0 ? ` and ${rest} more` : ''}`
}

/** Prints an age in milliseconds with its two largest units. */
function printAge(age: number): string {
  const seconds = Math.max(0, Math.round(age / 1_000))
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3_600) % 24,
    Math.floor(seconds / 60) % 60,
  ]
  if (days > 0) return `${days}d${hours}h`
  if (hours > 0) return `${hours}h${minutes}m`
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`
}
