/** Finds the values of a topic: exact topics in a map, patterns in a tree of segments. */
import { isExact, isReserved } from '../model/topic.js'

interface Node<T> {
  children: Map<string, Node<T>>
  /** Values whose pattern ends here. */
  here: Set<T>
  /** Values whose pattern ends here with `**`. */
  rest: Set<T>
}

/**
 * A set of values, each under topics and patterns. A lookup costs the segments of the topic, not the number of
 * patterns.
 */
export class TopicIndex<T> {
  readonly #exact = new Map<string, Set<T>>()
  readonly #root: Node<T> = createNode()
  #wildcards = 0
  /** The number of distinct patterns with a wildcard. */
  #patterns = 0

  /** The number of distinct topics and patterns that have a value. */
  get size(): number {
    return this.#exact.size + this.#patterns
  }

  /** Adds `value` under a topic or pattern. */
  add(pattern: string, value: T): void {
    if (isExact(pattern)) {
      const values = this.#exact.get(pattern)
      if (values) values.add(value)
      else this.#exact.set(pattern, new Set([value]))
      return
    }
    const values = this.#place(pattern)
    if (values.has(value)) return
    if (values.size === 0) this.#patterns++
    this.#wildcards++
    values.add(value)
  }

  /** Removes `value` from a topic or pattern. */
  delete(pattern: string, value: T): void {
    if (isExact(pattern)) {
      const values = this.#exact.get(pattern)
      if (values?.delete(value) && values.size === 0) this.#exact.delete(pattern)
      return
    }
    const values = this.#place(pattern)
    if (values.delete(value)) {
      this.#wildcards--
      if (values.size === 0) this.#patterns--
    }
    prune(this.#root, pattern.split('.'), 0)
  }

  /** Calls `visit` with every value whose topics or patterns match `topic`; once for each match. */
  each(topic: string, visit: (value: T) => void): void {
    const values = this.#exact.get(topic)
    if (values) for (const value of values) visit(value)
    if (this.#wildcards > 0) walk(this.#root, topic.split('.'), 0, isReserved(topic), visit)
  }

  #place(pattern: string): Set<T> {
    let node = this.#root
    for (const segment of pattern.split('.')) {
      if (segment === '**') return node.rest
      let child = node.children.get(segment)
      if (!child) node.children.set(segment, (child = createNode()))
      node = child
    }
    return node.here
  }
}

function createNode<T>(): Node<T> {
  return { children: new Map(), here: new Set(), rest: new Set() }
}

/** @param literal whether no wildcard may match the first segment, because the topic is reserved */
function walk<T>(node: Node<T>, segments: string[], depth: number, literal: boolean, visit: (value: T) => void): void {
  const segment = segments[depth]
  if (segment === undefined) {
    for (const value of node.here) visit(value)
    return
  }
  const child = node.children.get(segment)
  if (child) walk(child, segments, depth + 1, false, visit)
  if (literal) return
  for (const value of node.rest) visit(value)
  const star = node.children.get('*')
  if (star) walk(star, segments, depth + 1, false, visit)
}

/** Removes the branch of `segments` if it is empty, so that patterns that come and go leave no nodes behind. */
function prune<T>(node: Node<T>, segments: string[], depth: number): void {
  const segment = segments[depth]
  const child = segment === undefined ? undefined : node.children.get(segment)
  if (segment === undefined || !child) return
  prune(child, segments, depth + 1)
  if (child.children.size === 0 && child.here.size === 0 && child.rest.size === 0) node.children.delete(segment)
}
