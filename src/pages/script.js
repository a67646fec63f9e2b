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
