/** `fanfare topics`: lists the topics that the log holds. */
import type { Static } from '../schemas/typebox.js'
import type { TopicInfo } from '../schemas/topic.js'
import { isExact, matches } from '../model/topic.js'
import { printSize } from '../model/units.js'
import type { Process } from './command.js'
import { HubClient } from './http-client.js'
import { hubAddress, type HubOptions } from './hub-address.js'
import { listPrinter } from './list-printer.js'
import { pages } from './pages.js'
import { literalPrefix, requirePattern } from './patterns.js'

export interface TopicsOptions extends HubOptions {
  limit?: number | undefined
  json?: boolean | undefined
}

type Topic = Static<typeof TopicInfo>

/**
 * Prints topics by name.
 * @param selection a prefix of their names, or a pattern with a wildcard
 */
export async function topics(selection: string | undefined, options: TopicsOptions, process: Process): Promise<void> {
  const pattern = selection === undefined || isExact(selection) ? undefined : selection
  if (pattern !== undefined) requirePattern(pattern)
  const client = new HubClient(await hubAddress(options, process))
  const query = new URLSearchParams()
  if (selection !== undefined) query.set('prefix', pattern === undefined ? selection : literalPrefix(pattern))
  const printer = listPrinter<Topic>(
    [
      { title: 'topic', cell: ({ topic }) => topic },
      { title: 'events', align: 'right', cell: ({ events }) => String(events) },
      { title: 'bytes', align: 'right', cell: ({ bytes }) => printSize(bytes) },
      { title: 'subscribers', align: 'right', cell: ({ subscribers }) => String(subscribers) },
      { title: 'newest', cell: ({ lastId }) => lastId ?? '-' },
    ],
    { ...options, what: 'topics' },
    process,
  )
  const found = pages<Topic>(client, 'topics', query)
  for await (const page of found) {
    const isFull = await printer.add(pattern === undefined ? page : page.filter(({ topic }) => matches(pattern, topic)))
    if (isFull) break
  }
  await printer.end()
}
