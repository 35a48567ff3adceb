/** Keys in the terminal of a running program. */
import type { ReadStream } from 'node:tty'

/** Ctrl-C and Ctrl-D: a terminal in raw mode sends them as keys. */
const ENDING = ['\u0003', '\u0004']

/**
 * Calls a function for each key that is pressed in a terminal.
 * @param keys the functions by key; `q` also stands for Ctrl-C and Ctrl-D
 * @returns a function that listens again after a child process has ended: Node.js restores the mode of the terminal at
 *   its end
 */
export function onKeys(input: ReadStream, keys: Record<string, () => void>): () => void {
  input.setRawMode(true)
  input.setEncoding('utf8')
  input.on('data', (text: string) => {
    // several keys may come at once
    for (const key of text) keys[ENDING.includes(key) ? 'q' : key.toLowerCase()]?.()
  })
  process.once('exit', () => input.setRawMode(false))
  input.resume()
  return () => {
    input.setRawMode(false) // without a change, the mode is not set
    input.setRawMode(true)
  }
}
