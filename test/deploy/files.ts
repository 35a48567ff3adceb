/** Reads the files of the cluster in deploy/. */
import { readFileSync } from 'node:fs'
import { parse, parseAllDocuments } from 'yaml'

const ROOT = new URL('../../', import.meta.url)
const KUBERNETES = 'deploy/kubernetes/'

/** The folders of manifests in deploy/kubernetes: of the cluster, and of one hub with a volume. */
export const MANIFESTS = ['', 'single/'] as const
export type Manifests = (typeof MANIFESTS)[number]

/** A service of compose, as far as the tests read it. */
export interface Service {
  image: string
  command?: string[]
  environment?: Record<string, string>
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[] }
  networks: string[]
  ports?: string[]
  stop_grace_period?: string
  stop_signal?: string
  volumes?: string[]
  read_only: boolean
  cap_drop: string[]
}

/** A container of a Pod, as far as the tests read it. */
export interface Container {
  name: string
  image: string
  args?: string[]
  env: {
    name: string
    value?: string
    valueFrom?: { secretKeyRef?: { name: string; key: string }; fieldRef?: { fieldPath: string } }
  }[]
  ports: { name: string; containerPort: number }[]
  startupProbe: Probe
  readinessProbe: Probe
  livenessProbe: Probe
  lifecycle: { preStop: { exec: { command: string[] } } }
  securityContext: object
  volumeMounts?: { name: string; mountPath: string }[]
}

export interface Probe {
  httpGet: { path: string; port: string }
}

/** Any resource of Kubernetes. */
export interface Resource {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; annotations?: Record<string, string> }
}

/** A Deployment or a StatefulSet, as far as the tests read it. */
export interface Workload extends Resource {
  spec: {
    replicas: number
    serviceName?: string
    podManagementPolicy?: string
    strategy?: object
    minReadySeconds?: number
    selector: { matchLabels: Record<string, string> }
    template: {
      metadata: { labels: Record<string, string> }
      spec: {
        terminationGracePeriodSeconds: number
        enableServiceLinks: boolean
        securityContext: object
        containers: [Container]
        topologySpreadConstraints?: { labelSelector: { matchLabels: Record<string, string> } }[]
        volumes?: { configMap: { name: string } }[]
      }
    }
    volumeClaimTemplates?: { spec: { resources: { requests: { storage: string } } } }[]
  }
}

export interface Kustomization {
  namespace: string
  resources: string[]
  configMapGenerator?: { name: string; files: string[] }[]
  images: { name: string; newName: string; newTag: string }[]
}

export function readText(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

/**
 * Reads a file of compose with the variables of an environment.
 * @throws Error if a variable is unset that compose requires
 */
export function readCompose(
  env: Record<string, string>,
  file: 'compose.yaml' | 'deploy/compose.cluster.yaml' = 'deploy/compose.cluster.yaml',
): Record<string, Service> {
  // compose sets variables in the parsed values too, so that a value is always a string
  const written = JSON.stringify(parse(readText(file), { merge: true }))
  const set: unknown = JSON.parse(written, (_key, value: unknown) =>
    typeof value === 'string' ? interpolate(value, env) : value,
  )
  return (set as { services: Record<string, Service> }).services
}

/**
 * Replaces `${NAME}`, `${NAME:-default}`, `${NAME:+text}` and `${NAME:?message}`. An empty variable counts as unset.
 */
function interpolate(text: string, env: Record<string, string>): string {
  return text.replaceAll(
    /\$\{(\w+)(?::([-+?])([^}]*))?\}/g,
    (_all, name: string, kind?: string, rest: string = 'it is unset') => {
      const value = env[name]
      if (value !== undefined && value !== '') return kind === '+' ? rest : value
      if (kind === '+') return ''
      if (kind === '-') return rest
      throw new Error(`${name}: ${rest}`)
    },
  )
}

export function readKustomization(folder: Manifests = ''): Kustomization {
  return parse(readText(`${KUBERNETES}${folder}kustomization.yaml`)) as Kustomization
}

/** Reads the resources of a file in deploy/kubernetes. */
export function readResources(file: string): Resource[] {
  return parseAllDocuments(readText(KUBERNETES + file)).map((document) => {
    if (document.errors[0]) throw document.errors[0]
    return document.toJS() as Resource
  })
}

/** Returns the only resource of a kind and name in a kustomization. */
export function findResource(kind: string, name: string, folder: Manifests = ''): Resource {
  const found = readKustomization(folder)
    .resources.flatMap((file) => readResources(folder + file))
    .filter((resource) => resource.kind === kind && resource.metadata.name === name)
  const [resource] = found
  if (!resource || found.length > 1) throw new Error(`${found.length} resources are a ${kind} ${name}`)
  return resource
}

/** Returns the environment of a container, with the values of a Secret. */
export function environmentOf({ env }: Container, secret: Record<string, string>): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const { name, value, valueFrom } of env) {
    const key = valueFrom?.secretKeyRef?.key
    if (value !== undefined)
      environment[name] = value.replaceAll(/\$\((\w+)\)/g, (all, other: string) => environment[other] ?? all)
    else if (key !== undefined && secret[key] !== undefined) environment[name] = secret[key]
    else if (valueFrom?.fieldRef === undefined) throw new Error(`${name} has no value`)
  }
  return environment
}

/** Returns the labels that the Dockerfile sets. */
export function imageLabels(): Record<string, string> {
  const labels = readText('Dockerfile').matchAll(/^(?:LABEL| ) (org\.[\w.]+)="([^"]*)"/gm)
  return Object.fromEntries([...labels].map(([, name, value]) => [name!, value!]))
}

/** Returns the variables that the Dockerfile sets. */
export function imageEnvironment(): Record<string, string> {
  const variables = /^ENV (.+)$/m.exec(readText('Dockerfile'))?.[1]?.split(' ') ?? []
  return Object.fromEntries(variables.map((variable) => variable.split('=') as [string, string]))
}

/** Returns the values of a directive in nginx-cluster.conf or of a key in nats.conf. */
export function valuesIn(file: 'nginx-cluster.conf' | 'kubernetes/nats.conf', name: string): string[] {
  const text = readText(`deploy/${file}`)
  return [...text.matchAll(new RegExp(`^ *${name}:? +([^#;\n]+?) *;? *(?:#.*)?$`, 'gm'))].map(([, value]) => value!)
}

/** Returns the only such value. */
export function valueIn(file: 'nginx-cluster.conf' | 'kubernetes/nats.conf', name: string): string {
  const values = valuesIn(file, name)
  if (values.length !== 1) throw new Error(`${file} has ${values.length} values of ${name}`)
  return values[0]!
}

/** Returns a time such as `20s` in milliseconds. */
export function milliseconds(text: string): number {
  const [, digits, unit] = /^(\d+)(ms|s|m)$/.exec(text) ?? []
  if (digits === undefined || unit === undefined) throw new Error(`not a time: ${text}`)
  return Number(digits) * { ms: 1, s: 1_000, m: 60_000 }[unit as 'ms' | 's' | 'm']
}
