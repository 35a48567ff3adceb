import t from 'tap'
import { parseStream } from './reference-parser.js'

function events(text: string) {
  return parseStream(Buffer.from(text)).flatMap(({ event, lastEventId }) => (event ? [{ ...event, lastEventId }] : []))
}

// The examples of WHATWG HTML, 9.2.6.
await t.test('the reference parser reads the examples of the standard', (t) => {
  t.strictSame(events('data: YHOO\ndata: +2\ndata: 10\n\n'), [
    { type: 'message', data: 'YHOO\n+2\n10', lastEventId: '' },
  ])
  t.strictSame(events(': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n'), [
    { type: 'message', data: 'first event', lastEventId: '1' },
    { type: 'message', data: 'second event', lastEventId: '' },
    { type: 'message', data: ' third event', lastEventId: '' },
  ])
  t.strictSame(events('data\n\ndata\ndata\n\ndata:'), [
    { type: 'message', data: '', lastEventId: '' },
    { type: 'message', data: '\n', lastEventId: '' },
  ])
  t.strictSame(
    events('data:test\n\ndata: test\n\n').map(({ data }) => data),
    ['test', 'test'],
  )
  t.strictSame(events('\ufeffdata: x\r\rid: a\0b\r\nevent: e\rdata:y\n\n'), [
    { type: 'message', data: 'x', lastEventId: '' },
    { type: 'e', data: 'y', lastEventId: '' },
  ])
  t.end()
})
