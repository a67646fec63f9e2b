// The session panel of `vestibule dev`. It reads the session from /auth/session and never gets a token.
"use strict";

// All texts: Korean, English. {name} is replaced by a value.
const TEXTS = {
  to_app: ["앱으로", "To the app"],
  headline: ["세션 패널", "Session panel"],
  intro: ["앱은 게이트웨이 뒤에 있습니다. 이 패널은 게이트웨이의 주소에 있어 앱의 페이지를 건드리지 않습니다.", "Your app is behind the gateway. Nothing here touches its pages: this panel lives at an address of the gateway."],
  who: ["여기 로그인한 사람", "Who is logged in here"],
  nobody: ["이 브라우저에는 아무도 없습니다.", "Nobody in this browser."],
  login: ["로그인", "Log in"],
  logout: ["로그아웃", "Log out"],
  sees: ["앱이 받는 것: Authorization: Bearer (JWT), x-user-id, x-user-email, x-user-name (퍼센트 인코딩), x-user-role.", "Your app gets Authorization: Bearer (a JWT), x-user-id, x-user-email, x-user-name (percent-encoded) and x-user-role."],
  token: ["액세스 토큰의 남은 시간", "Time left on the access token"],
  token_none: ["세션이 없습니다.", "There is no session."],
  token_live: ["요청이 이 토큰으로 나갑니다.", "Requests go out with this token."],
  token_over: ["끝났습니다. 앱의 다음 요청이 먼저 갱신됩니다.", "It has run out: the next request of your app is refreshed first."],
  seconds: ["{n}초", "{n} s"],
  try: ["일으켜 보기", "Make it happen"],
  expire: ["토큰 끝내기", "Make it expire"],
  expire_note: ["토큰이 몇 초 뒤에 끝납니다. 그 뒤 앱의 요청은 먼저 갱신되고 아무것도 눈치채지 못합니다.", "The token ends in a few seconds. The next request of your app after that is refreshed first and notices nothing."],
  expire_result: ["새 토큰이 {n}초 뒤에 끝납니다. 그 뒤 앱에서 무엇이든 해보세요.", "The new token ends in {n} s. After that do anything in your app."],
  unauthorized: ["백엔드가 401을 답하게 하기", "Make the backend say 401"],
  unauthorized_note: ["앱의 다음 요청 하나가 401을 받습니다. 게이트웨이가 갱신하고 다시 보냅니다.", "The next request of your app gets a 401 in its place. The gateway refreshes and sends it again."],
  unauthorized_result: ["다음 요청이 401을 받습니다. 이제 앱에서 무엇이든 해보세요.", "The next request gets 401. Now do anything in your app."],
  refuse: ["다음 갱신 거절하기", "Refuse the next refresh"],
  refuse_note: ["다음 갱신이 세션을 끝냅니다. 누가 계정을 잠근 것처럼요. 그다음 ‘토큰 끝내기’를 눌러 보세요.", "The next refresh ends the session, as if somebody had locked the account. Then press “Make it expire” to see it."],
  refuse_result: ["다음 갱신은 거절됩니다.", "The next refresh will be refused."],
  ended: ["갱신이 거절되어 세션이 끝났습니다. 앱은 이제 로그인되지 않은 사람을 봅니다.", "The refresh was refused and the session is over: your app now meets somebody who is not logged in."],
  too_many: ["갱신이 너무 잦습니다. 1분 뒤에 다시 해보세요.", "Too many refreshes: try again in a minute."],
  logged_out: ["로그아웃되었습니다.", "You are logged out."],
  login_first: ["먼저 로그인하세요.", "Log in first."],
  failed: ["요청이 도착하지 못했습니다.", "The request did not get through."],
  people: ["로그인할 수 있는 사람", "People to log in as"],
  people_listed: ["Demo ID: 미나(사용자), 준(관리자), 소라(사용자), 또는 아무 이름. 비밀번호는 없습니다.", "Demo ID: Mina (user), Jun (admin), Sora (user), or any name you type. No password."],
  people_password: ["이메일과 비밀번호:", "E-mail and password:"],
  people_code: ["문자나 이메일 인증번호: 아무 번호나 주소. 번호는 아래에 도착합니다.", "A code by SMS or e-mail: any number or address. The code arrives below."],
  outbox: ["인증번호", "Codes"],
  outbox_empty: ["아직 메시지가 없습니다.", "No message yet."],
  live: ["일어난 일", "What happened"],
  empty: ["아직 아무 일도 없습니다.", "Nothing yet."],
  from_app: ["앱", "app"],
  from_tokens: ["토큰", "tokens"],
  event_exchange: ["Demo ID로 로그인: 세션 {family}번", "Login with Demo ID: session {family}"],
  event_credentials: ["이메일과 비밀번호로 로그인: 세션 {family}번", "Login with e-mail and password: session {family}"],
  event_code: ["인증번호로 로그인: 세션 {family}번", "Login with a code: session {family}"],
  event_message: ["메시지가 도착했습니다", "A message arrived"],
  event_refresh: ["갱신: 세션 {family}번의 {generation}번째 토큰", "Refresh: session {family} has token no. {generation}"],
  event_refresh_refused: ["갱신을 거절했습니다", "A refresh was refused"],
  event_reuse_detected: ["쓰인 갱신 토큰이 다시 왔습니다: 세션 {family}번을 끝냈습니다", "A spent refresh token came again: session {family} is ended"],
  event_unavailable: ["멈춰 있어서 503으로 답했습니다 ({path})", "Down: answered 503 ({path})"],
  event_signout: ["로그아웃: 세션 {family}번", "Sign-out: session {family}"],
  event_unauthorized: ["{path}: 앱 대신 401로 답했습니다", "{path} got 401 in your app's place"],
  event_replay: ["{path}: 새 토큰으로 다시 왔고, 앱이 답했습니다", "{path} came again with a new token, and your app answered"],
  event_request: ["{path}", "{path}"],
  event_control: ["버튼", "Button"],
};

