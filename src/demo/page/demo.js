// The demo page. It reads the session from /auth/session and calls the API with plain fetch; it never gets a token.
"use strict";

// All texts: Korean, English. {name} is replaced by a value.
const TEXTS = {
  skip: ["버튼으로 건너뛰기", "Skip to the buttons"],
  demo: ["데모", "demo"],
  language: ["언어", "Language"],
  headline: ["로그인을 모르는 앱에 로그인을", "Login for apps that know nothing about login"],
  intro: ["Vestibule은 앱과 API 앞에 서서 사람을 로그인시키고, 스크립트가 읽을 수 없는 쿠키에 토큰을 보관하며, 모든 요청을 신선한 액세스 토큰과 함께 넘겨줍니다. 지금 보시는 페이지에는 토큰 코드가 전혀 없고, 뒤의 백엔드는 Bearer 토큰만 확인합니다. 여기서는 액세스 토큰이 한 시간이 아니라 20초만 살아 있어, 갱신되는 모습을 눈으로 볼 수 있습니다.", "Vestibule stands in front of an app and its API: it logs people in, keeps their tokens in cookies that no script can read, and hands every request on with a fresh access token. The page you are reading has no token code at all, and the backend behind it only checks a Bearer token. Here an access token lives 20 seconds instead of an hour, so that you can watch it being renewed."],
  box_browser: ["브라우저", "Your browser"],
  box_browser_note: ["이 페이지. HttpOnly 쿠키를 가짐", "this page; holds HttpOnly cookies"],
  arrow_cookie: ["쿠키", "cookie"],
  box_gateway_note: ["로그인, 갱신, 401 뒤 한 번 더", "login, refresh, one retry after a 401"],
  box_backend: ["백엔드", "Backend"],
  box_backend_note: ["API와 토큰 발급. 갱신 토큰은 한 번만 쓰임", "the API, and a token service whose refresh tokens work once"],
  caption: ["로그인에 쓰는 인증 제공자까지 모두 이 컴퓨터에서 실행됩니다.", "Everything runs on this computer, an identity provider to log in with included."],
  who: ["나는 누구인가요?", "Who am I?"],
  nobody: ["아직 로그인하지 않았습니다.", "Nobody yet: you are not logged in."],
  login: ["로그인", "Log in"],
  logout: ["로그아웃", "Log out"],
  password_hint: ["데모 제공자에서 사람을 고르거나, 이메일과 비밀번호를 쓰세요:", "Pick a person at the demo's provider, or use e-mail and password:"],
  code_title: ["또는 인증번호로 로그인", "Or log in with a code"],
  sms: ["문자", "SMS"],
  mail: ["이메일", "e-mail"],
  send: ["인증번호 받기", "Send the code"],
  code_to: ["아무 주소나 괜찮습니다. 메시지는 이 페이지의 발신함에 도착합니다.", "Any address will do: the message arrives in the outbox on this page."],
  verify: ["이 번호로 로그인", "Log in with it"],
  resend: ["다시 받기", "Again"],
  outbox: ["발신함", "Outbox"],
  outbox_note: ["게이트웨이가 보냈을 문자와 이메일입니다. 최신이 맨 위입니다.", "SMS and e-mails that the gateway would have sent. The newest is on top."],
  outbox_empty: ["아직 메시지가 없습니다.", "No message yet."],
  device: ["기기", "Device"],
  unknown: ["게이트웨이가 응답하지 않습니다. 데모가 아직 실행 중인가요?", "The gateway does not answer. Is the demo still running?"],
  token: ["액세스 토큰의 남은 시간", "Time left on the access token"],
  token_none: ["세션이 없으니 토큰도 없습니다.", "No session, no token."],
  token_live: ["요청이 이 토큰으로 나갑니다. 막대가 선 왼쪽까지 줄면 다음 요청이 미리 갱신합니다.", "Requests go out with this token. Once the bar ends left of the line, the next request renews it ahead of time."],
  token_due: ["곧 끝납니다. 다음 요청이 미리 갱신합니다.", "Nearly over: the next request renews it ahead of time."],
  token_over: ["끝났습니다. 다음 요청이 먼저 갱신하고 기다립니다.", "It has run out: the next request renews it first, and waits for that."],
  seconds: ["{n}초", "{n} s"],
  try: ["해보기", "Try it"],
  one: ["요청 하나", "One request"],
  one_note: ["막대가 비었을 때 누르면 게이트웨이가 먼저 토큰을 갱신합니다. 보이는 것은 200뿐입니다.", "When the bar is empty, the gateway renews the token first and you notice nothing."],
  keep: ["그리고 2초마다 하나 더", "and one more every 2 seconds"],
  fifty: ["한꺼번에 50개", "50 at once"],
  fifty_note: ["토큰이 끝난 채 몇 개가 몰려도 갱신은 한 번입니다.", "However many requests find the token expired: one refresh serves them all."],
  reject: ["먼저 백엔드가 지금 토큰을 거부하게 하기", "first make the backend reject the current token"],
  refuse: ["401 한 번 답하기", "Answer 401 once"],
  refuse_note: ["토큰이 멀쩡해도 백엔드가 다음 요청을 거절합니다. 게이트웨이가 갱신하고 다시 보내, 결과는 200입니다.", "The backend refuses the next request although the token is good. The gateway refreshes, sends it again, and you get 200."],
  outage: ["토큰이 끝날 때 발급 멈추기", "Outage as the token ends"],
  outage_note: ["토큰 발급처가 토큰이 끝나고도 5초 더 멈춰 있습니다. 끝난 뒤의 요청은 기다렸다가 200을 받습니다. 10초 안에 돌아오지 않으면 503 ‘잠시 후 다시’이고, 로그아웃되지 않습니다.", "The token service is down until 5 s after the token has ended. A request that comes then waits and gets 200. If it is not back within 10 s, you get 503 “try again”, and stay logged in."],
  lost: ["답 하나 잃어버리기", "Lose an answer"],
  lost_note: ["새 쿠키가 실린 답이 오기 전에 연결을 끊습니다. 브라우저에는 이미 쓰인 갱신 토큰만 남지만, 다음 요청이 저장된 결과를 받습니다.", "The connection is cut before the answer with the new cookies arrives. The browser is left with a spent refresh token; the next request gets the stored result."],
  admin: ["관리자 페이지", "Admin page"],
  admin_note: ["역할이 admin인 준만 들어갑니다. 다른 사람은 403을 받습니다.", "Only Jun, whose role is admin, gets in. Anybody else gets 403."],
  saves: ["무엇이 갱신을 구했나", "What saved a refresh"],
  save_flight: ["한 번만 갱신: 다른 요청의 갱신을 함께 쓴 요청", "Single flight: requests that shared another's refresh"],
  save_store: ["저장된 결과: 답을 잃고도 이어진 세션", "Result store: sessions that outlived a lost answer"],
  save_retry: ["401 뒤 다시: 페이지가 모르는 거절", "Retry after 401: refusals that no page saw"],
  save_wait: ["멈춤을 기다림: 503 대신 받은 답", "Wait in an outage: answers in place of a 503"],
  live: ["게이트웨이가 한 일", "What the gateway did"],
  live_note: ["백엔드가 본 게이트웨이의 행동과, 이 페이지가 받은 답마다의 x-auth-status입니다. 최신이 맨 위입니다.", "What the backend saw of the gateway, and the x-auth-status that came with each answer to this page. The newest is on top."],
  empty: ["아직 아무 일도 없습니다.", "Nothing yet."],
  legend: ["초록 동그라미: 200 · 파란 동그라미: 새 쿠키와 함께 200 · 주황 네모: 503 잠시 후 다시 · 빨간 네모: 거절", "green circle: 200; blue circle: 200 with new cookies; amber square: 503, try again; red square: refused"],
  waiting: ["기다리는 중…", "Waiting…"],
  one_result: ["답 {status}. {auth}", "Answered {status}. {auth}"],
  fifty_result: ["{ok}/{all}개 성공. 토큰 발급처가 본 갱신 요청: {refreshes}번.", "{ok} of {all} succeeded. Refreshes that the token service saw: {refreshes}."],
  fifty_unknown: ["{ok}/{all}개 성공.", "{ok} of {all} succeeded."],
  refuse_result: ["백엔드가 401, 그 뒤 답 {status}. {auth}", "The backend was told to say 401; you got {status}. {auth}"],
  login_first: ["먼저 로그인하세요.", "Log in first."],
  lost_waits: ["갱신되기를 기다린 뒤 연결을 끊습니다…", "Waiting for the refresh, then cutting the connection…"],
  lost_result: ["답을 잃은 뒤의 요청: 답 {status}. 그동안 토큰 발급처가 본 갱신: {refreshes}번. {auth}", "The request after the lost answer: answered {status}, with {refreshes} more refreshes at the token service. {auth}"],
  outage_begins: ["토큰 발급이 멈췄습니다. 토큰이 끝나면({n}초 뒤) 요청 하나를 보냅니다.", "The token service is down. When the token ends (in {n} s), one request is sent."],
  outage_waits: ["토큰이 끝났습니다. 요청이 기다립니다…", "The token has ended. The request waits…"],
  outage_result: ["요청이 {n}초 기다려 답 {status}. {auth}", "The request waited {n} s and was answered {status}. {auth}"],
  down_now: ["토큰 발급이 멈췄습니다. {n}초 뒤 돌아옵니다.", "The token service is down. Back in {n} s."],
  logged_out: ["로그아웃되었습니다.", "You are logged out."],
  failed: ["요청이 도착하지 못했습니다.", "The request did not get through."],
  from_page: ["페이지", "page"],
  from_backend: ["백엔드", "backend"],
  from_authority: ["토큰 발급", "token service"],
  answer: ["{what} → 답 {status}, x-auth-status: {auth}", "{what} → answered {status}, x-auth-status: {auth}"],
  auth_valid: ["온 토큰 그대로 쓰였습니다 (valid).", "The token that came in was used (valid)."],
  auth_refreshed: ["토큰이 새것이 되었습니다 (refreshed).", "The token is a new one now (refreshed)."],
  auth_invalid: ["세션이 끝났습니다. 다시 로그인하세요 (invalid).", "The session is over: log in again (invalid)."],
  auth_anonymous: ["세션이 없습니다. 먼저 로그인하세요 (anonymous).", "There was no session: log in first (anonymous)."],
  auth_unavailable: ["토큰 발급처가 답하지 않습니다. 세션은 그대로이니 다시 해보세요 (unavailable).", "The token service does not answer; the session is kept, try again (unavailable)."],
  event_exchange: ["로그인: ID 토큰을 받고 세션 {family}번을 열었습니다", "Login: an ID token was exchanged for session {family}"],
  event_credentials: ["로그인: 이메일과 비밀번호로 세션 {family}번을 열었습니다", "Login: e-mail and password opened session {family}"],
  event_code: ["로그인: 인증번호가 확인되어 세션 {family}번을 열었습니다", "Login: a verified code opened session {family}"],
  event_message: ["메시지가 발신함에 도착했습니다", "A message arrived in the outbox"],
  event_refresh: ["갱신: 세션 {family}번의 {generation}번째 토큰을 발급했습니다", "Refresh: session {family} has token no. {generation}"],
  event_refresh_refused: ["갱신을 거절했습니다 {reason}", "A refresh was refused {reason}"],
  event_reuse_detected: ["이미 쓰인 갱신 토큰이 다시 왔습니다: 세션 {family}번을 끝냈습니다", "A spent refresh token came again: session {family} is ended"],
  event_unavailable: ["멈춰 있어서 503으로 답했습니다 ({path})", "Down: answered 503 ({path})"],
  event_signout: ["로그아웃: 세션 {family}번을 끝냈습니다", "Sign-out: session {family} is ended"],
  event_request: ["{path}: {generation}번째 토큰으로 통과", "{path} let in with token no. {generation}"],
  event_replay: ["{path}: 401 뒤 다시 왔고, {generation}번째 토큰으로 통과", "{path} came again after its 401, let in with token no. {generation}"],
  event_unauthorized: ["{path}: 401로 거절 {reason}", "{path} got 401 {reason}"],
  event_control: ["버튼: {reason}", "Button: {reason}"],
  reason_told_to: ["(버튼이 시킨 대로)", "(as the button said)"],
  reason_expired: ["(토큰이 끝남)", "(token expired)"],
  reason_rejected: ["(거부하기로 한 토큰)", "(a token it was told to reject)"],
  reason_revoked: ["(끝난 세션)", "(session ended)"],
  reason_no_token: ["(토큰 없음)", "(no token)"],
  reason_bad_token: ["(알 수 없는 토큰)", "(unknown token)"],
  reason_ended: ["(끝난 세션)", "(session ended)"],
  reason_unknown: ["(모르는 갱신 토큰)", "(unknown refresh token)"],
  reason_scripted: ["(정해진 답)", "(an answer written in advance)"],
  reason_unauthorized: ["다음 요청에 401", "401 for the next request"],
  reason_reject_tokens: ["지금까지의 토큰을 거부", "reject every token issued so far"],
  reason_outage: ["토큰 발급이 멈춤", "token service down"],
  reason_refresh_delay: ["다음 갱신을 늦추기", "slow down the next refresh"],
  reason_token_life: ["다음 토큰의 수명", "life of the next token"],
  reason_refuse_refresh: ["다음 갱신을 거절", "refuse the next refresh"],
};

