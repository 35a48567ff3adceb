/** Takes nests, and publishes them for everybody. */
import Type, { type Static } from 'typebox'
import type { Example } from '../shared/example.js'
import { takePosts } from '../shared/posts.js'

export type Nest = Static<typeof Nest>
export const Nest = Type.Object(
  {
    momma: Type.String({ pattern: '\\S', maxLength: 40, description: 'Momma has to be a name of 1 to 40 characters.' }),
    eggs: Type.Integer({ minimum: 0, maximum: 100, description: 'Eggs have to be a whole number from 0 to 100.' }),
    temperature: Type.Number({
      minimum: -50,
      maximum: 60,
      description: 'The temperature has to be a number from -50 to 60.',
    }),
  },
  { additionalProperties: false, description: 'A nest is momma, eggs and temperature, and nothing else.' },
)

export default {
  settings: { FANFARE_ANONYMOUS_SUBSCRIBE: 'nests' },
  serve(app, { hub }) {
    takePosts(app, hub, { path: '/nest', topic: 'nests', schema: Nest })
  },
} satisfies Example
