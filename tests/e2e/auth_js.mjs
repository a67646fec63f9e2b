// Pages of a real Next.js app that use next-auth/react, in a real Chromium, behind a gateway with `session.compat`. Prints one JSON line:
// the names of the cases that passed, and the failed ones with their errors.
//
// Environment: HOME_URL, the gateway's address; VERSION, 4 or 5; CASES, `all` or the basic ones; ISSUER, the OpenID provider that the gateway calls google; EMAIL and
// PASSWORD of a person; CHROMIUM, the browser (default: the one on the path).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

const { HOME_URL: home, VERSION: version, ISSUER: issuer, EMAIL: email, PASSWORD: password } = process.env;
const executablePath = process.env.CHROMIUM ?? execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim();
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const at = (path) => new URL(path, home).href;
const start = at(`/v${version}`);
const passed = [], failed = [], answers = [];
let context, page;

// A new browser without cookies, on the app's page.
async function open() {
  await context?.close();
  context = await browser.newContext();
  context.setDefaultTimeout(30_000);
  // Every answer of the gateway's origin, to look for tokens at the end.
  context.on('response', (response) => {
    if (response.url().startsWith(at('/'))) answers.push(response.text().then((text) => [response.url(), text], () => ['', '']));
  });
  page = await tab();
}

async function tab(path = start) {
  const opened = await context.newPage();
  await opened.goto(path);
  return opened;
}

const status = (wanted, where = page) => where.waitForFunction((text) => document.querySelector('#status')?.textContent === text, wanted);
const session = async (where = page) => JSON.parse(await where.textContent('#session'));
async function said(click) {
  await page.evaluate(() => { document.querySelector('#said').textContent = ''; });
  await page.click(click);
  await page.waitForFunction(() => document.querySelector('#said').textContent !== '');
  return JSON.parse(await page.textContent('#said'));
}
async function credentials(word, button) {
  await page.fill('[name=email]', email);
  await page.fill('[name=password]', word);
  return `button[value=${button}]`;
}
// The pages of the provider: a name, any password, consent, or the question about a logout.
async function throughProvider(name) {
  for (let step = 0; step < 6; step += 1) {
    await page.waitForLoadState();
    if (!page.url().startsWith(issuer)) return;
    if (await page.$('input[name=login]')) {
      await page.fill('input[name=login]', name);
      await page.fill('input[name=password]', 'any');
    }
    await Promise.all([page.waitForNavigation(), page.click('button[type=submit]')]);
  }
}
// The clients compare whole seconds: a second event within one is lost.
async function nextSecond() {
  await page.waitForFunction((then) => Math.floor(Date.now() / 1000) > then, Math.floor(Date.now() / 1000));
}
async function logInAsMina() {
  await status('unauthenticated');
  await page.click('#google');
  await page.waitForURL((url) => url.href.startsWith(issuer));
  await throughProvider('mina');
  await page.waitForURL(start);
  await status('authenticated');
}

// What differs if the app is served in another way.
const basic = {
  'a visitor is logged out for useSession and getSession': async () => {
    await status('unauthenticated');
    assert.equal(await session(), null);
    assert.equal(await said('#get-session'), null);
  },
  'signIn("google") logs in at the provider and comes back to the page': async () => {
    await logInAsMina();
    const { user, expires } = await session();
    assert.deepEqual(user, { id: 'mina', email: 'mina@example.test', name: 'mina', role: 'user' });
    assert.ok(Date.parse(expires) > Date.now() + 29 * 86_400_000, expires);
    assert.deepEqual(await said('#get-session'), { user, expires });
  },
  'signIn("credentials", { redirect: false }) tells of a wrong password': async () => {
    await status('unauthenticated');
    const result = await said(await credentials('wrong', 'stay'));
    const expected = version === '4'
      ? { error: 'CredentialsSignin', status: 401, ok: false, url: null }
      : { error: 'CredentialsSignin', code: 'credentials', status: 200, ok: true, url: null };
    assert.deepEqual(result, expected);
    await status('unauthenticated');
  },
  'signIn("credentials", { redirect: false }) logs in without leaving the page': async () => {
    await status('unauthenticated');
    const result = await said(await credentials(password, 'stay'));
    assert.equal(result.error ?? null, null);
    assert.deepEqual([result.status, result.ok, result.url], [200, true, start]);
    await status('authenticated');
    assert.equal((await session()).user.email, email);
  },
  'a login and a logout reach the other tabs': async () => {
    await status('unauthenticated');
    const other = await tab();
    await status('unauthenticated', other);
    // The clients tell the other tabs of a login when a page is loaded after it.
    await nextSecond();
    await page.click(await credentials(password, 'redirect'));
    await status('authenticated');
    await status('authenticated', other);
    await nextSecond();
    await other.click('#sign-out-here');
    await status('unauthenticated', other);
    await status('unauthenticated');
  },
  'a page that the route protects needs a login, and its server knows the person': async () => {
    await page.goto(at('/account'));
    await page.waitForURL((url) => url.pathname === '/api/auth/login');
    await page.click('details:has([name=password]) > summary');
    await page.fill('[name=email]', email);
    await page.fill('[name=password]', password);
    await page.click('form[action="/api/auth/login"] button');
    await page.waitForURL(at('/account'));
    assert.ok((await page.textContent('#account')).includes(email));
  },
};

