/** The manifests fit the schemas of Kubernetes. */
import t from 'tap'
import { findResource, MANIFESTS, readKustomization, readResources, type Resource, type Workload } from './files.js'
import { faultsOf } from './kubernetes-schema.js'

for (const folder of MANIFESTS) {
  await t.test(`the resources of deploy/kubernetes/${folder}`, async (t) => {
    for (const file of readKustomization(folder).resources) {
      for (const resource of readResources(folder + file))
        t.strictSame(await faultsOf(resource), [], `${file}: ${resource.kind} ${resource.metadata.name}`)
    }
  })
}

await t.test('the Secret of the example', async (t) => {
  const [secret] = readResources('secret.example.yaml') as [Resource]
  t.strictSame(await faultsOf(secret), [])
})

await t.test('a fault is found at any depth', async (t) => {
  const changed = async (change: (workload: Workload) => void) => {
    const workload = structuredClone(findResource('Deployment', 'fanfare')) as Workload
    change(workload)
    return faultsOf(workload)
  }
  t.strictSame(await changed(() => undefined), [])
  t.match(
    await changed(({ spec }) => Object.assign(spec, { replicas: '3' })),
    [/spec\/replicas must be integer/],
    'a wrong type',
  )
  t.match(
    await changed(({ spec }) => Reflect.deleteProperty(spec, 'selector')),
    [/required property .?selector/],
    'a missing property',
  )
  t.strictSame(
    await changed(({ spec }) => Object.assign(spec, { replica: 3 })),
    ['/spec/replica is unknown'],
    'an unknown property',
  )
  t.strictSame(
    await changed(({ spec }) => Object.assign(spec.template.spec.containers[0].livenessProbe.httpGet, { pfad: '/' })),
    ['/spec/template/spec/containers/0/livenessProbe/httpGet/pfad is unknown'],
    'an unknown property in an element of a list',
  )
  t.strictSame(
    await changed((workload) => Object.assign(workload, { specs: {} })),
    ['/specs is unknown'],
    'an unknown property of the resource',
  )
})
