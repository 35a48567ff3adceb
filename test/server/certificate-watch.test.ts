/** The certificate of a server follows its files, in the ways in which certbot and Kubernetes replace them. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SettingsError } from '../../src/model/settings-error.js'
import { CertificateWatch } from '../../src/server/certificate-watch.js'
import { checkPair, readPair, type CertificatePair } from '../../src/server/certificate.js'
import { selfSigned } from '../plugins/certificate.js'

const [first, second] = [selfSigned(), selfSigned()]
const expired = selfSigned({ from: -172_800_000, until: -86_400_000 })

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

function write(folder: string, { cert, key }: CertificatePair) {
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
  writeFileSync(files.certFile, cert)
  writeFileSync(files.keyFile, key)
  return files
}

/** Watches files, without a timer of its own. */
async function watch(t: Test, files: { certFile: string; keyFile: string }) {
  const used: CertificatePair[] = []
  const lines: string[] = []
  const watch = new CertificateWatch({
    server: { setSecureContext: (pair) => void used.push(pair) },
    files,
    certificate: checkPair(files, await readPair(files)),
    log: { info: (_fields, line) => void lines.push(line), warn: (_fields, line) => void lines.push(line) },
    interval: 1e6,
  })
  t.teardown(() => watch.stop())
  return { used, lines, watch }
}

await t.test('a renewed pair is used, and an unchanged one is not', async (t) => {
  const folder = folderOf(t)
  const { used, lines, watch: watched } = await watch(t, write(folder, first))
  await watched.look()
  t.strictSame([used, lines], [[], []])
  write(folder, second)
  await watched.look()
  await watched.look()
  t.strictSame(used, [second])
  t.match(lines, [/^new connections get the new certificate, valid until 20/])
})

await t.test('a new target of symbolic links is used', async (t) => {
  const folder = folderOf(t)
  const pairs = [first, second].map((pair, n) => {
    mkdirSync(join(folder, `v${n}`))
    write(join(folder, `v${n}`), pair)
    return `v${n}`
  })
  const link = (target: string) => {
    symlinkSync(target, join(folder, '..next'))
    renameSync(join(folder, '..next'), join(folder, '..data')) // as Kubernetes does
  }
  link(pairs[0]!)
  for (const name of ['cert.pem', 'key.pem']) symlinkSync(join('..data', name), join(folder, name))
  const { used, watch: watched } = await watch(t, {
    certFile: join(folder, 'cert.pem'),
    keyFile: join(folder, 'key.pem'),
  })
  link(pairs[1]!)
  await watched.look()
  t.strictSame(used, [second])
})

await t.test('a pair with a fault is logged when it stays, and the old one is kept', async (t) => {
  const folder = folderOf(t)
  const files = write(folder, first)
  const { used, lines, watch: watched } = await watch(t, files)
  const faults: [() => void, RegExp][] = [
    [() => writeFileSync(files.certFile, second.cert), /is not the key of the certificate/],
    [() => writeFileSync(files.certFile, second.cert.slice(0, 100)), /has no certificate in PEM/],
    [() => unlinkSync(files.certFile), /cannot be read \(ENOENT\)/],
  ]
  for (const [spoil, message] of faults) {
    spoil()
    await watched.look()
    t.strictSame(lines, [], 'the other file may be written next')
    await watched.look()
    await watched.look()
    t.match(lines.splice(0), [message], 'one line')
  }
  t.strictSame(used, [])
  write(folder, second)
  await watched.look()
  t.strictSame(used, [second])
})

await t.test('an expired certificate is reported once', async (t) => {
  const folder = folderOf(t)
  const { lines, watch: watched } = await watch(t, write(folder, expired))
  await watched.look()
  t.match(lines, [/expired at 20.*: clients refuse the hub until the file has a new one$/])
  write(folder, selfSigned({ from: 3_600_000, until: 7_200_000 }))
  await watched.look()
  t.match(lines.slice(1), [/^new connections/, /is not valid before 20/])
})

await t.test('each fault of the files is one sentence', async (t) => {
  const folder = folderOf(t)
  const files = write(folder, first)
  const encrypted = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  })
  const refused = async (pair: Partial<CertificatePair>) => {
    write(folder, { ...first, ...pair })
    try {
      checkPair(files, await readPair(files))
    } catch (err) {
      if (err instanceof SettingsError) return err.message
      throw err
    }
    return ''
  }
  t.equal(
    await refused({ key: second.key }),
    `FANFARE_TLS_KEY=${files.keyFile} is not the key of the certificate in FANFARE_TLS_CERT=${files.certFile}: the first certificate in that file must be the one of this key.`,
  )
  t.match(
    await refused({ cert: first.key }),
    /^FANFARE_TLS_CERT=.* has no certificate in PEM \(.*\) at its beginning\.$/,
  )
  t.match(await refused({ key: first.cert }), /^FANFARE_TLS_KEY=.* has no private key in PEM \(.*\)\.$/)
  t.match(
    await refused({ key: String(encrypted) }),
    /^FANFARE_TLS_KEY=.* is encrypted with a passphrase: store the key /,
  )
  t.match(
    await refused({ cert: `${first.cert}${second.cert.slice(0, 200)}` }),
    /^FANFARE_TLS_CERT=.* cannot be used for TLS/,
  )
  unlinkSync(files.keyFile)
  t.match(
    await readPair(files).catch((err: unknown) => (err as Error).message),
    /^FANFARE_TLS_KEY=.* cannot be read \(ENOENT\): check the path, and that this user may read the file\.$/,
  )
})
