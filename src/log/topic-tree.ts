/** Values by topic, as a tree of segments. Finding the topics of patterns visits only branches that can match. */
import type { PatternNode, PatternTree } from '../model/pattern-tree.js'
import { isReserved } from '../model/topic.js'

/** The bytes of a branch: the object, its entry in a table, and its own table. */
export const BRANCH_SIZE = 250

interface Branch<T> {
  /** Branches by their next segment; `undefined`: there are none. */
  children: Map<string, Branch<T>> | undefined
  /** The value of the topic that ends here. */
  value: T | undefined
}

/** The unvisited branches below a visited one. */
interface Frame<T> {
  branches: Iterator<[string, Branch<T>]>
  /** The rest of the patterns; `undefined`: every branch below matches. */
  nodes: readonly PatternNode[] | undefined
  /** Whether these are first segments, some of which are reserved for the hub. */
  isTop: boolean
}

export class TopicTree<T> {
  /** The number of branches. */
  branches = 0
  readonly #root: Branch<T> = { children: undefined, value: undefined }

  set(topic: string, value: T): void {
    let branch = this.#root
    for (const segment of topic.split('.')) {
      branch.children ??= new Map()
      let child = branch.children.get(segment)
      if (!child) {
        branch.children.set(segment, (child = { children: undefined, value: undefined }))
        this.branches++
      }
      branch = child
    }
    branch.value = value
  }

  delete(topic: string): void {
    this.branches -= remove(this.#root, topic.split('.'), 0)
  }

  /**
   * Finds the values of the topics that match patterns, each once. The tree may change meanwhile: a topic that exists
   * from the first step to the last is found.
   * @returns one value per step; `undefined`: the visited branch has none
   */
  *matching({ root }: PatternTree): Generator<T | undefined, undefined> {
    const stack = [frameBelow(this.#root, [root], true)]
    for (let frame = stack.at(-1); frame; frame = stack.at(-1)) {
      const next = frame.branches.next()
      if (next.done) {
        stack.pop()
        continue
      }
      const [segment, branch] = next.value
      const nodes = frame.nodes && follow(frame.nodes, segment, frame.isTop && isReserved(segment))
      if (branch.children && (nodes === undefined || nodes.length > 0)) stack.push(frameBelow(branch, nodes, false))
      yield nodes === undefined || nodes.some(({ isEnd }) => isEnd) ? branch.value : undefined
    }
  }
}

/** Returns the rest of patterns after a segment; `undefined`: every continuation matches. */
function follow(
  nodes: readonly PatternNode[],
  segment: string,
  isReserved: boolean,
): readonly PatternNode[] | undefined {
  const following: PatternNode[] = []
  for (const { children, hasRest } of nodes) {
    if (hasRest && !isReserved) return undefined
    const child = children.get(segment)
    if (child) following.push(child)
    const star = isReserved ? undefined : children.get('*')
    if (star) following.push(star)
  }
  return following
}

function frameBelow<T>(
  { children = new Map<string, Branch<T>>() }: Branch<T>,
  nodes: readonly PatternNode[] | undefined,
  isTop: boolean,
): Frame<T> {
  const isOpen = nodes === undefined || nodes.some((node) => node.hasRest || node.children.has('*'))
  return { branches: isOpen ? children.entries() : named(children, nodes), nodes, isTop }
}

/** Yields the branches that patterns name. */
function* named<T>(
  children: Map<string, Branch<T>>,
  nodes: readonly PatternNode[],
): Generator<[string, Branch<T>], undefined> {
  const segments = new Set(nodes.flatMap((node) => [...node.children.keys()]))
  if (segments.size > children.size) {
    for (const entry of children) if (segments.has(entry[0])) yield entry
    return
  }
  for (const segment of segments) {
    const branch = children.get(segment)
    if (branch) yield [segment, branch]
  }
}

/** Removes the empty branches along a path. Returns how many. */
function remove<T>(branch: Branch<T>, segments: readonly string[], depth: number): number {
  const segment = segments[depth]
  if (segment === undefined) {
    branch.value = undefined
    return 0
  }
  const child = branch.children?.get(segment)
  if (!child) return 0
  const removed = remove(child, segments, depth + 1)
  if (child.value !== undefined || child.children) return removed
  branch.children!.delete(segment)
  if (branch.children!.size === 0) branch.children = undefined
  return removed + 1
}
