/** Many subscribers that read the same answers, one after the other. Some of them reload while an answer arrives. */
import { createToken } from '../token.js'
import { AnswerReader, type ReadingWay } from './answer-reader.js'
import { Histogram } from './histogram.js'

export interface AudiencePlan {
  /** The ports of the servers, which the readers use in turn. */
  ports: readonly number[]
  way: ReadingWay
  readers: number
  /** The number of readers that reload. They are chosen at random for each answer. */
  reloads: number
  /** The time in which they reload, from the first token on, in milliseconds. */
  duration: number
}

/** What the readers have got of one answer. */
export interface AnswerReceived {
  /** The number of tokens in the texts. */
  delivered: number
  /** The readers with another text than was written, and those without its end. */
  faults: string[]
}

/** The range of the time between a disconnect and the return, in milliseconds. */
const ABSENCE = { min: 50, max: 500 }
/** The maximum number of streams that are being opened at a time. */
const AT_ONCE = 200
/** The time limit for opening all streams, and for the end of an answer after its last token, in milliseconds. */
const TIMEOUT = 30_000
/** The maximum number of faults that are described. */
const MAX_FAULTS = 5

export class Audience {
  readonly #plan: AudiencePlan
  readonly #tokens: readonly string[]
  readonly #latency = new Histogram()
  #readers: AnswerReader[] = []
  #over: Promise<void> = Promise.resolve()

  constructor(plan: AudiencePlan) {
    this.#plan = plan
    this.#tokens = Array.from({ length: plan.readers }, (_, index) => createToken(`reader-${index}`))
  }

  /**
   * Opens a stream of each reader.
   * @throws Error if not all streams have their first block in time
   */
  async open(path: string): Promise<void> {
    const { readers } = this.#plan
    const ends: Promise<void>[] = []
    let begun = 0
    let opened = 0
    const openNext = (): void => this.#readers[opened++]?.open()
    await within(
      new Promise<void>((resolve) => {
        const onBegin = (): void => {
          openNext()
          if (++begun === readers) resolve()
        }
        this.#readers = this.#tokens.map((token, index) => {
          const { promise, onEnd } = signal()
          ends.push(promise)
          return this.#reader(path, index, { token, onBegin, onEnd })
        })
        this.#planReloads()
        for (let count = 0; count < AT_ONCE; count++) openNext()
      }),
      () => `only ${begun} of ${readers} streams have begun`,
    )
    this.#over = Promise.all(ends).then(() => undefined)
  }

  /** Waits for the end of the answer, and compares what each reader has got with what was written. */
  async compare(text: string): Promise<AnswerReceived> {
    const over = this.#over.then(() => false)
    const isLate = await within(over, () => '').catch(() => true)
    for (const reader of this.#readers) reader.close()
    const broken = this.#readers.filter((reader) => reader.text !== text || !reader.hasEnded)
    const faults = broken.slice(0, MAX_FAULTS).map((reader) => describeFault(reader, text))
    if (broken.length > 0) faults.unshift(`${broken.length} of ${this.#readers.length} readers lack the whole answer`)
    if (isLate) faults.unshift('not all streams ended')
    const delivered = this.#readers.reduce((sum, reader) => sum + tokensOf(reader.text), 0)
    this.#readers = []
    return { delivered, faults }
  }

  /** Forgets the latencies. */
  clear(): void {
    this.#latency.clear()
  }

  /** The latencies of all answers since `clear`, in milliseconds. */
  get latency(): { p50: number; p99: number; max: number } {
    const { max } = this.#latency
    return {
      p50: this.#latency.quantile(0.5) / 1e3,
      p99: this.#latency.quantile(0.99) / 1e3,
      max: max / 1e3,
    }
  }

  #reader(path: string, index: number, parts: { token: string; onBegin: () => void; onEnd: () => void }): AnswerReader {
    const { ports, way } = this.#plan
    return new AnswerReader({
      port: ports[index % ports.length]!,
      way,
      path,
      latency: this.#latency,
      onToken: () => this.#reloadTimes.get(index)?.(),
      ...parts,
    })
  }

  /** What to do at the first token, by the index of the reader. */
  readonly #reloadTimes = new Map<number, () => void>()

  /** Draws the readers that reload, and when. */
  #planReloads(): void {
    const { reloads, duration, readers } = this.#plan
    this.#reloadTimes.clear()
    while (this.#reloadTimes.size < Math.min(reloads, readers)) {
      const index = Math.floor(Math.random() * readers)
      const reader = this.#readers[index]!
      const absence = ABSENCE.min + Math.random() * (ABSENCE.max - ABSENCE.min)
      this.#reloadTimes.set(index, () => void setTimeout(() => reader.reload(absence), Math.random() * duration))
    }
  }
}

function signal(): { promise: Promise<void>; onEnd: () => void } {
  let onEnd!: () => void
  const promise = new Promise<void>((resolve) => (onEnd = resolve))
  return { promise, onEnd }
}

function within<T>(promise: Promise<T>, describe: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(describe())), TIMEOUT)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Returns the number of tokens of a text: each begins with a mark. */
function tokensOf(text: string): number {
  return text.split('~').length - 1
}

function describeFault({ text, hasEnded }: AnswerReader, wanted: string): string {
  if (text === wanted) return 'the end did not arrive'
  let same = 0
  while (same < text.length && text[same] === wanted[same]) same++
  const part = (whole: string) => JSON.stringify(whole.slice(same, same + 40))
  return `from character ${same} on: ${part(text)} in place of ${part(wanted)}${hasEnded ? '' : ', without the end'}`
}
