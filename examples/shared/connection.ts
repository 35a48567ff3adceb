/** Shows what the client does: the id of a page's connection, and how often its topics have changed. */

/**
 * Returns a `fetch` for the client that reports its connection. The hub names it in the header `Fanfare-Connection` of
 * a stream. A stream with another topic of the page is short: it brings the past of a new subscription.
 * @param report called with the id, and the number of changes since the connection was opened
 */
export function watchConnection(report: (id: string, changes: number) => void): typeof fetch {
  let current = ''
  let changes = 0
  let first = ''
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href)
    const answer = await fetch(input, init)
    const id = answer.headers.get('fanfare-connection')
    const topics = url.searchParams.getAll('topic')
    first ||= topics[0] ?? ''
    if (answer.ok && id !== null && topics.includes(first)) {
      current = id
      report(current, (changes = 0))
    } else if (answer.ok && init?.method === 'PATCH' && url.pathname.endsWith(`/connections/${current}`))
      report(current, ++changes)
    return answer
  }
}
