/** A tree of topics and patterns by segments, which matches a topic against all of them at once. */
import { isReserved } from './topic.js'

/** The continuations of the patterns after a segment. */
export interface PatternNode {
  /** Nodes by the next segment, which may be `*`. */
  readonly children: Map<string, PatternNode>
  /** Whether a pattern ends here. */
  isEnd: boolean
  /** Whether a pattern continues with `**`. */
  hasRest: boolean
}

export class PatternTree {
  readonly root: PatternNode = createNode()

  constructor(patterns: Iterable<string>) {
    for (const pattern of patterns) this.#add(pattern)
  }

  /** Whether one of the patterns matches a topic. */
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

/** @param isLiteral whether no wildcard may match the next segment, as in the system topics */
function reaches(node: PatternNode, segments: readonly string[], depth: number, isLiteral: boolean): boolean {
  const segment = segments[depth]
  if (segment === undefined) return node.isEnd
  if (!isLiteral && node.hasRest) return true
  const child = node.children.get(segment)
  if (child && reaches(child, segments, depth + 1, false)) return true
  const star = isLiteral ? undefined : node.children.get('*')
  return star !== undefined && reaches(star, segments, depth + 1, false)
}
