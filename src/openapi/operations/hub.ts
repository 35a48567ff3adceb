import { Type } from '../../schemas/typebox.js'
import type { Operations } from '../operation.js'

const page = (description: string) => ({
  200: { description, content: { 'text/html': { schema: Type.String() } } },
})

export const hub: Operations = {
  'GET /nodes': {
    id: 'listNodes',
    tag: 'Hub',
    summary: 'List the processes of the hub',
    description: 'For admins.',
    answers: { 200: { description: 'The processes.' } },
  },
  'GET /stats': {
    id: 'getStats',
    tag: 'Hub',
    summary: 'Read the figures of the last hour',
    description:
      'For admins. The topic `fanfare.stats` has the figures of each second (StatsEvent), and `fanfare.connections` each change of a stream (ConnectionEvent).',
    answers: { 200: { description: 'Columns of figures, one number for each period.' } },
  },
  'GET /status': {
    id: 'getStatus',
    tag: 'Hub',
    summary: 'Read the state of the hub',
    answers: { 200: { description: 'The hub runs.' } },
  },
  'GET /health/live': {
    id: 'isLive',
    tag: 'Hub',
    summary: 'Check that the process runs',
    answers: { 200: { description: 'The process answers.' } },
  },
  'GET /health/ready': {
    id: 'isReady',
    tag: 'Hub',
    summary: 'Check that the hub accepts work',
    answers: { 200: { description: 'The hub accepts streams and events.' } },
    problems: ['draining', 'log-unavailable'],
  },
  'GET /metrics': {
    id: 'getMetrics',
    tag: 'Hub',
    summary: 'Read the metrics for Prometheus',
    description: 'Figures of the whole hub, without topics and subjects.',
    answers: {
      200: {
        description: 'The metrics, as text or, where the request prefers it, as OpenMetrics.',
        content: {
          'text/plain': { schema: Type.String() },
          'application/openmetrics-text': { schema: Type.String() },
        },
      },
    },
  },
  'GET /errors': {
    id: 'listErrors',
    tag: 'Hub',
    summary: 'List the errors of the API',
    answers: { 200: { description: 'Every code with its status and title.' } },
  },
  'GET /errors/{code}': {
    id: 'getError',
    tag: 'Hub',
    summary: 'Describe an error',
    description: 'The `type` of a problem is the URL of this page.',
    answers: { 200: { description: 'The error.' } },
    problems: ['not-found'],
  },
  'GET /client.js': {
    id: 'getClient',
    tag: 'Hub',
    summary: 'Load the client for pages without a bundler',
    answers: {
      200: {
        description: 'The package fanfare-client as one module.',
        content: { 'application/javascript': { schema: Type.String() } },
      },
      304: { description: 'The module has not changed.' },
    },
  },
  'GET /openapi.json': {
    id: 'getOpenApi',
    tag: 'Hub',
    summary: 'Read this document',
    answers: {
      200: { description: 'OpenAPI 3.2.', content: { 'application/json': { schema: Type.Object({}) } } },
      304: { description: 'The document has not changed.' },
    },
  },
  'GET /docs': {
    id: 'getDocs',
    tag: 'Hub',
    summary: 'Read this document as a page',
    answers: { ...page('The page.'), 304: { description: 'The page has not changed.' } },
  },
  'GET /': {
    id: 'getConsole',
    tag: 'Hub',
    summary: 'Open the web console',
    answers: { ...page('The console.'), 304: { description: 'The page has not changed.' } },
  },
}
