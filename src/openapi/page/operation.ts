/** Shows one operation: what it takes, what it answers, and how it is refused. */
import { refusals, type ProblemCode } from '../../errors.js'
import type { DescribedOperation } from '../open-api.js'
import { html, prose, type Html } from './html.js'
import { sentence, typeOf, type Schema } from './schema.js'

interface Media {
  schema?: Schema
  itemSchema?: Schema
  example?: unknown
}

const PROBLEM = 'application/problem+json'
const PLACES: Record<string, string> = {
  bearer: 'the header Authorization: Bearer',
  cookie: 'the cookie of a session',
  ticket: 'a ticket in the query',
}

/** Returns the section of an operation. */
export function operationSection(method: string, path: string, operation: DescribedOperation): Html {
  const { operationId, summary, description, security = [], parameters = [], requestBody, responses } = operation
  const answers = Object.entries(responses)
  const isRefusal = ([status]: (typeof answers)[number]) => Number(status) >= 400
  const refused = answers.filter(([, { content }]) => content?.[PROBLEM] !== undefined) // none for HEAD
  return html`<section class="operation" id="${operationId}">
    <h3>
      <span class="method ${method}">${method.toUpperCase()}</span> <code>${breakable(path)}</code>
      <a class="anchor" href="#${operationId}" aria-label="Link to ${summary}">#</a>
    </h3>
    <p class="summary">${summary}</p>
    ${description !== undefined && html`<p>${prose(description)}</p>`}
    <p class="security">${securityOf(security)}</p>
    ${parameters.length > 0 && parametersOf(parameters)}
    ${requestBody?.content !== undefined && bodyOf(requestBody.content, method, path)}
    <h4>Answers</h4>
    <dl class="answers">${answers.filter((answer) => !isRefusal(answer)).map(answerOf)}</dl>
    ${refused.length > 0 && refusalsOf(refused)}
  </section>`
}

/** Returns a path that may break after each slash. */
function breakable(path: string): Html {
  return html`${path.split(/(?<=\/)/).map((part) => [part, html`<wbr />`])}`
}

function securityOf(security: readonly Record<string, string[]>[]): string {
  if (security.length === 0) return 'Needs no token.'
  const places = security.flatMap((one) => Object.keys(one)).map((name) => PLACES[name] ?? name)
  const words = `The token is in ${places.join(', or ')}.`
  return security.some((one) => Object.keys(one).length === 0) ? `${words} Some topics need no token.` : words
}

function parametersOf(parameters: NonNullable<DescribedOperation['parameters']>): Html {
  return html`<h4>Parameters</h4>
    <dl class="members">
      ${parameters.map(
        ({ name, in: place, description, required, schema }) =>
          html`<div>
            <dt>
              <code class="name">${name}</code> <span class="type">${place}, ${typeOf(schema as Schema)}</span>
              ${required !== true && html`<span class="optional">${optional(schema as Schema)}</span>`}
            </dt>
            <dd>${description !== undefined && html`<p>${prose(sentence(description))}</p>`}</dd>
          </div>`,
      )}
    </dl>`
}

/** Returns the default of a parameter, if its schema has one. */
function optional(schema: Schema): Html {
  const value = typeof schema === 'boolean' ? undefined : schema.default
  return value === undefined ? html`optional` : html`default <code>${JSON.stringify(value)}</code>`
}

function bodyOf(content: Record<string, Media>, method: string, path: string): Html {
  return html`<h4>Body</h4>
    <dl class="answers">
      ${Object.entries(content).map(
        ([type, media]) =>
          html`<div>
            <dt><code>${type}</code></dt>
            <dd>
              <p>${contentOf(media)}</p>
              ${media.example !== undefined && commandOf(method, path, type, media.example)}
            </dd>
          </div>`,
      )}
    </dl>`
}

function contentOf({ schema, itemSchema }: Media): Html {
  return itemSchema === undefined ? typeOf(schema) : html`sequence of ${typeOf(itemSchema)}`
}

/** Returns the command that sends an example. */
function commandOf(method: string, path: string, type: string, example: unknown): Html {
  const body = (typeof example === 'string' ? example : JSON.stringify(example)).replaceAll("'", String.raw`'\''`)
  const url = path.replace('{topic}', 'orders.42').replaceAll(/\{(\w+)\}/g, '<$1>')
  const lines = [
    `curl -X ${method.toUpperCase()} "$FANFARE_URL${url}"`,
    '-H "Authorization: Bearer $FANFARE_TOKEN"',
    `-H "Content-Type: ${type}"`,
    `--data-binary '${body}'`,
  ]
  return html`<pre tabindex="0"><code>${lines.join(' \\\n  ')}</code></pre>`
}

function answerOf([status, { description, content = {}, headers = {} }]: [
  string,
  DescribedOperation['responses'][string],
]): Html {
  return html`<div>
    <dt><code class="status">${status}</code></dt>
    <dd>
      <p>${prose(description ?? '')}</p>
      ${Object.entries(content).map(
        ([type, media]) => html`<p class="content"><code>${type}</code> ${contentOf(media as Media)}</p>`,
      )}
      ${Object.entries(headers).map(
        ([name, header]) =>
          html`<p class="content"><code>${name}</code> ${prose((header as { description: string }).description)}</p>`,
      )}
    </dd>
  </div>`
}

function refusalsOf(refused: [string, DescribedOperation['responses'][string]][]): Html {
  return html`<details>
    <summary>Refusals</summary>
    <dl class="answers">${refused.map(refusalOf)}</dl>
  </details>`
}

function refusalOf([status, { content }]: [string, DescribedOperation['responses'][string]]): Html {
  const { schema } = content![PROBLEM] as { schema: { properties: { code: { enum: ProblemCode[] } } } }
  return html`<div>
    <dt><code class="status">${status}</code></dt>
    <dd>
      ${schema.properties.code.enum.map(
        (code) =>
          html`<p class="content">
            <a href="#error-${code}"><code>${code}</code></a> ${refusals[code].title}
          </p>`,
      )}
    </dd>
  </div>`
}
