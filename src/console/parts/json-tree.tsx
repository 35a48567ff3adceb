/** A JSON value as a tree whose arrays and objects can be folded. */
import { useSignal } from '@preact/signals'
import { formatCount } from '../format.js'

/** How many members are shown before the user asks for all. */
const SHOWN = 100
/** The depth to which the tree is open at first. */
const OPEN = 2

export interface JsonTreeProps {
  value: unknown
  name?: string
  depth?: number
}

export function JsonTree({ value, name, depth = 0 }: JsonTreeProps) {
  const isAll = useSignal(false)
  if (typeof value !== 'object' || value === null)
    return (
      <div class="json">
        <Name name={name} />
        <span class={value === null ? 'null' : typeof value}>{JSON.stringify(value)}</span>
      </div>
    )
  const members: [string, unknown][] = Object.entries(value)
  const [begin, end] = Array.isArray(value) ? ['[', ']'] : ['{', '}']
  if (members.length === 0) return <Empty name={name} brackets={`${begin}${end}`} />
  const shown = isAll.value ? members : members.slice(0, SHOWN)
  return (
    <details class="json" open={depth < OPEN}>
      <summary>
        <Name name={name} />
        {begin}
        <span class="folded">
          {' '}
          {formatCount(members.length, Array.isArray(value) ? 'item' : 'member')} {end}
        </span>
      </summary>
      {shown.map(([key, member]) => (
        <JsonTree key={key} name={Array.isArray(value) ? '' : key} value={member} depth={depth + 1} />
      ))}
      {shown.length < members.length && (
        <button type="button" class="quiet" onClick={() => (isAll.value = true)}>
          Show all {members.length}
        </button>
      )}
      <div class="end">{end}</div>
    </details>
  )
}

/** An array or an object without members. */
function Empty({ name, brackets }: { name: string | undefined; brackets: string }) {
  return (
    <div class="json">
      <Name name={name} />
      {brackets}
    </div>
  )
}

/** @param name empty for an item of an array, whose name is not shown */
function Name({ name }: { name: string | undefined }) {
  return name ? <span class="name">{JSON.stringify(name)}: </span> : null
}
