/* Instruments of a venue that is searched by words: while one is typed, what the venue finds stands below the field.
 * (Gradio's own list cannot be given fewer choices while it is open.) */
(() => {
  "use strict";
  if (Pregao.found) return;
  const { T, format, make, request } = Pregao;
  const PAUSE = 250;                                 // ms without a key, before a venue is asked
  const LEAST = 2;                                   // a single letter is in everything
  const SHOWN = 8;

  Pregao.found = [];                                 // the choices below the field
  let words = "";                                    // that are searched, or were
  let timer = 0;
  let active = 0;
  let picking = false;
  const ticket = () => document.querySelector("#ticket");
  const NAMES = ["instrument", "also"];              // fields that are searched; the second takes several
  let name = NAMES[0];                               // of the one that is typed in
  const block = () => document.querySelector(`#f-${name}`);
  const field = () => block()?.querySelector("input");
  const venue = () => document.querySelector("#f-venue input")?.value ?? "";
  const list = () => block()?.querySelector(".pg-found");
  Pregao.searched = () => words && name;             // the field below which the search tells what it finds

  function close() {
    clearTimeout(timer);
    words = "";
    Pregao.found = [];
    list()?.remove();
    field()?.removeAttribute("aria-activedescendant");
  }

  function choose(i) {
    active = i;
    list().querySelectorAll("li").forEach((node, at) => node.setAttribute("aria-selected", String(at === i)));
    list().children[i].scrollIntoView({ block: "nearest" });
    field().setAttribute("aria-activedescendant", `found-${i}`);
  }

  function show(found) {
    Pregao.found = found;
    list()?.remove();
    if (!found.length) return;
    block().append(make("ul", { class: "pg-found", id: "found", role: "listbox", "aria-label": T("instrument") },
      ...found.map((one, i) => make("li", { id: `found-${i}`, role: "option", onmousedown: (event) => { event.preventDefault(); pick(i); } },
        make("b", {}, one.symbol), make("span", {}, one.name), make("small", {}, one.exchange)))));
    field().setAttribute("aria-controls", "found");
    const exact = found.findIndex((one) => one.symbol.toLowerCase() === words.toLowerCase());
    choose(Math.max(exact, 0));
  }

  /* As if the symbol had been typed and the field left, or Enter pressed where there may be several: Gradio takes it then. */
  function pick(i) {
    const { symbol } = Pregao.found[i];
    const input = field();
    close();
    picking = true;
    input.value = symbol;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    picking = false;
    if (name === "also") setTimeout(() => input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true })));
    else input.blur();
  }

  async function search(wanted) {
    const { search: source, asset } = ticket().dataset;
    const told = (key, values) => Pregao.hint(name, T(key, { venue: venue(), ...values }));
    told("searching");
    let found = [];
    let problem = "";
    try {
      found = await request(`/api/data/sources/${encodeURIComponent(source)}/instruments?${new URLSearchParams({ text: wanted })}`);
    } catch (error) { problem = error.message; }
    if (wanted !== words) return;                    // other words have been typed meanwhile
    const fitting = found.filter((one) => one.asset_class === asset).slice(0, SHOWN);
    show(fitting);
    if (problem) Pregao.hint(name, `${T("hint_search_away", { venue: venue() })} ${problem}`);
    else told(fitting.length ? "hint_found" : "hint_found_none", { words: wanted, count: format.number(fitting.length, 0) });
  }

  document.addEventListener("input", ({ target }) => {
    const typed = NAMES.find((one) => target.closest?.(`#f-${one}`));
    if (picking || !typed || !ticket()?.dataset.search) return;
    if (typed !== name) close();
    name = typed;
    clearTimeout(timer);
    words = target.value.trim().slice(0, 100);
    const wanted = words;
    if (wanted.length < LEAST) close(); else timer = setTimeout(() => search(wanted), PAUSE);
  });
  document.addEventListener("focusout", ({ target }) => { if (target === field()) close(); });
  /* Before Gradio, whose list is not shown now. */
  window.addEventListener("keydown", (event) => {
    if (event.target !== field() || !list()) return;
    const count = Pregao.found.length;
    if (event.key === "ArrowDown") choose((active + 1) % count);
    else if (event.key === "ArrowUp") choose((active + count - 1) % count);
    else if (event.key === "Enter") pick(active);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
})();
