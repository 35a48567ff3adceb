/** Damages of the file that were found while it was read: each is told once. */

/** How many damages are told. What is found behind that is told as one. */
const TOLD = 1_000

/** Called with what is damaged. */
export type DamageListener = (what: string) => void

export class Damage {
  /** Who is told. */
  listener: DamageListener = () => undefined
  readonly #told = new Set<string>()

  /** Tells of a damage, unless it was told before. */
  report(what: string): void {
    if (this.#told.size > TOLD || this.#told.has(what)) return
    this.#told.add(what)
    this.listener(this.#told.size > TOLD ? 'more than could be told' : what)
  }
}
