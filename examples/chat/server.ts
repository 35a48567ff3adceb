/** Signs tokens for any name. Pages do everything else with the hub directly. */
import type { Example } from '../shared/example.js'
import { addLogin } from '../shared/login.js'

export default {
  // pages publish to the hub themselves, so the hub has to refuse long messages
  settings: { FANFARE_MAX_EVENT_SIZE: '1KiB' },
  serve(app, { sign }) {
    addLogin(app, sign, {
      subscribe: ['rooms.**'],
      presence: ['rooms.**'],
      publish: ['rooms.*.{sub}'], // in every room under one's own name, and under no other
    })
  },
} satisfies Example
