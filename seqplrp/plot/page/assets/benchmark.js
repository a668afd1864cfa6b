// The page of a benchmark.
checks();
about("The texts, tables and pictures are those of the run's report. The page holds all it needs and loads nothing from anywhere.");
if (DATA.explorer) {
  byId("explorer").hidden = byId("to-explorer").hidden = false;
  new Explorer(byId("explorer"), DATA.explorer);
}
document.querySelectorAll(".sortable").forEach(sortable);

/** What a link leads to may lie under a fold. */
function unfold() {
  const place = /^#[\w-]+$/.test(location.hash) && byId(location.hash.slice(1));
  if (!place) return;
  if (place.tagName === "DETAILS") place.open = true;
  place.scrollIntoView();
}
window.addEventListener("hashchange", unfold);
for (const link of document.querySelectorAll("nav a")) link.addEventListener("click", () => setTimeout(unfold));
unfold();
document.addEventListener("keydown", (event) => { if (event.key === "d" && !typing(event) && !event.ctrlKey && !event.metaKey && !event.altKey) nextTheme(); });
document.documentElement.dataset.ready = "0";
