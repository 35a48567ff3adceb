/** Encodes the messages of a finite topic as Server-Sent Events (Durable Streams, 5.8). */
import type { MessagePage } from '../../hub/finite/finite-topic.js'
import { Chunk } from '../../wire/chunk.js'
import { isJson, isText } from '../../model/media-type.js'
import { completeLength, joinMessages } from './messages.js'
import { printOffset } from './offset.js'

/**
 * Returns the blocks of a page: a `data` event with its messages, and a `control` event, whose `id:` an EventSource
 * resumes from.
 * @param cursor as from `nextCursor`
 */
export function encodePage(page: MessagePage, cursor: number): Chunk {
  return Chunk.of(`${dataBlock(page)}${controlBlock(page, cursor)}`)
}

/**
 * Leaves out the messages after the last whole character of a page of text. A publisher that sends the bytes of a text
 * as they come may cut a character in two. An event stream is UTF-8, so both parts have to be sent together.
 */
export function wholeCharacters(page: MessagePage): MessagePage {
  const { topic, messages, isUpToDate } = page
  if (messages.at(-1)?.kind !== 'bytes' || !isText(topic.contentType)) return page
  if (topic.status !== 'open' && isUpToDate) return page // nothing completes the character
  for (let count = messages.length; count > 0; count--) {
    if (endsInCharacter(page, count)) continue
    if (count === messages.length) return page
    return { topic, messages: messages.slice(0, count), next: messages[count - 1]!.sequence, isUpToDate: false }
  }
  return isUpToDate ? { topic, messages: [], next: messages[0]!.sequence - 1, isUpToDate: false } : page
}

/** Whether the first messages of a page end within a character, which the next message may complete. */
function endsInCharacter({ topic: { contentType }, messages }: MessagePage, count: number): boolean {
  const bytes = joinMessages(messages.slice(Math.max(0, count - 4), count), contentType) // it has four bytes at most
  if (completeLength(bytes) === bytes.length) return false
  const next = messages[count]
  return next === undefined || (joinMessages([next], contentType)[0]! & 0xc0) === 0x80 // else it is no UTF-8
}

function dataBlock({ topic: { contentType }, messages }: MessagePage): string {
  if (messages.length === 0) return ''
  const bytes = joinMessages(messages, contentType)
  if (isJson(contentType)) return `event: data\ndata:${bytes.toString()}\n\n`
  if (!isText(contentType)) return `event: data\ndata:${bytes.toString('base64')}\n\n`
  const lines = bytes.toString().split(/\r\n|\r|\n/)
  return `event: data\n${lines.map(dataLine).join('\n')}\n\n`
}

/** A parser removes one space after the colon (WHATWG HTML, 9.2.6). */
function dataLine(line: string): string {
  return line.startsWith(' ') ? `data: ${line}` : `data:${line}`
}

function controlBlock({ topic: { status }, next, isUpToDate }: MessagePage, cursor: number): string {
  const streamNextOffset = printOffset(next)
  const isEnd = isUpToDate && status !== 'open'
  const data = isEnd
    ? { streamNextOffset, streamClosed: true, upToDate: true, fanfareStatus: status }
    : { streamNextOffset, streamCursor: String(cursor), ...(isUpToDate && { upToDate: true }) }
  return `id: ${streamNextOffset}\nevent: control\ndata:${JSON.stringify(data)}\n\n`
}
