// Small things that all parts of the page use.

const at = (id) => document.getElementById(id);

// Text goes into the page as text only: whatever a model answered, it is never read as HTML.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Control characters as the symbols of Unicode's block of pictures; a new line and a tab stay.
const shown = (text) =>
  text
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\u007f/g, "\u2421");

const short = (text) => (text.length > 60 ? `${text.slice(0, 59)}…` : text);

// Plotly reads a few tags in its labels.
const label = (text) => shown(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");

const names = new Intl.DisplayNames(["en"], { type: "language", fallback: "none" });

function languageName(code) {
  let name;
  try {
    name = names.of(code);
  } catch {
    // Not a language code: shown as it is.
  }
  return name ? `${name} (${code})` : code;
}

const percent = (count, of) => (100 * count) / of;
const points = (value) => (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(1);

const nats = (value) => `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(value).toFixed(2)} nats`;

function fill(select, choices, chosen) {
  select.replaceChildren(
    ...choices.map(([value, text]) => element("option", { value }, text)),
  );
  select.value = choices.some(([value]) => value === chosen) ? chosen : choices[0][0];
}
