// A developer at the session panel of `vestibule dev`, in a real Chromium: waits for the app, logs in, presses every button, reads a code.
//
// Environment: PAGE, the address of the app; SCREENSHOTS, the folder for pictures; CHROMIUM, the browser (default: the one on the path).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const { PAGE: page_url, APP_PORT: app_port, SCREENSHOTS: folder } = process.env;
mkdirSync(folder, { recursive: true });
const executablePath = process.env.CHROMIUM ?? execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim();
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const complaints = [];

try {
  const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text());
  });
  const result = (text) => page.locator('#result', { hasText: text }).waitFor();

  // The app is not up yet: after the login the page waits, and opens the app by itself.
  await page.goto(page_url);
  await page.click('a[href*="/auth/login/demo"]');
  assert.equal(await page.getAttribute('main > p a', 'href'), '/auth/dev');
  await page.click('button[name="person"][value="jun"]');
  await page.locator('h1', { hasText: 'Waiting for your app' }).waitFor();
  await page.screenshot({ path: join(folder, 'waiting.png') });
  const app = createServer((request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(`<h1>The app sees ${request.headers['x-user-id']}</h1>`);
  }).listen(Number(app_port), '127.0.0.1');
  await page.locator('h1', { hasText: 'The app sees demo-jun' }).waitFor();

  const panel = new URL('/auth/dev', page_url).href;
  await page.goto(panel);
  await page.locator('#person').waitFor();
  assert.equal(await page.textContent('#role'), 'admin');

  await page.click('#unauthorized');
  await result('The next request gets 401');
  const tab = await context.newPage();
  await tab.goto(page_url);
  await tab.locator('h1', { hasText: 'The app sees demo-jun' }).waitFor();
  await page.locator('#log', { hasText: 'came again with a new token' }).waitFor();

  // A refresh that is younger than 5 s is the answer to another one.
  await page.waitForTimeout(5_500);
  await page.click('#expire');
  await result(/ends in [0-6] s/);
  await page.locator('#token-note', { hasText: 'It has run out' }).waitFor();
  await tab.reload();
  await tab.locator('h1', { hasText: 'The app sees demo-jun' }).waitFor();

  await page.click('#refuse');
  await result('will be refused');
  await page.waitForTimeout(5_500);
  await page.click('#expire');
  await result('the session is over');
  await page.locator('#anonymous').waitFor();

  await tab.goto(page_url);
  await tab.click('details:has(#phone-to) > summary');
  await tab.fill('#phone-to', '010-1234-5678');
  await tab.locator('form[action$="/sms/send"] button').click();
  await page.locator('#outbox li').waitFor();
  const code = (await page.locator('#outbox li').first().textContent()).match(/(?<![0-9])[0-9]{6}(?![0-9])/)[0];
  await tab.fill('#code', code);
  await tab.locator('h1', { hasText: 'The app sees demo-sms-' }).waitFor();
  await page.reload();
  await page.locator('#person').waitFor();
  await page.screenshot({ path: join(folder, 'panel.png'), fullPage: true });
  app.close();
  app.closeAllConnections();
  assert.deepEqual(complaints, [], 'the browser complained');
} finally {
  await browser.close();
}