const $ = (id) => document.getElementById(id);
let language = localStorage.getItem("language") || document.documentElement.lang;
let session = null; // what GET /auth/session said
let tokenSeconds = 20;
let downUntil = 0;
let lastEvent = 0;
let lastAt = 0;
let lastAuth = ""; // the newest x-auth-status
const saves = { flight: 0, store: 0, retry: 0, wait: 0 };
let waiters = []; // who waits for an event: its kind, and what to call

function say(key, values = {}) {
  const text = (TEXTS[key] || [key, key])[language === "ko" ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

function translate() {
  document.documentElement.lang = language;
  document.querySelector(".languages").setAttribute("aria-label", say("language"));
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  for (const item of $("log").children) item.querySelector(".what").textContent = item.said();
  for (const item of $("log").children) item.querySelector(".from").textContent = say(item.from);
  $("result").textContent = "";
  tick();
}

// ---- who I am, and the token's time

async function ask(path, options = {}) {
  const answer = await fetch(path, { cache: "no-store", ...options });
  const auth = answer.headers.get("x-auth-status");
  if (path.startsWith("/control/")) return { ok: answer.ok, json: () => answer.json() };
  if (auth) lastAuth = auth;
  noteAnswer((options.method || "GET") + " " + path.split("?")[0], answer.status, auth);
  return { status: answer.status, ok: answer.ok, auth, json: () => answer.json() };
}

async function whoAmI() {
  let reached = true;
  try {
    const answer = await fetch("/auth/session", { cache: "no-store" });
    session = answer.ok ? await answer.json() : session;
  } catch {
    reached = false;
  }
  const known = reached && session && session.authenticated;
  $("unknown").hidden = reached;
  $("anonymous").hidden = !reached || known;
  $("person").hidden = !known;
  if (known) {
    const user = session.user || {};
    $("name").textContent = user.name || user.sub || "";
    $("email").textContent = user.email || "";
    $("role").textContent = (session.roles || []).join(", ");
    $("role").hidden = !$("role").textContent;
    $("device").textContent = String(session.deviceId || "").slice(0, 8);
  }
  tick();
}

function tick() {
  const now = Date.now();
  const known = session && session.authenticated && session.expiresAt;
  const left = known ? Math.max(0, (Date.parse(session.expiresAt) - now) / 1000) : 0;
  const margin = known && session.refreshAt ? Math.max(0, (Date.parse(session.expiresAt) - Date.parse(session.refreshAt)) / 1000) : 0;
  const state = !known ? "none" : left === 0 ? "over" : left <= margin ? "due" : "live";
  $("left").textContent = known ? say("seconds", { n: left.toFixed(left < 10 ? 1 : 0) }) : "–";
  $("fill").style.width = `${Math.min(100, (left / tokenSeconds) * 100)}%`;
  $("margin").style.width = `${Math.min(100, (margin / tokenSeconds) * 100)}%`;
  $("margin").hidden = !margin;
  $("bar").dataset.state = state;
  $("bar").setAttribute("aria-valuemax", String(tokenSeconds));
  $("bar").setAttribute("aria-valuenow", String(Math.round(left)));
  $("bar").setAttribute("aria-valuetext", known ? say("seconds", { n: Math.round(left) }) : "–");
  const note = say(`token_${state}`);
  if ($("token-note").textContent !== note) $("token-note").textContent = note;
  const down = Math.ceil((downUntil - now) / 1000);
  $("down").hidden = down <= 0;
  if (down > 0) $("down").textContent = say("down_now", { n: down });
}

// ---- the buttons

function result(key, values) {
  $("result").textContent = say(key, values);
}

const explain = (answer) => (answer.auth ? say(`auth_${answer.auth}`) : "");

function button(id, action) {
  $(id).addEventListener("click", async () => {
    $(id).disabled = true;
    $("dots").hidden = $("legend").hidden = true;
    result("waiting");
    try {
      await action();
    } catch {
      result("failed");
    }
    $(id).disabled = false;
    $(id).focus({ preventScroll: true });
    // During an outage the state of the session is unknown.
    if (lastAuth !== "unavailable") await whoAmI();
  });
}

// Requests at a steady pace, so that the refill of the bar is visible.
async function keepAsking() {
  // During the outage of the button a refresh ahead of time would only lengthen the wait.
  if (!$("keep").checked || $("one").disabled || $("outage").disabled || document.hidden) return;
  if (!session || !session.authenticated) {
    $("keep").checked = false;
    return;
  }
  try {
    await one();
    if (lastAuth !== "valid" && lastAuth !== "unavailable") await whoAmI();
  } catch {
    result("failed");
  }
}

async function control(path) {
  // Without cookies, so that it does not spend the refresh that it is there to show.
  const answer = await ask(`/control/${path}`, { method: "POST", credentials: "omit" });
  if (!answer.ok) throw new Error(path);
  return answer.json();
}

async function one() {
  const answer = await ask("/api/ping");
  result("one_result", { status: answer.status, auth: explain(answer) });
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const nextEvent = (kind) => new Promise((done) => waiters.push({ kind, done }));

function saved(by, count = 1) {
  saves[by] += count;
  $(`save-${by}`).textContent = saves[by];
}

// The refreshes that the token service saw after the event with that number; null if it cannot be asked.
async function refreshesSince(seq) {
  const seen = await ask(`/control/events?after=${seq}`, { headers: { accept: "application/json" } });
  if (!seen.ok) return null;
  const asked = ["refresh", "refresh_refused", "reuse_detected"];
  const events = (await seen.json()).events;
  return events.filter((event) => asked.includes(event.kind) || (event.kind === "unavailable" && event.path === "/auth/refresh")).length;
}

async function fifty() {
  // A request before the fifty would refresh the token, so the count of refreshes comes from the live list.
  let start = $("reject").checked ? (await control("reject-tokens")).lastEvent : lastEvent;
  // As long as a token service in another building takes: the requests that come meanwhile share the refresh.
  if ($("reject").checked || $("bar").dataset.state === "over") start = (await control("refresh-delay?ms=300")).lastEvent;
  const dots = Array.from({ length: 50 }, () => document.createElement("i"));
  $("dots").replaceChildren(...dots);
  $("dots").hidden = $("legend").hidden = false;
  let ok = 0;
  let refreshed = 0;
  await Promise.all(dots.map(async (dot, n) => {
    try {
      const answer = await ask(`/api/ping?n=${n}`);
      ok += answer.ok ? 1 : 0;
      refreshed += answer.auth === "refreshed" ? 1 : 0;
      dot.className = answer.ok ? (answer.auth === "refreshed" ? "refreshed" : "valid") : answer.status === 503 ? "later" : "bad";
    } catch {
      dot.className = "bad";
    }
  }));
  const refreshes = await refreshesSince(start);
  if (refreshes === null) return result("fifty_unknown", { ok, all: dots.length });
  if (refreshes > 0 && refreshed > refreshes) saved("flight", refreshed - refreshes);
  result("fifty_result", { ok, all: dots.length, refreshes });
}

// The answer that carries the new cookies never arrives, as on a phone in a tunnel.
async function lost() {
  if (!session || !session.authenticated) return result("login_first");
  result("lost_waits");
  await control("reject-tokens");
  const refresh = nextEvent("refresh");
  const cut = new AbortController();
  const request = fetch("/api/slow?ms=5000", { cache: "no-store", signal: cut.signal }).catch(() => {});
  await Promise.race([refresh, pause(4000)]);
  cut.abort();
  await request;
  const start = lastEvent;
  const answer = await ask("/api/ping");
  const refreshes = await refreshesSince(start);
  if (answer.ok && answer.auth === "refreshed" && refreshes === 0) saved("store");
  result("lost_result", { status: answer.status, refreshes, auth: explain(answer) });
}

async function refuse() {
  await control("unauthorized");
  const answer = await ask("/api/ping");
  result("refuse_result", { status: answer.status, auth: explain(answer) });
}

// The outage begins at once, so that nothing renews the token ahead of time, and lasts until 5 s after the token's end.
async function outage() {
  if (!session || !session.authenticated) return result("login_first");
  const left = Math.max(0, Date.parse(session.expiresAt) - Date.now());
  const span = Math.ceil(left / 1000) + 5;
  await control(`outage?seconds=${span}`);
  downUntil = Date.now() + span * 1000;
  result("outage_begins", { n: Math.ceil(left / 1000) });
  await pause(left + 300);
  result("outage_waits");
  const sent = Date.now();
  const answer = await ask("/api/ping");
  if (answer.ok) saved("wait");
  result("outage_result", { n: ((Date.now() - sent) / 1000).toFixed(1), status: answer.status, auth: explain(answer) });
}

async function logout() {
  await ask("/auth/logout", { method: "POST" });
  result("logged_out");
}

// ---- codes

const channel = () => document.querySelector("input[name=channel]:checked").value;
const field = () => (channel() === "sms" ? "phone" : "email");

async function code(step, more = {}) {
  const answer = await ask(`/auth/${channel()}/${step}`, {
    method: "POST",
    headers: { "content-type": "application/json", "accept-language": language },
    body: JSON.stringify({ [field()]: $("address").value, ...more }),
  });
  const said = await answer.json();
  $("code-result").textContent = said.message || said.error || "";
  $("result").textContent = "";
  return answer.ok;
}

async function send() {
  if (await code("send")) $("code-row").hidden = false;
  $("code").value = "";
}

async function verify() {
  if (!(await code("verify", { code: $("code").value }))) return;
  $("code-row").hidden = true;
  $("code-result").textContent = "";
}

const resend = () => code("resend");

function showMessage({ channel, to, subject, text }) {
  $("outbox-empty").hidden = true;
  const item = document.createElement("li");
  for (const [name, said] of [["to", `${say(channel === "sms" ? "sms" : "mail")} → ${to}`], ["subject", subject || ""], ["text", text]]) {
    const part = document.createElement("p");
    part.className = name;
    part.textContent = said;
    if (said) item.append(part);
  }
  $("outbox").prepend(item);
  while ($("outbox").children.length > 10) $("outbox").lastChild.remove();
}

// ---- the live list

const TONES = {
  exchange: "good", credentials: "good", code: "good", message: "", refresh: "accent", replay: "good", request: "", control: "",
  unauthorized: "warn", unavailable: "warn", signout: "", refresh_refused: "bad", reuse_detected: "bad",
};
const AUTHORITY = ["exchange", "credentials", "code", "refresh", "refresh_refused", "reuse_detected", "unavailable", "signout"];
const SHOWN = 200;

function note(key, at, from, tone, said) {
  const log = $("log");
  $("empty").hidden = true;
  // Equal events share one line, also if others came in between.
  for (const item of [...log.children].slice(0, 6)) {
    if (item.key === key && at - item.at < 5000) {
      item.count += 1;
      item.at = at;
      item.querySelector(".count").textContent = `×${item.count}`;
      return;
    }
  }
  const item = document.createElement("li");
  Object.assign(item, { key, at, said, from, count: 1 });
  item.dataset.tone = tone;
  for (const [tag, name, text] of [
    ["time", "when", new Date(at).toLocaleTimeString("en-GB")],
    ["span", "from", say(from)],
    ["span", "what", said()],
    ["span", "count", ""],
  ]) {
    const part = document.createElement(tag);
    part.className = name;
    part.textContent = text;
    item.append(part);
  }
  log.prepend(item);
  while (log.children.length > SHOWN) log.lastChild.remove();
}

function noteAnswer(what, status, auth) {
  const tone = status >= 500 ? "warn" : status >= 400 ? "bad" : auth === "refreshed" ? "accent" : "good";
  const values = { what, status, auth: auth || "–" };
  note(JSON.stringify(values), Date.now(), "from_page", tone, () => say("answer", values));
}

function noteEvent(event) {
  // After a restart of the demo the numbers begin at 1 again, with later times.
  if (event.seq <= lastEvent && event.at <= lastAt) return;
  [lastEvent, lastAt] = [event.seq, event.at];
  const said = () => say(`event_${event.kind}`, { ...event, reason: event.reason ? say(`reason_${event.reason}`) : "" });
  if (event.message) showMessage(event.message);
  if (event.kind === "replay") saved("retry");
  for (const waiter of waiters.filter(({ kind }) => kind === event.kind)) waiter.done();
  waiters = waiters.filter(({ kind }) => kind !== event.kind);
  const { seq, at, message, ...what } = event;
  const from = AUTHORITY.includes(event.kind) ? "from_authority" : "from_backend";
  note(JSON.stringify(what), at, from, TONES[event.kind] || "", said);
}

// One event stream instead of polling, because polling would keep the token fresh.
function listen() {
  const source = new EventSource(`/control/events?after=${lastEvent}`);
  source.onmessage = (message) => noteEvent(JSON.parse(message.data));
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(listen, 2000);
  };
}

for (const choice of document.querySelectorAll("[data-language]")) {
  choice.addEventListener("click", () => {
    language = choice.dataset.language;
    localStorage.setItem("language", language);
    translate();
  });
}
for (const [id, action] of Object.entries({ one, fifty, refuse, lost, outage, logout, send, verify, resend })) button(id, action);
for (const choice of document.querySelectorAll("input[name=channel]")) {
  choice.addEventListener("change", () => {
    $("address").value = channel() === "sms" ? "010-1234-5678" : "mina@example.test";
    $("code-row").hidden = true;
  });
}
$("code-form").addEventListener("submit", (event) => {
  event.preventDefault();
  ($("code-row").hidden ? $("send") : $("verify")).click();
});
translate();
listen();
whoAmI();
fetch("/control/state", { cache: "no-store" })
  .then((answer) => answer.json())
  .then((state) => {
    tokenSeconds = state.accessTokenSeconds || tokenSeconds;
    if (state.authorityBackAt) downUntil = Date.parse(state.authorityBackAt);
  })
  .catch(() => {});
setInterval(tick, 200);
setInterval(keepAsking, 2000);
// When the tab becomes visible again, another person may be logged in.
document.addEventListener("visibilitychange", () => document.hidden || whoAmI());
