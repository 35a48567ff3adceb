/** The login of an example, which accepts anybody. A real application puts its own login here. */
import type { FastifyInstance } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Type, { type TString } from 'typebox'
import type { Grants, HubAccess } from './hub-access.js'
import { Name } from './name.js'

/** The answer of `POST /login`. */
export interface Login {
  token: string
  /** How long the token is valid, in milliseconds. */
  lifetime: number
}

const HOUR = 60 * 60_000

/**
 * Adds the route `POST /login`, which signs a token for a user. `{sub}` in a grant stands for the user.
 * @param options the schema of a user, and how long the token is valid, in milliseconds
 */
export function addLogin(
  app: FastifyInstance,
  sign: HubAccess['sign'],
  grants: Omit<Grants, 'sub'>,
  { user: schema = Name, lifetime = HOUR }: { user?: TString; lifetime?: number } = {},
): void {
  const body = Type.Object({ user: schema })
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .post('/login', { schema: { body } }, async ({ body: { user } }): Promise<Login> => ({
      token: sign({ sub: user, ...grants }, lifetime),
      lifetime,
    }))
}
