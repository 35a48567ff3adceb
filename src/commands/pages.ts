/** Reads lists of a hub that come in pages. */
import type { HubClient } from './http-client.js'

/** The maximum number of items of a page. */
const PAGE = 1_000

/** What every page has besides its items: whether there are more, and where the next page begins. */
interface Page {
  more: boolean
  cursor: string | null
}

/**
 * Yields the items of each page, until there are no more or `limit` is reached. The next page is asked for when the
 * caller wants it.
 * @param list the name of the list: its path, and the member of an answer that has its items
 * @param query the parameters of the list
 */
export async function* pages<Item>(
  client: HubClient,
  list: 'topics' | 'connections',
  query: URLSearchParams,
  limit = Infinity,
): AsyncGenerator<Item[]> {
  let left = limit
  for (let more = true; more && left > 0;) {
    query.set('limit', String(Math.min(PAGE, left)))
    const answer = await client.json<Page & Record<typeof list, Item[]>>(`/${list}?${query.toString()}`)
    yield answer[list]
    left -= answer[list].length
    more = answer.more && answer.cursor !== null
    if (answer.cursor !== null) query.set('after', answer.cursor)
  }
}
