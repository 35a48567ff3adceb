/** Splits the body of a batch into the texts of its events, without parsing them. */
import { Problem } from '../errors.js'
import { BATCH_MAX } from '../model/event.js'
import { quote } from '../model/quote.js'

const TAB = 0x09,
  LF = 0x0a,
  CR = 0x0d,
  SPACE = 0x20
const QUOTE = 0x22,
  BACKSLASH = 0x5c,
  COMMA = 0x2c,
  COLON = 0x3a
const OPENING_BRACKET = 0x5b,
  CLOSING_BRACKET = 0x5d,
  OPENING_BRACE = 0x7b,
  CLOSING_BRACE = 0x7d
/** `[` and `{` differ in this bit only, and so do `]` and `}`. */
const BRACE_BIT = 0x20
/** The beginning of a JSON value that is not an object. */
const OTHER_VALUE = /^(?:[["]|true|false|null|-?\d)/
/** The maximum length of a member's name, in bytes. */
const MAX_NAME = 1_000
/** How many bytes of white space are skipped between two yields, so that the caller can check the clock. */
const SPACE_PART = 256 * 1024

/** Stands for an event that exceeds `maxLength`. */
export const TOO_LONG = Symbol('an event that is too long')

type Part = Buffer | typeof TOO_LONG | undefined

/**
 * Yields the text of each event of a batch, `TOO_LONG` for an event that is too long, and sometimes `undefined` within
 * long white space. The text of an event may be invalid JSON; the rest of the body is checked.
 * @param maxLength the maximum size of an event, in bytes
 * @throws Problem `invalid-json`, `invalid-request`
 */
export function splitBatch(body: Buffer, maxLength: number): Generator<Part> {
  return new BatchSplitter(body, maxLength).split()
}

class BatchSplitter {
  readonly #body: Buffer
  readonly #maxLength: number
  /** The index of the next byte. */
  #at = 0

  constructor(body: Buffer, maxLength: number) {
    this.#body = body
    this.#maxLength = maxLength
  }

  *split(): Generator<Part> {
    let isRead = false
    yield* this.#space()
    this.#openObject()
    yield* this.#space()
    while (!this.#isAt(CLOSING_BRACE)) {
      yield* this.#member(isRead)
      isRead = true
      if (this.#isAt(CLOSING_BRACE)) break
      this.#expect(COMMA, '"," or "}"')
      yield* this.#space()
      if (this.#isAt(CLOSING_BRACE)) throw this.#unexpected('the name of a member')
    }
    this.#at++
    yield* this.#space()
    if (this.#at < this.#body.length) throw this.#unexpected('the end')
    if (!isRead) throw wrongShape('', 'must have required properties events')
  }

  get #next(): number | undefined {
    return this.#body[this.#at]
  }

  #isAt(character: number): boolean {
    return this.#next === character
  }

  #openObject(): void {
    if (!this.#isAt(OPENING_BRACE)) {
      const isOther = OTHER_VALUE.test(this.#body.toString('latin1', this.#at, this.#at + 5))
      throw isOther ? wrongShape('', 'must be object') : this.#unexpected('"{"')
    }
    this.#at++
  }

  /**
   * Reads the member `events` and the white space after it.
   * @param isRead whether an earlier member was `events`
   */
  *#member(isRead: boolean): Generator<Part> {
    const name = this.#readName()
    yield* this.#space()
    this.#expect(COLON, '":"')
    yield* this.#space()
    if (name !== 'events') throw wrongShape(`/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, 'is not known')
    if (isRead) throw wrongShape('/events', 'is given twice')
    yield* this.#elements()
    yield* this.#space()
  }

  /** Reads the array of events. */
  *#elements(): Generator<Part> {
    if (!this.#isAt(OPENING_BRACKET)) throw wrongShape('/events', 'must be array')
    this.#at++
    yield* this.#space()
    if (this.#isAt(CLOSING_BRACKET)) throw wrongShape('/events', 'must not have fewer than 1 items')
    for (let count = 1; ; count++) {
      if (count > BATCH_MAX) throw wrongShape('/events', `must not have more than ${BATCH_MAX} items`)
      yield this.#readElement()
      if (isSpace(this.#next)) yield* this.#space()
      if (this.#isAt(CLOSING_BRACKET)) break
      this.#expect(COMMA, '"," or "]"')
      if (isSpace(this.#next)) yield* this.#space()
    }
    this.#at++
  }

  #readElement(): Buffer | typeof TOO_LONG {
    const start = this.#at
    const end = endOfValue(this.#body, start, start + this.#maxLength + 1)
    if (end === start) throw this.#unexpected('a value')
    this.#at = end
    return end - start > this.#maxLength ? TOO_LONG : this.#body.subarray(start, end)
  }

  /** Skips white space. */
  *#space(): Generator<undefined> {
    const body = this.#body
    while ((this.#at = endOfSpace(body, this.#at, this.#at + SPACE_PART)) < body.length && isSpace(this.#next)) yield
  }

  #readName(): string {
    const end = this.#isAt(QUOTE) ? endOfValue(this.#body, this.#at, this.#at + MAX_NAME) : this.#at
    try {
      const name = JSON.parse(this.#body.toString('utf8', this.#at, end)) as string
      this.#at = end
      return name
    } catch {
      throw this.#unexpected('the name of a member')
    }
  }

  #expect(character: number, what: string): void {
    if (!this.#isAt(character)) throw this.#unexpected(what)
    this.#at++
  }

  #unexpected(what: string): Problem {
    const found = this.#at < this.#body.length ? quote(String.fromCharCode(this.#next!)) : 'the end'
    return new Problem(
      'invalid-json',
      `The body is not valid JSON: expected ${what} at byte ${this.#at}, found ${found}.`,
    )
  }
}

/**
 * Returns the index after a value, without checking its contents.
 * @param limit the maximum index to return
 */
function endOfValue(body: Buffer, start: number, limit: number): number {
  const end = Math.min(limit, body.length)
  let depth = 0
  for (let at = start; at < end; at++) {
    const byte = body[at]!
    if (byte === QUOTE) {
      at = endOfString(body, at, end)
      if (depth === 0) return Math.min(at + 1, end)
    } else if ((byte | BRACE_BIT) === OPENING_BRACE) depth++
    else if ((byte | BRACE_BIT) === CLOSING_BRACE) {
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (depth === 0 && (byte === COMMA || isSpace(byte))) return at
  }
  return end
}

/** Returns the index after white space, or `limit`. */
function endOfSpace(body: Buffer, start: number, limit: number): number {
  const end = Math.min(limit, body.length)
  let at = start
  while (at < end && isSpace(body[at])) at++
  return at
}

/** Returns the index of the quote that ends the string at `start`; `end` if there is no such quote before `end`. */
function endOfString(body: Buffer, start: number, end: number): number {
  for (let at = start + 1; at < end; at++) {
    const byte = body[at]
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at++
  }
  return end
}

/** White space of JSON (RFC 8259, 2). */
function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === LF || byte === CR || byte === TAB
}

function wrongShape(path: string, message: string): Problem {
  return new Problem('invalid-request', `The body is invalid: ${path === '' ? 'it' : path} ${message}.`, {
    errors: [{ path, message }],
  })
}
