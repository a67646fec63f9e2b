// A person at the demo page, in a real Chromium: logs in, watches a refresh, sends 50 requests at once, meets a 401 and an outage,
// logs out. Ends with an error if anything is not as expected; prints the result as one JSON line.
//
// Environment: PAGE, the demo's address; SCREENSHOTS, the folder for pictures; CHROMIUM, the browser (default: the one on the path).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const { PAGE: page_url, SCREENSHOTS: folder } = process.env;
mkdirSync(folder, { recursive: true });
const executablePath = process.env.CHROMIUM ?? execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim();
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const complaints = [];
const seen = {};

async function open(viewport, locale) {
  const context = await browser.newContext({ viewport, locale, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // Some buttons cause a 401 or 503 on purpose.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text());
  });
  await page.goto(page_url);
  return page;
}

const cookies = async (page) => Object.fromEntries((await page.context().cookies(page_url)).map((cookie) => [cookie.name, cookie]));
const result = (page, text) => page.locator('#result', { hasText: text }).waitFor();

async function picture(page, name) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `${name}: the page is ${overflow} pixels wider than the window`);
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

// Once on the demo's page with its scripts, once on the gateway's own pages: the codes arrive in the page's outbox.
async function logInByCode(page, name, channel) {
  await page.check(`input[name="channel"][value="${channel}"]`);
  const before = await page.locator('#outbox li').count();
  await page.click('#send');
  const code = await newestCode(page, before);
  await picture(page, `${name}-outbox`);
  await page.fill('#code', code);
  await page.click('#verify');
  await page.locator('#person').waitFor();
  await picture(page, `${name}-by-${channel}`);
  await page.click('#logout');
  await page.locator('#anonymous').waitFor();
}

// The code in the message after the first `before` messages.
async function newestCode(page, before) {
  await page.waitForFunction((count) => document.querySelectorAll('#outbox li').length > count, before);
  return (await page.locator('#outbox li').first().textContent()).match(/(?<![0-9])[0-9]{6}(?![0-9])/)[0];
}

async function logInOnThePages(page, name) {
  const site = await page.context().newPage();
  site.setDefaultTimeout(30_000);
  await site.goto(new URL('/auth/login?return_to=/', page_url).href);
  const phone = `010-${4000 + codePages}-0001`;
  codePages += 1;
  // The login before this one was at the provider, so that comes first, and the forms are folded.
  await site.locator('.way:first-child a[href*="/auth/login/demo"]').waitFor();
  await site.click('details:has(#phone-to) > summary');
  await site.fill('#phone-to', phone);
  const before = await page.locator('#outbox li').count();
  await site.locator('form[action$="/sms/send"] button').click();
  await site.locator('#code').waitFor();
  await picture(site, `${name}-code`);
  assert.match(await site.textContent('[data-left] time'), /^[0-3]:[0-5][0-9]$/, 'the time that is left is shown');
  const code = await newestCode(page, before);
  const wrong = String((Number(code) + 1) % 1_000_000).padStart(6, '0');
  await site.fill('#code', wrong);
  await site.locator('[role="alert"]').waitFor();
  await picture(site, `${name}-code-wrong`);
  assert.match(await site.title(), /^(Error|오류): /, 'the title says that something went wrong');
  assert.equal(await site.getAttribute('#code:focus', 'aria-invalid'), 'true', 'the focus is on what was wrong');
  // A whole message is pasted: the page finds the digits in it and submits them.
  await site.evaluate((text) => {
    const data = new DataTransfer();
    data.setData('text', text);
    document.querySelector('#code').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  }, `[Vestibule] 인증번호는 [${code}]입니다.`);
  await site.waitForURL(page_url);
  await site.locator('#person').waitFor();
  await site.close();
}

let codePages = 0;

async function logIn(page, name) {
  await page.click('#login');
  await page.waitForURL('**/auth/login**');
  await picture(page, `${name}-login`);
  await page.click('a[href*="/auth/login/demo"]');
  await page.locator('button[name="person"][value="mina"]').waitFor();
  await picture(page, `${name}-provider`);
  await page.click('button[name="person"][value="mina"]');
  await page.locator('#person').waitFor();
  assert.match(await page.textContent('#name'), /Mina/);
}

