/** Shows JSON Schemas: a type in words, and the members of an object. */
import { html, prose, type Html } from './html.js'

/** The keywords that are shown. */
interface Shown {
  $ref?: string
  type?: string | string[]
  const?: unknown
  enum?: unknown[]
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: Schema
  description?: string
  format?: string
  pattern?: string
  contentMediaType?: string
  contentSchema?: Schema
  examples?: unknown[]
  default?: unknown
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  maxItems?: number
}
export type Schema = Shown | boolean

/** How deep nested objects are shown. */
const MAX_DEPTH = 4
const COMPONENTS = '#/components/schemas/'

/** Returns the type of a schema as one line of HTML. */
export function typeOf(schema: Schema | undefined): Html {
  if (schema === undefined || schema === true) return html`any`
  if (schema === false) return html`nothing`
  const { $ref, const: value, enum: values, anyOf, oneOf, allOf, items, contentMediaType, contentSchema } = schema
  if ($ref !== undefined) return reference($ref)
  if ('const' in schema) return html`<code>${JSON.stringify(value)}</code>`
  if (values) return joined(values.map((one) => html`<code>${JSON.stringify(one)}</code>`))
  const choices = anyOf ?? oneOf ?? allOf
  if (choices) return joined(choices.map(typeOf), allOf === choices ? ' and ' : ' or ')
  const limits = limitsOf(schema)
  if (items !== undefined) return html`array ${limits.length > 0 && `(${limits.join(', ')}) `}of ${typeOf(items)}`
  if (contentSchema !== undefined) return html`string, ${contentMediaType} of ${typeOf(contentSchema)}`
  const name = schema.type === undefined ? 'any' : [schema.type].flat().join(' or ')
  return html`${name}${limits.length > 0 && `, ${limits.join(', ')}`}`
}

function reference($ref: string): Html {
  const [name = ''] = $ref.slice(COMPONENTS.length).split('/')
  return html`<a href="#schema-${name}">${name}</a>`
}

function joined(parts: readonly Html[], by = ' or '): Html {
  return html`${parts.map((part, index) => [index > 0 && by, part])}`
}

function limitsOf({ format, minimum, maximum, minLength, maxLength, minItems, maxItems }: Shown): string[] {
  return [
    format,
    rangeOf(minimum, maximum),
    minLength !== undefined && minLength > 1 && `at least ${minLength} characters`,
    maxLength !== undefined && `at most ${maxLength.toLocaleString('en')} characters`,
    minItems !== undefined && maxItems !== undefined && `${minItems} to ${maxItems.toLocaleString('en')} items`,
    minItems !== undefined && maxItems === undefined && `at least ${minItems} items`,
    minItems === undefined && maxItems !== undefined && `at most ${maxItems.toLocaleString('en')} items`,
  ].filter((limit): limit is string => typeof limit === 'string')
}

/** The greatest number that JavaScript counts to is no limit in practice. */
function rangeOf(minimum: number | undefined, maximum: number | undefined): string | false {
  const end = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? undefined : maximum.toLocaleString('en')
  if (minimum !== undefined) return end === undefined ? `≥ ${minimum}` : `${minimum} to ${end}`
  return end !== undefined && `≤ ${end}`
}

/** Returns the members of an object, of the items of an array, or of the choices of a schema; nested ones indented. */
export function membersOf(schema: Schema, depth = 0): Html | undefined {
  if (typeof schema === 'boolean' || depth >= MAX_DEPTH) return undefined
  const { properties, required = [], items, anyOf, oneOf, contentSchema, additionalProperties } = schema
  if (properties && Object.keys(properties).length > 0) {
    const rows = Object.entries(properties).map(([name, member]) => memberOf(name, member, required, depth))
    return html`<dl class="members">${rows}</dl>`
  }
  for (const inner of [items, contentSchema, additionalProperties])
    if (inner !== undefined) return membersOf(inner, depth)
  return html`${(anyOf ?? oneOf ?? []).map((choice) => membersOf(choice, depth))}`
}

function memberOf(name: string, member: Schema, required: readonly string[], depth: number): Html {
  const { description, examples = [] }: Shown = typeof member === 'boolean' ? {} : member
  return html`<div>
    <dt>
      <code class="name">${name}</code> <span class="type">${typeOf(member)}</span>
      ${!required.includes(name) && html`<span class="optional">optional</span>`}
    </dt>
    <dd>
      ${description !== undefined && html`<p>${prose(sentence(description))}</p>`}
      ${examples.length > 0 && html`<p class="example">Example: <code>${JSON.stringify(examples[0])}</code></p>`}
      ${membersOf(member, depth + 1)}
    </dd>
  </div>`
}

/** Returns a description as a sentence. Descriptions of schemas begin in lower case. */
export function sentence(text: string): string {
  const [first = ''] = text
  const end = /[.!?:]$/.test(text) ? '' : '.'
  return /^[a-z]+\b(?![=:])/.test(text) ? `${first.toUpperCase()}${text.slice(1)}${end}` : `${text}${end}`
}
