/** The files of one hub agree with the hub: compose.yaml, the Dockerfile, and deploy/kubernetes/single. */
import t from 'tap'
import { CLOSE_GRACE } from '../../src/commands/serve.js'
import { loadSettings } from '../../src/settings.js'
import { SECRET } from '../helper/token.js'
import {
  environmentOf,
  findResource,
  imageEnvironment,
  imageLabels,
  milliseconds,
  readCompose,
  readKustomization,
  readResources,
  readText,
  type Workload,
} from './files.js'

/** The bytes of 1 GiB, which is the default of FANFARE_RETAIN_BYTES. */
const GIBIBYTE = 2 ** 30
const image = imageEnvironment()
const { description, license, version } = JSON.parse(readText('package.json')) as Record<string, string>
const { spec } = findResource('StatefulSet', 'fanfare', 'single/') as Workload
const [container] = spec.template.spec.containers

await t.test('the labels of the image describe the package', (t) => {
  const name = (label: string) => `org.opencontainers.image.${label}`
  t.match(imageLabels(), {
    [name('title')]: 'Fanfare',
    [name('description')]: description,
    [name('version')]: version,
    [name('licenses')]: license,
    [name('base.name')]: `docker.io/library/${/^FROM (\S+)$/m.exec(readText('Dockerfile'))?.[1] ?? ''}`,
  })
  t.end()
})

await t.test('compose starts a hub for development without a secret, and one for production with it', (t) => {
  const hubWith = (env: Record<string, string>) => {
    const { environment } = readCompose(env, 'compose.yaml')['fanfare']!
    return { ...image, ...environment }
  }
  t.match(hubWith({}), { NODE_ENV: '', FANFARE_JWT_SECRET: '' })
  t.equal(loadSettings(hubWith({})).hub.jwtSecret, undefined)
  t.match(hubWith({ FANFARE_JWT_SECRET: SECRET }), { NODE_ENV: 'production' })
  t.equal(loadSettings(hubWith({ FANFARE_JWT_SECRET: SECRET })).hub.jwtSecret, SECRET)
  t.end()
})

await t.test('the hub of compose has a volume, no privilege, and time to stop', (t) => {
  const service = readCompose({}, 'compose.yaml')['fanfare']!
  t.match(service, { read_only: true, cap_drop: ['ALL'], volumes: ['data:/data'], ports: [`3000:${image['PORT']!}`] })
  t.ok(milliseconds(service.stop_grace_period!) > loadSettings(image).hub.drain + CLOSE_GRACE)
  t.end()
})

await t.test('the hub of Kubernetes has valid settings, and its Pod is that of the cluster', (t) => {
  const { hub, port, trustProxy } = loadSettings({ ...image, ...environmentOf(container, { 'jwt-secret': SECRET }) })
  t.match(hub, { jwtSecret: SECRET, log: 'file:./data' })
  t.equal(trustProxy, 1)
  t.match(container.ports, [{ name: 'http', containerPort: port }])
  const other = findResource('Deployment', 'fanfare') as Workload
  const [ofCluster] = other.spec.template.spec.containers
  for (const name of ['startupProbe', 'readinessProbe', 'livenessProbe', 'lifecycle', 'securityContext'] as const)
    t.strictSame(container[name], ofCluster[name], name)
  t.match(spec.template.spec.securityContext, other.spec.template.spec.securityContext)
  t.equal(spec.template.spec.terminationGracePeriodSeconds, other.spec.template.spec.terminationGracePeriodSeconds)
  t.equal(spec.template.spec.enableServiceLinks, false)
  t.end()
})

await t.test('the hub of Kubernetes is one, with a volume of its own', (t) => {
  t.equal(spec.replicas, 1)
  t.strictSame(container.volumeMounts, [{ name: 'data', mountPath: '/data' }])
  const [claim] = spec.volumeClaimTemplates!
  t.match(claim, { metadata: { name: 'data' } })
  const size = Number.parseInt(claim!.spec.resources.requests.storage, 10)
  t.ok(size * GIBIBYTE > 2 * GIBIBYTE + 32 * 2 ** 20, 'docs/deployment.md: twice the log, and 32 MiB')
  t.match(spec.template.spec.securityContext, { fsGroup: 1000 }, 'the user of the image may write to it')
  t.match(findResource('Service', spec.serviceName!, 'single/'), { spec: { selector: spec.selector.matchLabels } })
  t.strictSame(spec.template.metadata.labels, spec.selector.matchLabels)
  t.end()
})

await t.test('the rest is the same as for the cluster', (t) => {
  for (const file of ['namespace.yaml', 'ingress.yaml'])
    t.strictSame(readResources(`single/${file}`), readResources(file), file)
  const [single, cluster] = [readKustomization('single/'), readKustomization()]
  t.equal(single.namespace, cluster.namespace)
  t.strictSame(single.images, cluster.images)
  t.end()
})
