/** Checks resources against the schemas of Kubernetes 1.27, the oldest version that the manifests support. */
import type { Resource } from './files.js'

/** A class of `kubernetes-models`, whose compiled schema is that of the OpenAPI document of Kubernetes. */
type Model = new (resource: Resource) => { validate(): void }

/**
 * Returns the faults of a resource: wrong types, missing properties, and unknown ones, which an API server refuses with
 * `--validate=strict`.
 */
export async function faultsOf(resource: Resource): Promise<string[]> {
  const { apiVersion, kind } = resource
  const models = (await import(`kubernetes-models/${apiVersion}/${kind}`)) as Record<string, Model>
  const model = new models[kind]!(resource)
  const read = new Set<string>()
  try {
    recording(model, '', read).validate()
  } catch (err) {
    return [(err as Error).message]
  }
  return pathsOf(model, '')
    .filter((path) => !read.has(path))
    .map((path) => `${path} is unknown`)
}

/**
 * Records which properties are read. The schemas allow unknown properties, but they read only those that they know (and
 * each one of a map).
 */
function recording<T extends object>(value: T, path: string, read: Set<string>): T {
  return new Proxy(value, {
    get(target, key) {
      const property: unknown = Reflect.get(target, key)
      if (typeof key === 'symbol' || !Object.hasOwn(target, key)) return property
      read.add(`${path}/${key}`)
      const isObject = typeof property === 'object' && property !== null
      return isObject ? recording(property, `${path}/${key}`, read) : property
    },
  })
}

/** The paths of all properties and elements of a value. */
function pathsOf(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => [`${path}/${key}`, ...pathsOf(inner, `${path}/${key}`)])
}
