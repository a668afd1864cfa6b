// What every page of ours needs. Text from outside reaches the page by textContent alone, never as markup.
const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** Make an element: properties, then children; texts among them become text. */
function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/gu;
/** A text with what can't be seen made visible: control characters, and those that turn the direction of writing. */
function shown(text) {
  return String(text).replace(UNSEEN, (c) => "\u27E8U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0") + "\u27E9");
}
const name = (text) => el("bdi", {}, shown(text));

/** A number as people read it: four digits, a true minus sign. */
function figure(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "";
  const size = Math.abs(value);
  const text = value === 0 ? "0"
    : size >= 1e6 || size < 1e-4 ? value.toExponential(Math.max(0, digits - 2))
    : Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(digits)));
  return text.replace(/^-/, "\u2212").replace("e-", "e\u2212");
}
const signed = (value, digits = 4) => (value > 0 ? "+" : "") + figure(value, digits);
/** So many of something, whose name takes an s from two on. */
const several = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
const grouped = (value) => String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

// --- light and dark

const preference = window.matchMedia("(prefers-color-scheme: dark)");
const repaints = []; // called with whether to draw at once: a print does not wait for the next frame
let printing = false;
let theme = "auto";
try { theme = localStorage.getItem("seqplrp-theme") || "auto"; } catch { /* a page without storage forgets */ }
const isDark = () => !printing && (theme === "dark" || (theme === "auto" && preference.matches));

function applyTheme() {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  const button = byId("theme");
  if (button) {
    button.textContent = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" }[theme];
    button.title = "Light, dark, or as the system is set (d)";
  }
  for (const repaint of repaints) repaint(printing);
}
function nextTheme() {
  theme = { auto: preference.matches ? "light" : "dark", light: preference.matches ? "dark" : "auto", dark: preference.matches ? "auto" : "light" }[theme];
  try { localStorage.setItem("seqplrp-theme", theme); } catch { /* as above */ }
  applyTheme();
}
preference.addEventListener("change", applyTheme);
window.addEventListener("beforeprint", () => { printing = true; applyTheme(); });
window.addEventListener("afterprint", () => { printing = false; applyTheme(); });
const colour = (property) => getComputedStyle(document.documentElement).getPropertyValue(property).trim();

// --- small things

const tip = el("div", { class: "tip", hidden: true, "aria-hidden": "true" });
document.body.append(tip);
/**
 * Show lines at a place of the window; null hides them. Each line is a text, or a pair that stands left and right.
 * What lies between clear.top and clear.bottom is left free, where there is room above or below it.
 */
function showTip(x, y, lines, clear = null) {
  tip.hidden = !lines;
  if (!lines) return;
  tip.replaceChildren(...lines.map((line) => Array.isArray(line)
    ? el("div", { class: "row" }, el("span", {}, shown(line[0])), el("span", {}, shown(line[1])))
    : el("div", {}, shown(line))));
  const box = tip.getBoundingClientRect();
  const left = x + 16 + box.width > window.innerWidth ? x - box.width - 12 : x + 16;
  tip.style.left = Math.max(4, left) + "px";
  tip.style.top = Math.max(4, Math.min(y + 14, window.innerHeight - box.height - 6)) + "px";
  if (!clear) return;
  const above = clear.top - box.height - 4, below = clear.bottom + 6;
  const free = { above: above >= 4, below: below + box.height <= window.innerHeight - 6 };
  const nearer = y - clear.top < clear.bottom - y ? "above" : "below";
  const side = free[nearer] ? nearer : ["above", "below"].find((one) => free[one]);
  if (side) tip.style.top = (side === "above" ? above : below) + "px";
}

function save(file, blob) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: file });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function bytesOf(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/** Whether a key press is meant for a field that one types into. */
const typing = (event) => /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";

byId("theme").addEventListener("click", nextTheme);
applyTheme();
