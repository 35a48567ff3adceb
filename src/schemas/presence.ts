/** Who is present on a topic. */
import { Type, type Static } from './typebox.js'

export const Presence = Type.Object({
  topic: Type.String(),
  subjects: Type.Array(
    Type.Object({
      subject: Type.String(),
      connections: Type.Integer({ minimum: 0, description: 'its streams of the topic; 0: it had one a moment ago' }),
      since: Type.String({ format: 'date-time' }),
      info: Type.Unknown({ description: 'what its token says that others are told' }),
    }),
  ),
})
export type Presence = Static<typeof Presence>
