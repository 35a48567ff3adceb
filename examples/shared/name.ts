/** The names of users and rooms in the examples. Each name can be a segment of a topic. */
import Type from 'typebox'

const SYNTAX = '^[A-Za-z0-9_-]{1,32}$'
const syntax = new RegExp(SYNTAX)

export const NAME_RULE = 'A name has 1 to 32 letters, digits, "-" or "_", and no spaces.'
export const Name = Type.String({ pattern: SYNTAX, description: NAME_RULE })

export function isName(text: string): boolean {
  return syntax.test(text)
}
