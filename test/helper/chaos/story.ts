/** What happened during a run, on one clock, so that a failure can be explained and repeated. */

/** A line of the story. */
export interface Note {
  /** In milliseconds since the run began. */
  at: number
  text: string
}

export class Story {
  /** The faults of the run. */
  readonly faults: Note[] = []
  /** The broken promises. */
  readonly violations: Note[] = []
  readonly #begun = performance.now()

  /** Returns the milliseconds since the run began. */
  now(): number {
    return performance.now() - this.#begun
  }

  fault(text: string): void {
    this.faults.push({ at: this.now(), text })
  }

  /** Records a broken promise. */
  breaks(text: string): void {
    this.violations.push({ at: this.now(), text })
  }

  /** Returns the story in lines: all faults, and the first broken promises. */
  lines(): string[] {
    const broken = this.violations.slice(0, 20).map(print)
    return ['the faults:', ...this.faults.map(print), `${this.violations.length} broken promises:`, ...broken]
  }
}

function print({ at, text }: Note): string {
  return `${String(Math.round(at)).padStart(7)} ms  ${text}`
}
