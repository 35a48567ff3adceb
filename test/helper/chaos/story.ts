/** What happened during a run, on one clock, so that a failure can be explained and repeated. */

/** A line of the story. */
export interface Note {
  /** In milliseconds since the run began. */
  at: number
  text: string
}

/** A time, in milliseconds on the clock of the story. */
export interface Span {
  from: number
  until: number
}

export class Story {
  /** The faults of the run. */
  readonly faults: Note[] = []
  /** The broken promises. */
  readonly violations: Note[] = []
  /** What explains the broken promises: the state of the processes at that time. */
  readonly details: string[] = []
  /** The times in which no hub ran. */
  readonly dark: Span[] = []
  readonly #running = new Set<string>()
  /** When the run began, on the wall clock in milliseconds. */
  readonly date = Date.now()
  readonly #begun = performance.now()

  /** Returns the milliseconds since the run began. */
  now(): number {
    return performance.now() - this.#begun
  }

  /** Notes whether a hub runs. */
  runs(hub: string, isRunning: boolean): void {
    const now = this.now()
    if (isRunning) {
      const last = this.dark.at(-1)
      if (this.#running.size === 0 && last) last.until = now
      this.#running.add(hub)
    } else if (this.#running.delete(hub) && this.#running.size === 0) this.dark.push({ from: now, until: Infinity })
  }

  /** Returns how much of a time some hub ran, in milliseconds. */
  lightOf({ from, until }: Span): number {
    return this.dark.reduce(
      (left, dark) => left - Math.max(0, Math.min(until, dark.until) - Math.max(from, dark.from)),
      until - from,
    )
  }

  fault(text: string): void {
    this.faults.push({ at: this.now(), text })
  }

  /** Records a broken promise. */
  breaks(text: string): void {
    this.violations.push({ at: this.now(), text })
  }

  explain(lines: readonly string[]): void {
    this.details.push(...lines)
  }

  /** Returns the story in lines: all faults, the first broken promises, and what explains them. */
  lines(): string[] {
    const broken = this.violations.slice(0, 20).map(print)
    return [
      'the faults:',
      ...this.faults.map(print),
      `${this.violations.length} broken promises:`,
      ...broken,
      ...this.details,
    ]
  }
}

function print({ at, text }: Note): string {
  return `${String(Math.round(at)).padStart(7)} ms  ${text}`
}
