import fc from 'fast-check'
import t from 'tap'
import { faultOfOrigin, OriginList } from '../../src/model/origin-list.js'

await t.test('an origin matches as a whole', (t) => {
  const list = new OriginList([
    'https://app.example.com',
    'http://localhost:8080',
    'capacitor://localhost',
    'chrome-extension://abcdefghijklmnop',
  ])
  for (const origin of [
    'https://app.example.com',
    'http://localhost:8080',
    'capacitor://localhost',
    'chrome-extension://abcdefghijklmnop',
  ])
    t.ok(list.names(origin), origin)
  for (const origin of [
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://example.com',
    'capacitor://localhosts',
    'ionic://localhost',
    'null',
    '',
  ])
    t.notOk(list.names(origin), origin)
  t.end()
})

await t.test('"*" before a host means its subdomains', (t) => {
  const list = new OriginList(['https://*.example.com', 'http://*.localhost:3000'])
  for (const origin of [
    'https://app.example.com',
    'https://a.b.c.example.com',
    'https://a-1.example.com',
    'https://xn--bcher-kva.example.com',
    'http://a.localhost:3000',
  ])
    t.ok(list.names(origin), origin)
  for (const origin of [
    'https://example.com',
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://evil-example.com',
    'https://evilexample.com',
    'https://a.example.com.evil.org',
    'https://.example.com',
    'https://a..example.com',
    'https://evil.org/.example.com',
    'https://evil.org?.example.com',
    'https://evil.org#.example.com',
    'https://evil.org\\.example.com',
    'https://evil.org:80.example.com',
    'https://me@a.example.com',
    'https://a.exampleXcom',
    'https://a.example.com/',
    'https://a.example.com\n',
    'xhttps://a.example.com',
    'https://a.example.com https://b.example.com',
    'https://*.example.com',
    'http://a.localhost',
    'http://a.localhost:30000',
    'null',
    '*',
  ])
    t.notOk(list.names(origin), JSON.stringify(origin))
  t.end()
})

await t.test('every subdomain matches, and nothing else', (t) => {
  const list = new OriginList(['https://*.example.com'])
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/)
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), (labels) =>
      list.names(`https://${labels.join('.')}.example.com`),
    ),
  )
  fc.assert(
    fc.property(fc.webUrl({ withFragments: true, withQueryParameters: true }), fc.string(), (url, text) => {
      for (const origin of [
        url,
        `${url}.example.com`,
        `${url}${text}.example.com`,
        `https://${text}.example.com`,
        `https://${text}`,
      ]) {
        if (!list.names(origin)) continue
        const { hostname, protocol, port } = new URL(origin)
        if (protocol !== 'https:' || port !== '' || !hostname.endsWith('.example.com')) return false
      }
      return true
    }),
  )
  t.end()
})

await t.test('the time to match a long origin is linear', (t) => {
  const list = new OriginList(['https://*.example.com'])
  const started = performance.now()
  for (const origin of [
    `https://${'a.'.repeat(100_000)}`,
    `https://${'a'.repeat(200_000)}`,
    `https://${'a-'.repeat(100_000)}.example.org`,
  ])
    t.notOk(list.names(origin))
  t.ok(performance.now() - started < 2_000)
  t.end()
})

await t.test('"*" allows all origins and names none', (t) => {
  const list = new OriginList(['*'])
  t.ok(list.all)
  for (const origin of ['https://app.example.com', '*', 'null']) t.notOk(list.names(origin))
  t.end()
})

await t.test('valid items', (t) => {
  for (const item of [
    '*',
    'https://app.example.com',
    'http://localhost',
    'http://127.0.0.1:8080',
    'http://[::1]:8080',
    'https://*.example.com',
    'https://*.a.example.com:8443',
    'http://*.localhost:3000',
    'capacitor://localhost',
    'ionic://localhost',
    'tauri://localhost',
    'app://obsidian.md',
    'app://.',
    'chrome-extension://abcdefghijklmnop',
    'moz-extension://3c5b4c1c-6d2f-4f3a-9c56-1b2a3c4d5e6f',
    'safari-web-extension://3C5B4C1C-6D2F',
    'vscode-webview://abc',
  ])
    t.equal(faultOfOrigin(item), undefined, item)
  t.end()
})

await t.test('items that match no page are refused with the reason', (t) => {
  for (const [item, words] of [
    ['app.example.com', 'write "https://app.example.com"'],
    ['*.example.com', 'has no scheme'],
    ['localhost:3000', 'has no scheme'],
    ['', 'has no scheme'],
    ['https://app.example.com/', 'browsers write this origin as "https://app.example.com"'],
    ['https://a.example/path', '"https://a.example"'],
    ['https://App.example.com', '"https://app.example.com"'],
    ['https://app.example.com:443', '"https://app.example.com"'],
    ['http://*.example.com:80', '"http://*.example.com"'],
    ['https://*.Example.com', '"https://*.example.com"'],
    ['https://bücher.example', '"https://xn--bcher-kva.example"'],
    ['HTTPS://app.example.com', '"https://app.example.com"'],
    ['https://user:pw@app.example.com', '"https://app.example.com"'],
    ['https://*.example.com/', '"https://*.example.com"'],
    ['https://*', 'stands for subdomains'],
    ['https://*example.com', 'stands for subdomains'],
    ['https://app.*.com', 'stands for subdomains'],
    ['https://*.*.example.com', 'stands for subdomains'],
    ['https://app.example.com:*', 'stands for subdomains'],
    ['https://a.*.example.com', 'stands for subdomains'],
    ['*://app.example.com', 'has no scheme'],
    ['chrome-extension://*', 'stands for subdomains'],
    ['capacitor://*.localhost', 'stands for subdomains'],
    ['https://**.example.com', 'stands for subdomains'],
    ['https://*.', 'is not an origin'],
    ['https://*..', 'is not an origin'],
    ['https://*.1.2.3.4', 'is not an origin'],
    ['https://*.[::1]', 'is not an origin'],
    ['https://', 'is not an origin'],
    ['https://a b', 'is not an origin'],
    ['https://a.example:99999', 'is not an origin'],
    ['https://a.example;https://b.example', 'is not an origin'],
    ['capacitor://', 'is not an origin'],
    ['capacitor://localhost/', 'is not an origin'],
    ['Capacitor://localhost', 'is not an origin'],
    ['app://a b', 'is not an origin'],
    ['chrome-extension://ABCdefghijklmnop', 'browsers write this origin as "chrome-extension://abcdefghijklmnop"'],
    ['moz-extension://3C5B4C1C-6D2F', '"moz-extension://3c5b4c1c-6d2f"'],
    ['null', 'share the origin null'],
    ['file://', 'share the origin null'],
    ['file:///index.html', 'share the origin null'],
    ['ws://app.example.com', 'no page has'],
    ['wss://app.example.com', 'no page has'],
    ['blob://x', 'no page has'],
  ] as const)
    t.ok(faultOfOrigin(item)?.includes(words), `${item}: ${String(faultOfOrigin(item))}`)
  t.end()
})
