/** Topics and patterns as a tree of segments: a topic is compared with all of them at once. */
import { isReserved } from './topic.js'

/** What follows one segment of the patterns. */
export interface PatternNode {
  /** By the next segment, which may be `*`. */
  readonly children: Map<string, PatternNode>
  /** A pattern ends here. */
  isEnd: boolean
  /** A pattern goes on with `**`. */
  hasRest: boolean
}

export class PatternTree {
  readonly root: PatternNode = createNode()

  constructor(patterns: Iterable<string>) {
    for (const pattern of patterns) this.#add(pattern)
  }

  /** Whether one of the patterns stands for `topic`. */
  has(topic: string): boolean {
    const isOwn = isReserved(topic)
    return (this.root.hasRest && !isOwn) || reaches(this.root, topic.split('.'), 0, isOwn)
  }

  #add(pattern: string): void {
    let node = this.root
    for (const segment of pattern.split('.')) {
      if (segment === '**') {
        node.hasRest = true
        return
      }
      let child = node.children.get(segment)
      if (!child) node.children.set(segment, (child = createNode()))
      node = child
    }
    node.isEnd = true
  }
}

function createNode(): PatternNode {
  return { children: new Map(), isEnd: false, hasRest: false }
}

/** @param isLiteral whether the next segment must not be matched by a wildcard: the topic is one of the hub's own */
function reaches(node: PatternNode, segments: readonly string[], depth: number, isLiteral: boolean): boolean {
  const segment = segments[depth]
  if (segment === undefined) return node.isEnd
  if (!isLiteral && node.hasRest) return true
  const child = node.children.get(segment)
  if (child && reaches(child, segments, depth + 1, false)) return true
  const star = isLiteral ? undefined : node.children.get('*')
  return star !== undefined && reaches(star, segments, depth + 1, false)
}