const more = {
  'getProviders lists the methods of the file': async () => {
    await status('unauthenticated');
    const providers = await said('#get-providers');
    assert.deepEqual(Object.keys(providers).sort(), ['credentials', 'google']);
    assert.equal(providers.google.signinUrl, at('/api/auth/signin/google'));
  },
  'signIn("credentials") with a wrong password leads to the login page, and on from there': async () => {
    await status('unauthenticated');
    await page.click(await credentials('wrong', 'redirect'));
    await page.waitForSelector('#message[role=alert]');
    await page.fill('[name=email]', email);
    await page.fill('[name=password]', password);
    await page.click('form[action="/api/auth/login"] button');
    await page.waitForURL(start);
    await status('authenticated');
  },
  'signIn() and an unknown provider lead to the login page': async () => {
    for (const button of ['#any', '#unknown']) {
      await page.goto(start);
      await status('unauthenticated');
      await page.click(button);
      await page.waitForURL((url) => url.pathname === '/api/auth/login');
      assert.equal(new URL(page.url()).searchParams.get('return_to'), start);
    }
  },
  'useSession({ required: true }) leads to the login and back': async () => {
    await page.goto(`${start}/required`);
    await page.waitForURL((url) => url.pathname === '/api/auth/login');
    assert.equal(await page.$('#message'), null);
    await page.click('details:has([name=password]) > summary');
    await page.fill('[name=email]', email);
    await page.fill('[name=password]', password);
    await page.click('form[action="/api/auth/login"] button');
    await page.waitForURL(`${start}/required`);
    await page.waitForSelector('#welcome');
  },
  'update() refreshes, and stores nothing': async () => {
    await status('unauthenticated');
    await said(await credentials(password, 'stay'));
    await status('authenticated');
    const before = await session();
    const [answer, result] = await Promise.all([
      page.waitForResponse((response) => response.url() === at('/api/auth/session') && response.request().method() === 'POST'),
      said('#update'),
    ]);
    assert.deepEqual([answer.status(), answer.headers()['x-auth-status']], [200, 'refreshed']);
    assert.deepEqual(result.user, before.user);
    assert.deepEqual((await session()).user, before.user);
  },
  'a session that ended elsewhere is noticed when the page is looked at again': async () => {
    await status('unauthenticated');
    await said(await credentials(password, 'stay'));
    await status('authenticated');
    // Without the client library, so that nothing tells the page.
    assert.equal(await page.evaluate(async () => (await fetch('/api/auth/logout', { method: 'POST' })).status), 200);
    assert.equal(await page.textContent('#status'), 'authenticated');
    await nextSecond();
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await status('unauthenticated');
  },
  'signOut({ callbackUrl }) ends at an open page': async () => {
    await status('unauthenticated');
    await said(await credentials(password, 'stay'));
    await status('authenticated');
    await page.click('#sign-out');
    await page.waitForURL(at('/'));
    await page.goto(start);
    await status('unauthenticated');
  },
  'signOut() after a login at a provider ends the session there too': async () => {
    await logInAsMina();
    await page.click('#sign-out');
    await page.waitForURL((url) => url.href.startsWith(issuer));
    await throughProvider();
    await page.waitForURL(at('/'));
    await page.goto(start);
    await status('unauthenticated');
  },
  'a link to /api/auth/signout logs out by a button': async () => {
    await status('unauthenticated');
    await said(await credentials(password, 'stay'));
    await page.goto(at(`/api/auth/signout?callbackUrl=${encodeURIComponent(start)}`));
    await page.click('button[type=submit]');
    await page.waitForURL(start);
    await status('unauthenticated');
  },
  'no token is in a page, in storage or in an answer': async () => {
    await logInAsMina();
    const seen = await page.evaluate(() => JSON.stringify([
      document.documentElement.outerHTML, { ...localStorage }, { ...sessionStorage }, document.cookie.replace(/sb_did=[^;]*/, ''),
    ]));
    const cookies = (await context.cookies(home)).filter(({ name }) => /^sb_(at|rt)/.test(name));
    assert.ok(cookies.length >= 2 && cookies.every((cookie) => cookie.httpOnly));
    const texts = [['the page', seen], ...(await Promise.all(answers)).filter(([url]) => !url.includes('/_next/'))];
    assert.ok(texts.length > 50);
    for (const [where, text] of texts) {
      assert.ok(!/eyJ[\w-]{10,}\./.test(text), `a JWT in ${where}`);
      assert.ok(!/"rt\.\d/.test(text) && cookies.every(({ value }) => !text.includes(value)), `a token in ${where}`);
    }
  },
};

const begun = Date.now();
for (const [name, run] of Object.entries(process.env.CASES === 'all' ? { ...basic, ...more } : basic)) {
  try {
    await open();
    await run();
    passed.push(name);
  } catch (error) {
    failed.push({ name, at: page.url(), error: String(error.stack).slice(0, 1500), page: (await page.textContent('body').catch(() => '')).slice(0, 400) });
  }
}
await browser.close();
console.log(JSON.stringify({ passed, failed, seconds: Math.round((Date.now() - begun) / 1000) }));
