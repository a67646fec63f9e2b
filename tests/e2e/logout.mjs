// A person in a real Chromium logs in, begins another login in a second tab without finishing it, and logs out. Prints the cookies at
// each step as one JSON line.
//
// Environment: HOME_URL, the gateway's address; CHROMIUM, the browser (default: the one on the path). The provider logs people in without a page.
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

const home = process.env.HOME_URL;
const executablePath = process.env.CHROMIUM ?? execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim();
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const jar = async () => (await context.cookies(home)).map((cookie) => cookie.name).sort();

const page = await context.newPage();
page.setDefaultTimeout(30_000);
await page.goto(new URL('/auth/login/demo?return_to=/public/ping', home).href);
const loggedIn = await jar();
const me = await page.evaluate(async () => (await fetch('/api/me')).status);

// A second tab whose redirect to the provider is not followed. A script's fetch would begin no login.
await context.request.get(new URL('/auth/login/demo', home).href, { maxRedirects: 0 });
const inFlight = await jar();
const logout = await page.evaluate(async () => (await fetch('/auth/logout', { method: 'POST' })).status);
const afterwards = await jar();
const stranger = await page.evaluate(async () => (await fetch('/api/me')).status);
console.log(JSON.stringify({ loggedIn, me, inFlight, logout, afterwards, stranger }));
await browser.close();
