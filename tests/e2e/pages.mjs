// Every page of the gateway in a real Chromium: pictures in two languages, on two widths, in light and dark; axe-core at WCAG 2.2 AA;
// the keyboard goes through a page as the eye does. Ends with an error if anything is wrong; prints the counts as one JSON line.
//
// Environment: FOLDER with pages.json (written by tests/it/page_pictures.rs), where the pictures go too; CHROMIUM, the browser.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const { FOLDER: folder } = process.env;
const { pages, script } = JSON.parse(readFileSync(join(folder, 'pages.json'), 'utf8'));
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const executablePath = process.env.CHROMIUM ?? execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim();
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

const SITE = 'http://pages.test';
const PHONE = { width: 320, height: 640 };
const DESKTOP = { width: 1280, height: 800 };
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice'];
const faults = [];
const seen = { pages: 0, pictures: 0, axe: 0, violations: 0, stops: 0 };

async function open(language, more = {}) {
  const context = await browser.newContext({ viewport: PHONE, locale: language === 'ko' ? 'ko-KR' : 'en-US', ...more });
  await context.route('**/*', async (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname === '/auth/assets/page.js') return route.fulfill({ contentType: 'text/javascript', body: script });
    const page = pages.find((page) => pathname === `/${page.name}/${page.language}`);
    if (page) return route.fulfill({ status: 200, headers: page.headers, body: page.html });
    // What a form or a link leads to.
    return route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>elsewhere</title>' });
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => faults.push(`${page.url()}: ${error}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) faults.push(`${page.url()}: ${message.text()}`);
  });
  return page;
}

async function violationsOf(page) {
  const run = (values) => globalThis.axe.run(document, { runOnly: { type: 'tag', values }, resultTypes: ['violations'] });
  return (await page.evaluate(run, RULES)).violations;
}

async function check(page, name) {
  await page.evaluate(axe);
  await page.evaluate(() => document.activeElement.blur());
  for (const [width, viewport] of [['320', PHONE], ['1280', DESKTOP]]) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      const variant = `${name}-${width}-${colorScheme}`;
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (overflow > 0) faults.push(`${variant}: ${overflow} pixels wider than the window`);
      seen.axe += 1;
      for (const { id, nodes } of await violationsOf(page)) {
        seen.violations += 1;
        faults.push(`${variant}: axe ${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join('; ')}`);
      }
      await page.screenshot({ path: join(folder, `${variant}.png`), fullPage: true });
      seen.pictures += 1;
    }
  }
}

// Tab goes from one control to the next, downwards or to the right, and each shows that it has the focus.
async function keyboard(page, name) {
  await page.setViewportSize(PHONE);
  await page.evaluate(() => {
    const heading = document.querySelector('h1');
    heading.tabIndex = -1;
    heading.focus();
    heading.removeAttribute('tabindex');
  });
  const stops = await page.evaluate(() => [...document.querySelectorAll('a[href], button, input, summary')].filter((element) => element.checkVisibility()).length);
  let before = { top: -1, left: -1, at: 'the start' };
  const reached = new Set();
  for (let stop = 0; stop < stops; stop += 1) {
    await page.keyboard.press('Tab');
    const now = await page.evaluate(() => {
      const element = document.activeElement;
      const { top, left } = element.getBoundingClientRect();
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      return { top: top + scrollY, left, outline: `${outlineStyle} ${outlineWidth}`, at: element.outerHTML.slice(0, 120), tag: element.tagName };
    });
    seen.stops += 1;
    reached.add(now.at);
    if (now.top < before.top || (now.top === before.top && now.left <= before.left)) faults.push(`${name}: Tab goes back from ${before.at} to ${now.at}`);
    if (now.outline !== 'solid 3px') faults.push(`${name}: no ring around ${now.at}: ${now.outline}`);
    before = now;
  }
  if (reached.size !== stops) faults.push(`${name}: ${stops} controls, Tab reaches ${reached.size}`);
}

async function look(page, { name, language }) {
  await page.goto(`${SITE}/${name}/${language}`);
  seen.pages += 1;
  const { marked, focus, title, moving } = await page.evaluate(() => ({
    marked: document.querySelector('[aria-invalid]')?.id,
    focus: document.activeElement.id,
    title: document.title,
    moving: document.getAnimations().length,
  }));
  assert.equal(moving, 0, `${name}: something moves`);
  if (marked) assert.equal(focus, marked, `${name}: the focus is on what is wrong`);
  if (await page.locator('#message').count()) assert.match(title, /^(Error|오류): /, `${name}: the title says that something went wrong`);
  // The forms are looked at unfolded.
  await page.evaluate(() => document.querySelectorAll('details').forEach((details) => { details.open = true; }));
  await keyboard(page, `${name}-${language}`);
  await page.evaluate(() => document.querySelectorAll('details').forEach((details, at) => { details.open = at === 0; }));
  await check(page, `${name}-${language}`);
}

// The way that was chosen last comes first, with its form open, and the form that was first is folded.
async function lastWay(page, language) {
  await page.goto(`${SITE}/login/${language}`);
  await page.locator('details:has(#login-password) > summary').click();
  await page.locator('#login-email').fill('mina@example.kr');
  await page.locator('#login-password').fill('secret');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/auth/login');
  // A page without a language and a heading: axe-core would say it.
  await page.evaluate(axe);
  assert.notEqual((await violationsOf(page)).length, 0, 'axe-core looks at the page');
  await page.goto(`${SITE}/login/${language}`);
  const order = () => page.evaluate(() => [...document.querySelectorAll('[data-way]')].map((way) => way.dataset.way));
  assert.equal((await order())[0], 'password');
  assert.ok(await page.locator('#login-password').isVisible(), 'its form is open');
  assert.ok(await page.locator('.way:first-child .last').isVisible(), 'it says why it is first');
  await keyboard(page, `login-last-password-${language}`);
  await check(page, `login-last-password-${language}`);
  await page.goto(`${SITE}/login-codes-alone/${language}`);
  await page.locator('details:has(#email-to) > summary').click();
  await page.locator('#email-to').fill('mina@example.kr');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/auth/email/send');
  await page.goto(`${SITE}/login-codes-alone/${language}`);
  assert.deepEqual(await order(), ['code email', 'code sms']);
  assert.ok(await page.locator('#email-to').isVisible() && !(await page.locator('#phone-to').isVisible()), 'the other form is folded');
  assert.deepEqual(await page.context().cookies(), [], 'no cookie says it');
}

// Without scripts everything can be reached, and nothing is shown that only a script does.
async function withoutScripts(language) {
  const page = await open(language, { javaScriptEnabled: false });
  await page.goto(`${SITE}/login/${language}`);
  assert.ok(!(await page.locator('#login-password').isVisible()));
  await page.locator('details:has(#login-password) > summary').click();
  assert.ok(await page.locator('#login-password').isVisible());
  await page.goto(`${SITE}/code-sent/${language}`);
  assert.ok(!(await page.locator('#by-itself').isVisible()));
  await page.goto(`${SITE}/problem-not-found/${language}`);
  assert.ok(!(await page.locator('[data-back]').isVisible()));
  await page.context().close();
}

async function visit(language) {
  const page = await open(language);
  for (const one of pages.filter((one) => one.language === language)) await look(page, one);
  await lastWay(page, language);
  await withoutScripts(language);
  await page.context().close();
}

try {
  await Promise.all([...new Set(pages.map((page) => page.language))].map(visit));
  assert.deepEqual(faults, [], faults.join('\n'));
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