const ABOUT_APP = ["unauthorized", "replay"];
const $ = (id) => document.getElementById(id);
const language = document.documentElement.lang;
let session = null;
let lastEvent = 0;

function say(key, values = {}) {
  const text = (TEXTS[key] || [key, key])[language === "ko" ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

const isLoggedIn = () => Boolean(session && session.authenticated);

// Asking for the session refreshes a token that is due, so it is asked for after an action and never on a timer.
async function whoAmI() {
  const answer = await fetch("/auth/session", { cache: "no-store" });
  if (answer.ok) show(await answer.json());
}

function show(described) {
  session = described;
  $("anonymous").hidden = isLoggedIn();
  $("person").hidden = !isLoggedIn();
  if (isLoggedIn()) {
    const user = session.user || {};
    $("name").textContent = user.name || user.sub || "";
    $("email").textContent = user.email || "";
    $("sub").textContent = user.sub || "";
    $("role").textContent = (session.roles || []).join(", ");
  }
  tick();
}

function tick() {
  const left = isLoggedIn() && session.expiresAt ? Math.max(0, (Date.parse(session.expiresAt) - Date.now()) / 1000) : null;
  $("left").textContent = left === null ? "–" : say("seconds", { n: left.toFixed(left < 10 ? 1 : 0) });
  $("token-note").textContent = say(left === null ? "token_none" : left > 0 ? "token_live" : "token_over");
}

async function control(path) {
  const answer = await fetch(`/auth/dev/control/${path}`, { method: "POST" });
  if (!answer.ok) throw new Error(path);
}

// The next token gets a life of a second, and a refresh brings it at once. The gateway gives every token its first 5 s, whatever
// its `exp`, because clocks differ.
async function expire() {
  if (!isLoggedIn()) return say("login_first");
  await control("token-life?seconds=1");
  const answer = await fetch("/auth/refresh", { method: "POST" });
  if (answer.status === 429) return say("too_many");
  if (!answer.ok) {
    show({ authenticated: false });
    return say("ended");
  }
  show(await answer.json());
  return say("expire_result", { n: Math.max(0, Math.ceil((Date.parse(session.expiresAt) - Date.now()) / 1000)) });
}

async function unauthorized() {
  if (!isLoggedIn()) return say("login_first");
  await control("unauthorized?count=1");
  return say("unauthorized_result");
}

async function refuse() {
  await control("refuse-refresh");
  return say("refuse_result");
}

async function logout() {
  await fetch("/auth/logout", { method: "POST" });
  show({ authenticated: false });
  return say("logged_out");
}

for (const [id, action] of Object.entries({ expire, unauthorized, refuse, logout })) {
  $(id).addEventListener("click", async () => {
    $(id).disabled = true;
    try {
      $("result").textContent = await action();
    } catch {
      $("result").textContent = say("failed");
    }
    $(id).disabled = false;
  });
}

function part(tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

function showMessage({ to, subject, text }) {
  $("outbox-empty").hidden = true;
  const item = document.createElement("li");
  item.append(part("p", "to", `→ ${to}`), part("p", "subject", subject || ""), part("p", "text", text));
  $("outbox").prepend(item);
  while ($("outbox").children.length > 10) $("outbox").lastChild.remove();
}

function noteEvent(event) {
  lastEvent = event.seq;
  if (event.message) showMessage(event.message);
  if (event.kind === "control") return;
  $("empty").hidden = true;
  const item = document.createElement("li");
  const time = new Date(event.at).toLocaleTimeString("en-GB");
  item.append(part("time", "when", time), part("span", "from", say(ABOUT_APP.includes(event.kind) ? "from_app" : "from_tokens")), part("span", "what", say(`event_${event.kind}`, event)));
  $("log").prepend(item);
  while ($("log").children.length > 200) $("log").lastChild.remove();
}

function listen() {
  const source = new EventSource(`/auth/dev/control/events?after=${lastEvent}`);
  source.onmessage = (message) => noteEvent(JSON.parse(message.data));
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
listen();
whoAmI().catch(() => {});
setInterval(tick, 200);
document.addEventListener("visibilitychange", () => document.hidden || whoAmI().catch(() => {}));
