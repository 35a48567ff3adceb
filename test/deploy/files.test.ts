/** The files of the cluster agree with the hub, and with each other. */
import t from 'tap'
import { buildApp } from '../../src/app.js'
import { CLOSE_GRACE } from '../../src/commands/serve.js'
import { loadSettings, type Settings } from '../../src/settings.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { SECRET } from '../helper/token.js'
import {
  environmentOf,
  findResource,
  imageEnvironment,
  imageLabels,
  MANIFESTS,
  milliseconds,
  readCompose,
  readKustomization,
  readResources,
  readText,
  valueIn,
  type Resource,
  type Service,
  type Workload,
} from './files.js'

const HUBS = ['hub1', 'hub2', 'hub3']
const SERVERS = ['nats1', 'nats2', 'nats3']
const PASSWORD = '007'
/** The time after which Fastify's server closes an idle connection (its option `keepAliveTimeout`), in milliseconds. */
const KEEP_ALIVE = 72_000

const services = readCompose({ FANFARE_JWT_SECRET: SECRET, FANFARE_NATS_PASSWORD: PASSWORD })
const hubs = findResource('Deployment', 'fanfare') as Workload
const servers = findResource('StatefulSet', 'nats') as Workload
const [hub] = hubs.spec.template.spec.containers
const [server] = servers.spec.template.spec.containers
const image = imageEnvironment()
const { version } = JSON.parse(readText('package.json')) as { version: string }

/** The settings of a hub with an environment: an unknown name or an invalid value throws. */
function settingsOf(environment: Record<string, string>): Settings & { trustProxy: unknown; port: number } {
  const { hub, trustProxy, port } = loadSettings({ ...image, ...environment })
  return { ...hub, trustProxy, port }
}

const composed = HUBS.map((name) => settingsOf(services[name]!.environment!))
const orchestrated = settingsOf(environmentOf(hub, { 'jwt-secret': SECRET, 'nats-password': PASSWORD }))

/** The ports of nats.conf. */
const NATS_PORTS = { client: portOf('listen'), routes: 6_222, monitor: portOf('http') }

function portOf(key: string): number {
  // the cluster has a `listen` of its own, indented
  return Number(new RegExp(`^${key}: "0\\.0\\.0\\.0:(\\d+)"`, 'm').exec(readText('deploy/kubernetes/nats.conf'))?.[1])
}

/** The host names and ports of a log on NATS. */
function addresses({ log }: Settings): string[] {
  return typeof log === 'string' ? log.replace('nats://', '').split(',') : []
}

await t.test('every hub has valid settings', (t) => {
  for (const settings of [...composed, orchestrated])
    t.match(settings, {
      natsReplicas: 3,
      natsUser: valueIn('kubernetes/nats.conf', 'user'),
      natsPassword: PASSWORD,
      jwtSecret: SECRET,
      trustProxy: 1,
    })
  t.strictSame(composed[1], composed[0])
  t.strictSame(composed[2], composed[0])
  t.end()
})

await t.test('compose requires the secrets', (t) => {
  t.throws(() => readCompose({ FANFARE_NATS_PASSWORD: PASSWORD }), { message: /^FANFARE_JWT_SECRET: set it to / })
  t.throws(() => readCompose({ FANFARE_JWT_SECRET: SECRET }), { message: /^FANFARE_NATS_PASSWORD: set it to / })
  t.throws(() => readCompose({ FANFARE_JWT_SECRET: '', FANFARE_NATS_PASSWORD: PASSWORD }))
  t.end()
})

await t.test('the Secret of the example has each key that is used', (t) => {
  const [secret] = readResources('secret.example.yaml') as [Resource & { stringData: Record<string, string> }]
  const { namespace } = readKustomization()
  t.match(secret.metadata, { name: 'fanfare', namespace })
  for (const container of [hub, server]) {
    t.doesNotThrow(() => environmentOf(container, secret.stringData))
    for (const { valueFrom } of container.env) {
      if (valueFrom?.secretKeyRef) t.equal(valueFrom.secretKeyRef.name, secret.metadata.name)
    }
  }
  t.end()
})

await t.test('NATS gets its password as a quoted text', (t) => {
  for (const name of SERVERS) t.equal(services[name]!.environment!['NATS_PASSWORD'], `"${PASSWORD}"`)
  t.equal(environmentOf(server, { 'nats-password': PASSWORD })['NATS_PASSWORD'], `"${PASSWORD}"`)
  t.equal(valueIn('kubernetes/nats.conf', 'password'), '$NATS_PASSWORD')
  t.end()
})

