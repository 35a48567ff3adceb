import t from 'tap'
import { Answers, toAnswer, type Answer } from '../../../src/log/lmdb/answers.js'
import { openStore } from '../../../src/log/lmdb/store.js'
import type { Tables } from '../../../src/log/lmdb/tables.js'

function answerTo(node: string, number: number, done: number, answer: Answer) {
  return { origin: { node, number, done }, answer }
}

/** Returns the answer to an append of `node` to which the log gave a sequence. */
function result(node: string, number: number, done: number, sequence: number, duplicate = false) {
  return answerTo(node, number, done, toAnswer([{ sequence, duplicate }]))
}

function rowsOf({ meta }: Tables): string[] {
  return [...meta.getKeys({ start: 'answer/', end: 'answer0' }), ...meta.getKeys({ start: 'purge/', end: 'purge0' })]
}

await t.test('a transaction writes one row for each process', async (t) => {
  const tables = openStore(t.testdir({}), 'commit')
  t.teardown(() => tables.close())
  const answers = new Answers(tables)

  tables.root.transactionSync(() =>
    answers.write([result('a', 1, 0, 10), result('b', 7, 0, 11), result('a', 2, 0, 12, true), result('a', 4, 0, 13)]),
  )
  t.same(rowsOf(tables), ['answer/a/4', 'answer/b/7'])

  for (const found of [answers, new Answers(tables)]) {
    t.same([...found.nodes].sort(), ['a', 'b'])
    t.same(found.find('a', 1), [10])
    t.same(found.find('a', 2), [-12], 'a duplicate')
    t.same(found.find('a', 4), [13])
    t.same(found.find('b', 7), [11])
    t.equal(found.find('a', 3), undefined, 'a write that another transaction has stored, or none')
    t.equal(found.find('a', 5), undefined)
    t.equal(found.find('c', 1), undefined)
  }
})

await t.test('a row is deleted once its process needs none of its answers', async (t) => {
  const tables = openStore(t.testdir({}), 'commit')
  t.teardown(() => tables.close())
  const answers = new Answers(tables)
  const write = (...results: Parameters<Answers['write']>[0]) =>
    tables.root.transactionSync(() => answers.write(results))

  write(result('a', 1, 0, 10), result('a', 2, 0, 11))
  write(result('a', 3, 1, 12))
  t.same(rowsOf(tables), ['answer/a/2', 'answer/a/3'], 'the process may still ask for its write 2')
  t.same(answers.find('a', 2), [11])
  write(result('a', 4, 2, 13), result('a', 5, 3, 14), result('b', 1, 0, 15))
  t.same(rowsOf(tables), ['answer/a/5', 'answer/b/1'])
  t.equal(answers.find('a', 3), undefined)

  tables.root.transactionSync(() => answers.forget('a'))
  t.same(rowsOf(tables), ['answer/b/1'])
  t.same([...new Answers(tables).nodes], ['b'])
})

await t.test('an unfinished purge is kept until it is answered, or its process needs no answer', async (t) => {
  const tables = openStore(t.testdir({}), 'commit')
  t.teardown(() => tables.close())
  const answers = new Answers(tables)
  const within = (write: () => void) => tables.root.transactionSync(write)
  const origin = (number: number, node = 'a') => ({ node, number, done: 0 })

  within(() => {
    answers.keepPurge(origin(1), { until: 90, purged: 10 })
    answers.keepPurge(origin(2), { until: 95, purged: 0 })
    answers.keepPurge(origin(9, 'b'), { until: 99, purged: 1 })
  })
  within(() => answers.keepPurge(origin(1), { until: 90, purged: 20 }))
  for (const found of [answers, new Answers(tables)]) {
    t.same(found.findPurge(origin(1)), { until: 90, purged: 20 })
    t.equal(found.findPurge(origin(3)), undefined)
    t.equal(found.find('a', 1), undefined, 'an unfinished purge has no answer')
    t.same([...found.nodes], ['a', 'b'])
  }
  within(() => answers.write([answerTo('a', 1, 0, 30), answerTo('a', 3, 0, true)]))
  t.same(rowsOf(tables), ['answer/a/3', 'purge/a/2', 'purge/b/9'])
  t.same([answers.find('a', 1), answers.find('a', 3)], [30, true])
  within(() => answers.write([answerTo('a', 4, 2, 0)]))
  t.same(rowsOf(tables), ['answer/a/3', 'answer/a/4', 'purge/b/9'], 'the second purge was refused')
  t.equal(answers.find('a', 4), 0)
  within(() => answers.forget('b'))
  t.same([...new Answers(tables).nodes], ['a'])
})
