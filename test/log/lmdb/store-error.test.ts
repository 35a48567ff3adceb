import t from 'tap'
import { asStoreError, StoreError } from '../../../src/log/lmdb/store-error.js'

await t.test('the errors of lmdb for a process id that is taken say so', async (t) => {
  for (const message of [
    'No transaction to renew',
    'No current read transaction available',
    "Cannot read properties of null (reading 'address')",
    "Cannot read properties of null (reading 'use')",
  ])
    t.match(asStoreError('/data', new TypeError(message)), { name: 'SameProcessIdError', message: /\/data is in use/ })
})

await t.test('other errors name the folder and the remedy', async (t) => {
  t.match(asStoreError('/data', new Error('Permission denied')), {
    name: 'StoreError',
    message: /^The log in \/data cannot be opened \(Permission denied\)\. Check the folder's owner/,
  })
  t.match(asStoreError('/data', new StoreError('The index is damaged.')).message, /^The log in \/data cannot be used: /)
  const known = new StoreError('/data is in use')
  t.equal(asStoreError('/data', known), known)
})
