/** Which origins' pages may use the hub. */
import cors from '@fastify/cors'
import fp from 'fastify-plugin'
import { SettingsError, type Settings } from '../settings.js'

/** How long a browser may remember the answer to a preflight, in seconds: what Chromium caps it at. */
const PREFLIGHT_MAX_AGE = 7_200

export default fp<Pick<Settings, 'corsOrigins'>>(async (app, { corsOrigins }) => {
  if (corsOrigins.length === 0) return
  if (app.hasRequestDecorator('corsPreflightEnabled')) throw new SettingsError('The application has CORS of its own, whose hooks come first: allow the origins there, and leave corsOrigins out.')
  const anywhere = corsOrigins.includes('*')
  await app.register(cors, {
    origin: anywhere ? '*' : corsOrigins,
    credentials: !anywhere, // any page at all could use the visitor's cookie otherwise
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'Last-Event-ID'],
    exposedHeaders: ['Fanfare-Connection', 'Last-Event-ID', 'Retry-After', 'WWW-Authenticate'],
    maxAge: PREFLIGHT_MAX_AGE,
  })
}, { name: 'fanfare-cors', fastify: '5.x' })
