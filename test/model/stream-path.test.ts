import fc from 'fast-check'
import t from 'tap'
import { pathOfTopic, topicOfPath } from '../../src/model/stream-path.js'
import { isTopic } from '../../src/model/topic.js'

await t.test('each segment of a path is a segment of the topic', async (t) => {
  t.equal(topicOfPath('chats/42/r7'), 'chats.42.r7')
  t.equal(topicOfPath('run'), 'run')
  t.equal(topicOfPath('a:b/c@d/e_f-g~h'), 'a:b.c@d.e_f-g~h')
})

await t.test('a character that topics lack is escaped', async (t) => {
  t.equal(topicOfPath('v1.0/a%20b'), 'v1~2E0.a~20b')
  t.equal(topicOfPath('caf%C3%A9'), 'caf~C3~A9')
  t.equal(topicOfPath('a%2Fb/c'), 'a~2Fb.c', 'an encoded slash does not end a segment')
  t.equal(topicOfPath('~2E'), '~7E2E', 'a text that reads as an escape is escaped')
  t.equal(topicOfPath('~2e'), '~2e', 'lower case is no escape')
})

await t.test('a path that cannot be a topic is refused', async (t) => {
  for (const path of ['', '/', 'a//b', 'a/', '/a']) t.throws(() => topicOfPath(path), { code: 'invalid-topic' }, path)
  t.throws(() => topicOfPath('a%ff'), { code: 'invalid-topic', message: /percent-encoded UTF-8/ })
  t.throws(() => topicOfPath('a%2'), { code: 'invalid-topic' })
  t.throws(() => topicOfPath('a'.repeat(65)), { code: 'invalid-topic' })
  t.throws(() => topicOfPath('a/'.repeat(16) + 'a'), { code: 'invalid-topic' })
  t.throws(() => topicOfPath('%20'.repeat(22)), { code: 'invalid-topic' }, 'an escape has three characters')
  t.throws(() => topicOfPath('fanfare/stats'), { code: 'reserved-topic' })
})

const characters = fc.constantFrom('A', 'B', 'C', 'y', 'z', '0', '1', '9', '_', '~', ':', '@', '-')
const segment = fc.string({ unit: characters, minLength: 1, maxLength: 12 })
const topics = fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => segments.join('.'))
/** Short, since an escape of a character has up to twelve characters. URLs have no segments `.` and `..`. */
const anySegment = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }).filter((text) => !/^\.{1,2}$/.test(text))

await t.test('the path of a topic leads back to the topic', async () => {
  fc.assert(
    fc.property(topics, (topic) => {
      const path = pathOfTopic(topic)
      return path === undefined ? /~[0-9A-F]{2}/.test(topic) : topicOfPath(path) === topic
    }),
  )
})

await t.test('different paths have different topics, and each topic has its path', async () => {
  fc.assert(
    fc.property(fc.array(anySegment, { minLength: 1, maxLength: 4 }), (segments) => {
      const path = segments.map(encodeURIComponent).join('/')
      let topic: string
      try {
        topic = topicOfPath(path)
      } catch {
        return true // too long
      }
      return isTopic(topic) && pathOfTopic(topic) === path
    }),
  )
})

await t.test('a path survives the normalisation of URLs', async () => {
  fc.assert(
    fc.property(topics, (topic) => {
      const path = pathOfTopic(topic)
      return path === undefined || new URL(`http://hub/streams/${path}`).pathname === `/streams/${path}`
    }),
  )
})

await t.test('a topic that no path leads to has no path', async (t) => {
  t.equal(pathOfTopic('a~41'), undefined, '"A" needs no escape')
  t.equal(pathOfTopic('a~FF'), undefined, 'not UTF-8')
  t.equal(pathOfTopic('a.~2E~2E.b'), undefined, 'URLs have no segment ".."')
})