try {
  const page = await open(DESKTOP, 'en-US');
  await page.locator('#anonymous').waitFor();
  assert.equal(await page.getAttribute('html', 'lang'), 'en');
  await picture(page, 'desktop-en-anonymous');
  await logIn(page, 'desktop-en');
  await picture(page, 'desktop-en-logged-in');

  const held = await cookies(page);
  for (const name of ['sb_at', 'sb_rt']) {
    assert.ok(held[name].httpOnly, `${name} is HttpOnly`);
    assert.equal(held[name].sameSite, 'Lax');
    assert.equal(held[name].path, '/');
  }
  const readable = await page.evaluate(() => document.cookie);
  assert.ok(!readable.includes('sb_at') && !readable.includes('sb_rt'), 'no script can read a token');
  assert.ok(readable.includes('sb_did'), 'a script can read the device id');

  // The access token expires while the page shows it, and the next request refreshes it.
  await page.locator('#bar[data-state="over"]').waitFor();
  await page.click('#one');
  await result(page, '200');
  await result(page, 'refreshed');
  await page.locator('#bar[data-state="live"]').waitFor();
  assert.notEqual((await cookies(page)).sb_rt.value, held.sb_rt.value, 'the refresh token was rotated');

  await page.check('#reject');
  await page.click('#fifty');
  await result(page, '50 of 50 succeeded');
  seen.fifty = await page.textContent('#result');
  assert.match(seen.fifty, /saw: 1\./, 'one refresh served them all');
  await picture(page, 'desktop-en-fifty');

  await page.click('#refuse');
  await result(page, 'you got 200');
  seen.refuse = await page.textContent('#result');

  // The answer with the new cookies is lost: the next request gets the stored result, and the authority is not asked again.
  await page.click('#lost');
  await result(page, 'answered 200, with 0 more refreshes');

  // The outage lasts until 5 s after the token's end: the request that meets it waits, and nobody sees a 503.
  await page.click('#outage');
  await page.locator('#down').waitFor();
  await result(page, /waited .* answered 200/s);
  assert.ok(Number(await page.textContent('#save-flight')) >= 1, 'requests of the fifty shared a refresh');
  for (const by of ['store', 'wait']) assert.equal(await page.textContent(`#save-${by}`), '1', by);
  assert.ok(Number(await page.textContent('#save-retry')) >= 1);
  await picture(page, 'desktop-en-saved');

  // Past the ten seconds that a visitor waits it is 503, and the session stays.
  await page.evaluate(() => fetch('/control/outage?seconds=60', { method: 'POST' }));
  await page.locator('#bar[data-state="over"]').waitFor();
  await page.click('#one');
  await result(page, /503.*unavailable/s);
  assert.ok((await cookies(page)).sb_rt, 'the session is kept');
  await picture(page, 'desktop-en-outage');
  await page.evaluate(() => fetch('/control/outage?seconds=0', { method: 'POST' }));
  // The refresh token that failed is held for some seconds, so the first request after the outage may still get 503.
  do {
    await page.click('#one');
    await result(page, /(200|503).*\(/s);
  } while ((await page.textContent('#result')).includes('503'));

  // Mina is no admin: 403, and she stays logged in.
  await page.click('#admin');
  await page.waitForURL('**/admin');
  assert.match(await page.textContent('body'), /403|not allowed|may not/i);
  await picture(page, 'desktop-en-forbidden');
  await page.goto(page_url);
  await page.locator('#person').waitFor();

  await page.click('#logout');
  await page.locator('#anonymous').waitFor();
  const left = Object.keys(await cookies(page));
  assert.deepEqual(left.filter((name) => /^sb_(at|rt|tx)/.test(name)), [], 'no token is left in the jar');
  assert.ok(left.includes('sb_did'), 'the device keeps its label');
  seen.cookiesAfterLogout = left;
  await logInByCode(page, 'desktop-en', 'sms');
  await logInByCode(page, 'desktop-en', 'email');
  await logInOnThePages(page, 'desktop-en');
  await page.context().close();

  for (const [name, viewport, locale] of [['desktop-ko', DESKTOP, 'ko-KR'], ['phone-ko', PHONE, 'ko-KR'], ['phone-en', PHONE, 'en-US']]) {
    const other = await open(viewport, locale);
    await other.locator('#anonymous').waitFor();
    assert.equal(await other.getAttribute('html', 'lang'), locale.slice(0, 2));
    await picture(other, `${name}-anonymous`);
    await logIn(other, name);
    await other.click('#fifty');
    await other.locator('#result', { hasText: '50' }).waitFor();
    await picture(other, `${name}-fifty`);
    await other.click('#logout');
    await other.locator('#anonymous').waitFor();
    await logInOnThePages(other, name);
    await other.context().close();
  }
  assert.deepEqual(complaints, [], 'the browser complained');
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
