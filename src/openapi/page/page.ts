/** Renders the document as one page of HTML, without scripts. */
import { refusals } from '../../errors.js'
import type { DescribedOperation, OpenApi } from '../open-api.js'
import { OPERATIONS } from '../operations.js'
import { html, prose, type Html } from './html.js'
import { operationSection } from './operation.js'
import { membersOf, typeOf, type Schema } from './schema.js'

type Listed = [method: string, path: string, operation: DescribedOperation]

/** Returns the page. Its URLs are relative to the folder of the hub. */
export function renderPage(document: OpenApi): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Listed => [method, path, operation]),
  )
  const groups = document.tags.map(({ name, description }) => ({
    name,
    description,
    operations: operations
      .filter(([, , operation]) => operation.tags.includes(name) && isListed(operation))
      .sort(byTable),
  }))
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${document.info.title} API</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="docs/reference.css" />
      </head>
      <body>
        <a class="skip" href="#content">Skip to the content</a>
        <header>
          <h1>${document.info.title} API <span class="version">${document.info.version}</span></h1>
          <a href="openapi.json">OpenAPI ${document.openapi}</a>
        </header>
        ${navigation(document, groups)}
        <main id="content">
          <p class="lead">
            ${prose(`${document.info.description} Each \`GET\` has a \`HEAD\`, which is answered without a body.`)}
          </p>
          ${groups.map(groupSection)} ${topicsSection(document)} ${schemasSection(document)} ${errorsSection()}
        </main>
      </body>
    </html>`.text
}

const ORDER = Object.values(OPERATIONS).map(({ id }) => id)

/** Whether the tables list the operation. The page leaves out each `HEAD` that is described as its `GET`. */
function isListed({ operationId }: DescribedOperation): boolean {
  return ORDER.includes(operationId)
}

/** Compares two operations by the order of the tables. */
function byTable([, , a]: Listed, [, , b]: Listed): number {
  return ORDER.indexOf(a.operationId) - ORDER.indexOf(b.operationId)
}

interface Group {
  name: string
  description: string
  operations: Listed[]
}

function navigation(document: OpenApi, groups: readonly Group[]): Html {
  return html`<nav aria-label="Contents">
    ${groups.map(
      ({ name, operations }) =>
        html`<h2><a href="#${anchorOf(name)}">${name}</a></h2>
          <ul>
            ${operations.map(
              ([method, , { operationId, summary }]) =>
                html`<li>
                  <a href="#${operationId}"><span class="method ${method}">${method.toUpperCase()}</span> ${summary}</a>
                </li>`,
            )}
          </ul>`,
    )}
    ${document['x-typed-topics'] !== undefined && html`<h2><a href="#typed-topics">Typed topics</a></h2>`}
    <h2><a href="#schemas">Schemas</a></h2>
    <h2><a href="#errors">Errors</a></h2>
  </nav>`
}

function anchorOf(tag: string): string {
  return `group-${tag.toLowerCase().replaceAll(' ', '-')}`
}

function groupSection({ name, description, operations }: Group): Html {
  return html`<section aria-labelledby="${anchorOf(name)}">
    <h2 id="${anchorOf(name)}">${name}</h2>
    <p>${prose(description)}</p>
    ${operations.map((listed) => operationSection(...listed))}
  </section>`
}

/** The schemas of typed topics. */
function topicsSection(document: OpenApi): Html | undefined {
  const topics = document['x-typed-topics']
  if (topics === undefined) return undefined
  return html`<section aria-labelledby="typed-topics">
    <h2 id="typed-topics">Typed topics</h2>
    <p>
      The hub refuses an event that does not fit the schemas of all patterns that match its topic (<a
        href="#error-schema-mismatch"
        ><code>schema-mismatch</code></a
      >).
    </p>
    <dl class="answers">
      ${Object.entries(topics).map(
        ([pattern, schema]) =>
          html`<div>
            <dt><code>${pattern}</code></dt>
            <dd>${topicOf(schema as Schema | { types: Record<string, Schema> })}</dd>
          </div>`,
      )}
    </dl>
  </section>`
}

function topicOf(schema: Schema | { types: Record<string, Schema> }): Html {
  if (typeof schema === 'boolean' || !('types' in schema)) return html`<p>${typeOf(schema)}</p>`
  return html`${Object.entries(schema.types).map(
    ([type, inner]) =>
      html`<p class="content"><code>${type}</code> ${type === '*' && '(any other type, or none)'} ${typeOf(inner)}</p>`,
  )}`
}

function schemasSection({ components: { schemas } }: OpenApi): Html {
  return html`<section aria-labelledby="schemas">
    <h2 id="schemas">Schemas</h2>
    ${Object.entries(schemas).map(([name, schema]) => schemaSection(name, schema as Schema))}
  </section>`
}

function schemaSection(name: string, schema: Schema): Html {
  const members = membersOf(schema)
  const description = typeof schema === 'boolean' ? undefined : schema.description
  return html`<section class="schema" id="schema-${name}">
    <h3>
      <code>${name}</code> <span class="type">${typeOf(schema)}</span>
      <a class="anchor" href="#schema-${name}" aria-label="Link to ${name}">#</a>
    </h3>
    ${description !== undefined && html`<p>${prose(description)}</p>`} ${members}
    <details>
      <summary>JSON Schema</summary>
      <pre tabindex="0"><code>${JSON.stringify(schema, undefined, 2)}</code></pre>
    </details>
  </section>`
}

function errorsSection(): Html {
  return html`<section aria-labelledby="errors">
    <h2 id="errors">Errors</h2>
    <p>
      A refusal is <code>application/problem+json</code>: a <a href="#schema-Problem">Problem</a> with one of these
      codes.
    </p>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Code</th>
            <th scope="col">Status</th>
            <th scope="col">Title</th>
          </tr>
        </thead>
        <tbody>
          ${Object.entries(refusals).map(
            ([code, { status, title }]) =>
              html`<tr id="error-${code}">
                <td><code>${code}</code></td>
                <td>${status}</td>
                <td>${title}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`
}