await t.test('the addresses of the NATS servers exist', (t) => {
  const pods = [0, 1, 2].map((n) => `${servers.metadata.name}-${n}.${servers.spec.serviceName ?? ''}`)
  t.equal(servers.spec.replicas, pods.length)
  t.match(findResource('Service', servers.spec.serviceName!), {
    spec: { clusterIP: 'None', publishNotReadyAddresses: true },
  })
  const at = (names: string[], port: number) => names.map((name) => `${name}:${port}`)
  t.strictSame(addresses(composed[0]!), at(SERVERS, NATS_PORTS.client))
  t.strictSame(addresses(orchestrated), at(pods, NATS_PORTS.client))
  const routes = (names: string[]) =>
    at(names, NATS_PORTS.routes)
      .map((route) => `nats://${route}`)
      .join(',')
  for (const name of SERVERS)
    t.strictSame(services[name]!.command!.slice(2), ['--name', name, '--routes', routes(SERVERS)])
  t.ok(server.args!.includes(`--routes=${routes(pods)}`))
  t.match(readText('deploy/kubernetes/nats.conf'), `listen: "0.0.0.0:${NATS_PORTS.routes}"`)
  t.end()
})

await t.test('compose and Kubernetes run the same NATS server with the same configuration', (t) => {
  const [{ name, files }] = readKustomization().configMapGenerator as [{ name: string; files: string[] }]
  t.strictSame(files, ['nats.conf'])
  t.match(servers.spec.template.spec.volumes, [{ configMap: { name } }])
  for (const service of SERVERS) {
    t.equal(services[service]!.image, server.image)
    t.match(services[service]!.volumes, ['./kubernetes/nats.conf:/etc/nats/nats.conf:ro', `${service}:/data`])
  }
  t.equal(valueIn('kubernetes/nats.conf', 'store_dir'), '/data')
  t.equal(valueIn('kubernetes/nats.conf', 'max_file_store'), '8GB')
  t.equal(servers.spec.volumeClaimTemplates![0]!.spec.resources.requests.storage, '10Gi')
  const [, minor] = /^nats:2\.(\d+)\./.exec(server.image) ?? []
  t.ok(Number(minor) >= 12, 'a version that a hub accepts')
  t.end()
})

await t.test('each image has a version', (t) => {
  for (const [name, service] of Object.entries(services)) t.match(service.image, /:\d+\.\d+\.\d+(-alpine)?$/, name)
  t.match(server.image, /:\d+\.\d+\.\d+-alpine$/)
  for (const name of HUBS) t.equal(services[name]!.image, `fanfare:${version}`)
  t.equal(imageLabels()['org.opencontainers.image.version'], version)
  t.match(readKustomization().images, [{ name: hub.image, newTag: version }])
  t.end()
})

await t.test('the health checks ask for routes of the hub', async (t) => {
  const app = await buildApp({ log: 'memory', jwtSecret: SECRET, nativeSockets: NATIVE_SOCKETS })
  t.teardown(() => app.close())
  const proxied = new URL(services['nginx']!.healthcheck!.test.at(-1)!)
  const probes = [hub.startupProbe, hub.readinessProbe, hub.livenessProbe].map(({ httpGet }) => httpGet)
  for (const { port } of probes) t.equal(port, 'http')
  for (const url of [proxied.pathname, ...probes.map(({ path }) => path)])
    t.equal((await app.inject({ url })).statusCode, 200, url)
  t.equal(hub.readinessProbe.httpGet.path, '/health/ready')
  t.equal(hub.livenessProbe.httpGet.path, '/health/live', 'a hub without NATS is not restarted')
  t.match(readText('Dockerfile'), 'CMD ["node", "dist/main.js", "health"]')
})

await t.test('the ports agree', (t) => {
  const { port } = orchestrated
  t.match(hub.ports, [{ name: 'http', containerPort: port }])
  t.equal(composed[0]!.port, port)
  for (const name of HUBS)
    t.match(readText('deploy/nginx-cluster.conf'), `server ${name}:${port} resolve`, 'nginx knows each hub')
  const listen = valueIn('nginx-cluster.conf', 'listen')
  t.strictSame(services['nginx']!.ports, [`8080:${listen}`])
  t.equal(new URL(services['nginx']!.healthcheck!.test.at(-1)!).port, listen)
  for (const [name, containerPort] of Object.entries(NATS_PORTS))
    t.ok(
      server.ports.some((port) => port.name === name && port.containerPort === containerPort),
      name,
    )
  for (const name of SERVERS)
    t.equal(new URL(services[name]!.healthcheck!.test.at(-1)!).port, String(NATS_PORTS.monitor))
  t.match(findResource('Service', 'fanfare'), { spec: { ports: [{ name: 'http', targetPort: 'http' }] } })
  t.match(findResource('Ingress', 'fanfare'), {
    spec: { rules: [{ http: { paths: [{ backend: { service: { name: 'fanfare', port: { name: 'http' } } } }] } }] },
  })
  t.match(findResource('NetworkPolicy', 'nats'), {
    spec: {
      podSelector: { matchLabels: servers.spec.selector.matchLabels },
      ingress: [
        {
          from: [{ podSelector: { matchLabels: hubs.spec.selector.matchLabels } }],
          ports: [{ port: NATS_PORTS.client }],
        },
        {
          from: [{ podSelector: { matchLabels: servers.spec.selector.matchLabels } }],
          ports: [{ port: NATS_PORTS.routes }],
        },
      ],
    },
  })
  t.end()
})

