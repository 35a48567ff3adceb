/** Takes facts, and publishes them for everybody. */
import Type, { type Static } from 'typebox'
import type { Example } from '../shared/example.js'
import { takePosts } from '../shared/posts.js'

export type Fact = Static<typeof Fact>
export const Fact = Type.Object(
  {
    info: Type.String({
      pattern: '\\S',
      maxLength: 500,
      description: 'The fact (info) has to be a text of 1 to 500 characters.',
    }),
    source: Type.String({
      pattern: '\\S',
      maxLength: 100,
      description: 'The source has to be a text of 1 to 100 characters.',
    }),
  },
  { additionalProperties: false, description: 'A fact is info and source, and nothing else.' },
)

export default {
  settings: { FANFARE_ANONYMOUS_SUBSCRIBE: 'facts' },
  serve(app, { hub }) {
    takePosts(app, hub, { path: '/fact', topic: 'facts', schema: Fact })
  },
} satisfies Example
