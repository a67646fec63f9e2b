// Conveniences for the gateway's pages; without scripts the pages work too.
"use strict";

// The ASCII digits of a text, also of full-width ones.
const digitsOf = (text) => text.normalize("NFKC").replace(/[^0-9]/g, "");

for (const field of document.querySelectorAll("input[data-digits]")) {
  const length = Number(field.dataset.digits);
  const take = (text) => {
    const runs = text.normalize("NFKC").match(/[0-9]+/g) || [];
    field.value = (runs.find((run) => run.length === length) || digitsOf(text)).slice(0, length);
    // A complete code is submitted at once, but the same code only once.
    if (field.value.length === length && field.value !== field.dataset.sent) {
      field.dataset.sent = field.value;
      field.form.requestSubmit();
    }
  };
  field.addEventListener("paste", (event) => {
    event.preventDefault();
    take(event.clipboardData.getData("text"));
  });
  field.addEventListener("input", () => take(field.value));
}

// A form is submitted once, however often its button is pressed, until the page is shown again.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sending) {
      event.preventDefault();
      return;
    }
    form.dataset.sending = "1";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sending;
});

// What only works with this script is hidden without it.
for (const element of document.querySelectorAll("[data-script]")) element.hidden = false;
for (const button of document.querySelectorAll("[data-back]")) {
  button.hidden = history.length < 2;
  button.addEventListener("click", () => history.back());
}

// The way to log in that was chosen last on this device comes first. Its name stays in this browser's storage: no
// request has it.
const LAST_WAY = "vestibule.way";
for (const list of document.querySelectorAll("[data-last]")) {
  const ways = [...list.querySelectorAll("[data-way]")];
  let last;
  try {
    last = localStorage.getItem(LAST_WAY);
  } catch {
    // The browser allows no storage.
  }
  const way = ways.length > 1 && ways.find((way) => way.dataset.way === last);
  // While a field is marked, its form stays where the person expects it.
  if (way && !list.querySelector("[aria-invalid]")) {
    if (way !== ways[0]) exchange(ways[0], way, list.querySelector(".or"));
    const note = document.createElement("p");
    note.className = "last";
    note.textContent = list.dataset.last;
    way.prepend(note);
  }
  const remember = (event) => {
    const chosen = event.target.closest("[data-way]");
    if (!chosen || (event.type === "click" && !event.target.closest("a"))) return;
    try {
      localStorage.setItem(LAST_WAY, chosen.dataset.way);
    } catch {
      // The next page has the order of the configuration.
    }
  };
  list.addEventListener("click", remember);
  list.addEventListener("submit", remember);
}

// Moves `way` to the first place, before the divider, and the first way behind it. The form of the first way is open,
// the other forms are folded.
function exchange(first, way, divider) {
  const folded = way.querySelector("details");
  if (folded) folded.replaceWith(folded.querySelector("h2"), folded.querySelector("form"));
  const form = first.querySelector("form");
  if (form) {
    const summary = document.createElement("summary");
    summary.className = "button other";
    summary.append(first.querySelector("h2"));
    const details = document.createElement("details");
    details.append(summary, form);
    first.append(details);
  }
  divider.before(way);
  divider.after(first);
}

const started = performance.now();
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

// Counts down from the seconds that the server sent: the visitor's clock may be wrong.
for (const element of document.querySelectorAll("[data-left]")) {
  const total = Number(element.dataset.left);
  const show = () => {
    const left = Math.max(0, Math.ceil(total - (performance.now() - started) / 1000));
    const time = element.querySelector("time");
    if (time) time.textContent = element.dataset.unit === "s" ? String(left) : clock(left);
    if (left > 0) return setTimeout(show, 250);
    const over = element.dataset.over && document.getElementById(element.dataset.over);
    if (over) over.hidden = false;
    element.hidden = true;
  };
  show();
}