await t.test('the metrics have a port of their own, to which no Service leads', (t) => {
  for (const folder of MANIFESTS) {
    const kind = folder === '' ? 'Deployment' : 'StatefulSet'
    const [container] = (findResource(kind, 'fanfare', folder) as Workload).spec.template.spec.containers
    const environment = environmentOf(container, { 'jwt-secret': SECRET, 'nats-password': PASSWORD })
    const { metricsPort } = loadSettings({ ...image, ...environment })
    t.ok(container.ports.some(({ name, containerPort }) => name === 'metrics' && containerPort === metricsPort))
    t.match(findResource('Service', 'fanfare', folder), { spec: { ports: [{ targetPort: 'http' }] } })
  }
  t.end()
})

await t.test('each process has enough time for a graceful stop', (t) => {
  for (const name of HUBS)
    t.ok(milliseconds(services[name]!.stop_grace_period!) > composed[0]!.drain + CLOSE_GRACE, name)
  const [command, seconds] = hub.lifecycle.preStop.exec.command
  t.equal(command, 'sleep')
  const { terminationGracePeriodSeconds } = hubs.spec.template.spec
  t.ok(terminationGracePeriodSeconds * 1_000 > Number(seconds) * 1_000 + orchestrated.drain + CLOSE_GRACE)

  const [grace, duration] = ['lame_duck_grace_period', 'lame_duck_duration'].map((key) =>
    milliseconds(valueIn('kubernetes/nats.conf', key)),
  )
  for (const name of SERVERS) {
    t.equal(services[name]!.stop_signal, 'SIGUSR2')
    t.ok(milliseconds(services[name]!.stop_grace_period!) > grace! + duration!, name)
  }
  t.ok(servers.spec.template.spec.terminationGracePeriodSeconds * 1_000 > grace! + duration!)
  t.end()
})

await t.test('nginx waits longer than the hub is silent', (t) => {
  const settings = composed[0]!
  t.ok(milliseconds(valueIn('nginx-cluster.conf', 'proxy_read_timeout')) > 2 * settings.heartbeat)
  t.ok(milliseconds(valueIn('nginx-cluster.conf', 'client_body_timeout')) > settings.uploadIdle)
  t.ok(milliseconds(valueIn('nginx-cluster.conf', 'keepalive_timeout')) < KEEP_ALIVE)
  const { annotations } = findResource('Ingress', 'fanfare').metadata
  const annotation = (name: string) => annotations?.[`nginx.ingress.kubernetes.io/${name}`]
  t.ok(Number(annotation('proxy-read-timeout')) * 1_000 > 2 * settings.heartbeat)
  t.equal(annotation('proxy-buffering'), 'off')
  t.equal(annotation('proxy-next-upstream'), valueIn('nginx-cluster.conf', 'proxy_next_upstream'))
  t.end()
})

await t.test('an update replaces one hub at a time', (t) => {
  t.match(hubs.spec, {
    replicas: 3,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
  })
  const preStop = Number(hub.lifecycle.preStop.exec.command[1]) * 1_000
  t.ok(hubs.spec.minReadySeconds! * 1_000 >= preStop + orchestrated.drain, 'the next one begins after the drain')
  t.equal(servers.spec.podManagementPolicy, 'Parallel', 'a server that starts alone would never be ready')
  t.end()
})

await t.test('the selectors match', (t) => {
  for (const workload of [hubs, servers]) {
    const { labels } = workload.spec.template.metadata
    const { name } = workload.metadata
    t.strictSame(workload.spec.selector.matchLabels, labels)
    t.match(findResource('Service', name), { spec: { selector: labels } })
    t.match(findResource('PodDisruptionBudget', name), {
      spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
    })
    t.strictSame(workload.spec.template.spec.topologySpreadConstraints![0]!.labelSelector.matchLabels, labels)
  }
  t.end()
})

await t.test('no container has a privilege', (t) => {
  for (const { spec } of [hubs.spec.template, servers.spec.template]) {
    t.match(spec, {
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    })
  }
  for (const [name, service] of Object.entries<Service>(services)) {
    t.match(service, { read_only: true, cap_drop: ['ALL'] }, name)
    t.equal(service.ports !== undefined, name === 'nginx', 'only nginx is reached from outside')
  }
  for (const name of SERVERS) t.strictSame(services[name]!.networks, ['back'])
  t.end()
})

await t.test('compose starts a hub after the NATS servers, and nginx after the hubs', (t) => {
  const healthy = (names: string[]) => Object.fromEntries(names.map((name) => [name, { condition: 'service_healthy' }]))
  for (const name of HUBS) t.strictSame(services[name]!.depends_on, healthy(SERVERS))
  t.strictSame(services['nginx']!.depends_on, healthy(HUBS))
  t.end()
})
