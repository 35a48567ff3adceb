/** Reads a source of messages: a web ReadableStream, a stream of Node, or anything that is iterable. */
import { HubError } from '../../model/hub-error.js'
import { quote } from '../../model/quote.js'

/** Reads the next chunk, and stops the source. */
interface Reader {
  next: () => Promise<{ done?: boolean | undefined; value?: unknown }>
  stop: () => void
}

/**
 * Yields what a source yields. If `signal` is aborted, the source is stopped at once, and the iteration ends.
 * @throws HubError `invalid-event` for any other value; the error of the source
 */
export async function* readSource(source: unknown, signal: AbortSignal): AsyncGenerator<unknown, void> {
  const reader = readerOf(source)
  const aborted = new Promise<'aborted'>((resolve) => {
    signal.addEventListener('abort', () => resolve('aborted'), { once: true })
  })
  let isOver = false
  try {
    // a value that is aborted meanwhile is dropped: the topic takes no more
    while (!signal.aborted) {
      const reading = reader.next()
      reading.catch(() => undefined) // a source may fail after it was stopped
      const step = await Promise.race([reading, aborted])
      if (step === 'aborted') return
      if (step.done) {
        isOver = true
        return
      }
      yield step.value
    }
  } catch (err) {
    isOver = true
    throw err
  } finally {
    if (!isOver) reader.stop()
  }
}

function readerOf(source: unknown): Reader {
  if (source instanceof ReadableStream) {
    const reader = source.getReader()
    return { next: () => reader.read(), stop: () => void reader.cancel().catch(() => undefined) }
  }
  const iterable = source as Partial<AsyncIterable<unknown> & Iterable<unknown>> | null | undefined
  if (typeof source !== 'object' || !iterable || !(Symbol.asyncIterator in iterable || Symbol.iterator in iterable)) {
    throw new HubError(
      'invalid-event',
      `A source is a ReadableStream, a stream of Node or an async iterable, not ${quote(source)}.`,
    )
  }
  const iterator = iterable[Symbol.asyncIterator]?.() ?? iterable[Symbol.iterator]!()
  return {
    next: async () => iterator.next(),
    stop: () => {
      const { destroy } = source as { destroy?: () => void } // a stream of Node, whose iterator waits for data
      if (typeof destroy === 'function') destroy.call(source)
      else void Promise.resolve(iterator.return?.()).catch(() => undefined)
    },
  }
}
