/** A request that concurrent callers share. Each gets the result of a request that begins after its call. */
export class SharedRequest<T> {
  readonly #request: () => Promise<T>
  /** The request that begins after the running one. */
  #next: Promise<T> | undefined
  #running: Promise<unknown> = Promise.resolve()

  constructor(request: () => Promise<T>) {
    this.#request = request
  }

  get(): Promise<T> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      const result = this.#request()
      this.#running = result.catch(() => undefined)
      return result
    })
    return this.#next
  }
}
