/** The subjects that are present on a topic. */
import { Type, type Static } from './typebox.js'

export const Presence = Type.Object({
  topic: Type.String(),
  subjects: Type.Array(
    Type.Object({
      subject: Type.String(),
      connections: Type.Integer({
        minimum: 0,
        description: 'how many streams of the topic the subject has; 0 while the hub waits for a reconnect',
      }),
      since: Type.String({ format: 'date-time' }),
      info: Type.Unknown({ description: 'the claim "info" of the subject\'s token' }),
    }),
  ),
})
export type Presence = Static<typeof Presence>
