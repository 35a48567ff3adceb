/** Reports damaged parts of the file, each once. */

/** The number of parts that are reported one by one. All further parts share one report. */
const MAX_REPORTS = 1_000

/** Called with the name of the damaged part. */
export type DamageListener = (what: string) => void

export class Damage {
  listener: DamageListener = () => undefined
  readonly #reported = new Set<string>()

  /** Reports a damaged part, unless it was reported before. */
  report(what: string): void {
    if (this.#reported.size > MAX_REPORTS || this.#reported.has(what)) return
    this.#reported.add(what)
    this.listener(this.#reported.size > MAX_REPORTS ? 'further parts, which are not listed' : what)
  }
}
