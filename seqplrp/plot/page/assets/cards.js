// What stands above all else: questions, answered in words.
function checks() {
  byId("checks").replaceChildren(...DATA.checks.map((check) => el("div", { class: `check ${check.state}`, tabIndex: 0, role: "button", "aria-expanded": "false", title: "Click for all of it" },
    el("h3", {}, el("span", { class: "mark", "aria-hidden": "true" }, { good: "\u2713", warn: "!", open: "?" }[check.state]), shown(check.title)),
    ...check.text.split("\n").map((line) => el("p", {}, shown(line))))));
  for (const card of byId("checks").children) {
    const turn = () => card.setAttribute("aria-expanded", String(card.classList.toggle("whole")));
    card.addEventListener("click", turn);
    card.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); turn(); } });
  }
}

/** Names and values, under a fold. */
function about(...notes) {
  const pairs = DATA.details.flatMap(([key, value]) => [el("dt", {}, shown(key)), el("dd", {}, el("bdi", {}, shown(value)))]);
  const fold = el("details", {}, el("summary", {}, "About this page"),
    ...notes.map((note) => el("p", { class: "note" }, note)), el("dl", { class: "pairs" }, ...pairs));
  byId("about").replaceChildren(fold);
  let was = false;
  window.addEventListener("beforeprint", () => { was = fold.open; fold.open = true; }); // on paper nothing unfolds
  window.addEventListener("afterprint", () => { fold.open = was; });
}
