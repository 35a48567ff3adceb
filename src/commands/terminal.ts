/** Output for people and for pipes: colours only on a terminal, no control characters from events, backpressure. */
import { once } from 'node:events'
import { styleText } from 'node:util'

export type Color = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold'

/** Whether text for a stream may have colours: on a terminal that has them, unless NO_COLOR is set. */
export function hasColor(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && stream.hasColors()
}

/** Returns a function that colours text for a stream, or returns it as it is. */
export function painter(stream: NodeJS.WriteStream): (color: Color, text: string) => string {
  if (!hasColor(stream)) return (_color, text) => text
  return (color, text) => styleText(color, text, { validateStream: false })
}

/** Writes text, and waits until the stream takes more if it is full. */
export async function print(stream: NodeJS.WriteStream, text: string): Promise<void> {
  if (!stream.write(text) && !stream.destroyed) await once(stream, 'drain')
}

/** Control characters, line separators, and marks that reorder text: U+202A to U+202E, U+2066 to U+2069. */
// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g
const SHORT: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * Escapes characters that could change a terminal, as JSON does. A string is then one line. The escapes of a JSON text
 * mean the same as the characters.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => SHORT[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** A line on a terminal that is written over and over. Prints nothing if the stream is not a terminal. */
export class ProgressLine {
  readonly #stream: NodeJS.WriteStream
  #isShown = false

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  show(text: string): void {
    if (!this.#stream.isTTY) return
    this.#isShown = true
    this.#stream.write(`\r\u001b[K${text.slice(0, this.#stream.columns - 1)}`)
  }

  clear(): void {
    if (this.#isShown) this.#stream.write('\r\u001b[K')
    this.#isShown = false
  }
}
