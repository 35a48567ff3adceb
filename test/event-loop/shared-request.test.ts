import t from 'tap'
import { SharedRequest } from '../../src/event-loop/shared-request.js'

/** A shared request whose results are given by the test, in order. */
function prepare() {
  const begun: PromiseWithResolvers<number>[] = []
  const shared = new SharedRequest(() => {
    const result = withResolvers()
    begun.push(result)
    return result.promise
  })
  /** Waits until requests have begun that can begin. */
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return { shared, begun, turn }
}

interface PromiseWithResolvers<T> {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (reason: Error) => void
}

function withResolvers(): PromiseWithResolvers<number> {
  let resolve!: (value: number) => void
  let reject!: (reason: Error) => void
  const promise = new Promise<number>((onDone, onError) => {
    resolve = onDone
    reject = onError
  })
  return { promise, resolve, reject }
}

await t.test('callers share the request that begins after their calls', async (t) => {
  const { shared, begun, turn } = prepare()
  const first = [shared.get(), shared.get()]
  await turn()
  t.equal(begun.length, 1)
  const second = [shared.get(), shared.get()]
  await turn()
  t.equal(begun.length, 1, 'one request runs at a time')
  begun[0]!.resolve(1)
  t.strictSame(await Promise.all(first), [1, 1])
  await turn()
  t.equal(begun.length, 2)
  begun[1]!.resolve(2)
  t.strictSame(await Promise.all(second), [2, 2], 'a result that was requested before the call is not used')
})

await t.test('a failure reaches the callers of its request only', async (t) => {
  const { shared, begun, turn } = prepare()
  const failing = shared.get()
  await turn()
  const next = shared.get()
  begun[0]!.reject(new Error('broken'))
  await t.rejects(failing, { message: 'broken' })
  await turn()
  begun[1]!.resolve(2)
  t.equal(await next, 2)
})
