/* The ticket's answers: what each value means and each error under its field, the summary above Start, and the session
 * that Start made. */
(() => {
  "use strict";
  if (Pregao.verdict) return;
  const { T, make, put, withCode, selection } = Pregao;

  /* A figure in a summary is marked **so** by the server. */
  const rich = (text, className) => make("p", { class: className }, ...text.split("**").flatMap((part, i) =>
    (i % 2 ? [make("b", {}, part)] : withCode(part))));
  const block = (field) => document.getElementById(`f-${field}`);

  function mark(errors) {
    for (const node of document.querySelectorAll("#ticket .pg-error")) if (!(node.dataset.field in errors)) node.remove();
    for (const node of document.querySelectorAll("#ticket .pg-invalid")) {
      if (node.id.replace(/^f-/, "") in errors) continue;
      node.classList.remove("pg-invalid");
      for (const input of node.querySelectorAll("[aria-invalid]")) {
        input.removeAttribute("aria-invalid");
        input.removeAttribute("aria-describedby");
      }
    }
    for (const [field, text] of Object.entries(errors)) {
      const place = block(field);
      if (!place) continue;
      const id = `e-${field}`;
      let node = document.getElementById(id);
      if (!node) place.append(node = make("p", { class: "pg-error", id, role: "alert", "data-field": field }));
      if (node.dataset.text !== text) node.replaceChildren(...withCode(node.dataset.text = text));
      place.classList.add("pg-invalid");
      for (const input of place.querySelectorAll("input, textarea")) {
        input.setAttribute("aria-invalid", "true");
        input.setAttribute("aria-describedby", id);
      }
    }
  }

  /* What a value comes to, under its field: in money, in time. An error takes its place. */
  function explain(hints, errors) {
    for (const node of document.querySelectorAll("#ticket .pg-means")) if (!(node.dataset.field in hints) || node.dataset.field in errors) node.remove();
    for (const [field, text] of Object.entries(hints)) if (!(field in errors) && field !== Pregao.searched()) hint(field, text);
  }
  const hint = Pregao.hint = (field, text) => {
    const place = block(field);
    if (!place) return;
    const id = `m-${field}`;
    let node = document.getElementById(id);
    if (!node) place.append(node = make("p", { class: "pg-means", id, "data-field": field }));
    put(node, text);
    for (const input of place.querySelectorAll("input, textarea")) input.setAttribute("aria-describedby", id);
  };

  /* One more edit of a strategy's settings: {strategy: {setting: value}}. */
  Pregao.edited = (all, value, strategy, setting) => ({ ...all, [strategy]: { ...(all?.[strategy] ?? {}), [setting]: value } });

  /* Start was pressed: a live market's venue may take a while to answer. Values pass through. */
  const FEED = 0, VENUE = 2;
  Pregao.starting = (values) => {
    const button = document.querySelector("#start");
    button.setAttribute("aria-busy", "true");
    button.disabled = true;
    const venue = document.querySelector("#f-venue input")?.value || values[VENUE];
    put(button, values[FEED] === "live" ? T("asking", { venue }) : T("starting"));
    return values;
  };
  function started() {
    const button = document.querySelector("#start");
    if (!button?.hasAttribute("aria-busy")) return;
    button.removeAttribute("aria-busy");
    button.disabled = false;
    put(button, T("start"));
  }

  const LATE = 60e9;                                 // ns by which an answer may be late
  Pregao.verdict = (root, props, watch) => {
    let chosen = null;
    let answered = 0;
    let newest = 0;
    const show = () => {
      const { errors = {}, hints = {}, summary = [], warnings = [], problem = "", session = null, market = null,
        empty = false, shape = {}, asked = 0, at = 0, waiting = false } = props.value ?? {};
      if (waiting) { root.replaceChildren(make("p", {}, T("loading"))); return; }
      if (at < newest && newest - at < LATE) return; // overtaken by the answer to a later edit; else a clock was put back
      newest = at;
      const ticket = document.querySelector("#ticket");
      for (const [name, value] of Object.entries(shape)) if (ticket) ticket.dataset[name] = value;
      mark(errors);
      explain(hints, errors);
      const orphans = Object.entries(errors).filter(([field]) => !block(field)).map(([, text]) => text);
      root.replaceChildren(
        ...(summary.length ? [rich(summary[0], "first"), rich(summary.slice(1).join(" "), "")] : []),
        ...warnings.map((text) => rich(text, "warn")),
        ...[problem, ...orphans].filter(Boolean).map((text) => rich(text, "bad")));
      Pregao.market?.(market, empty, shape.feed === "live");
      if (asked === answered) return;
      answered = asked;                              // that was Start, not the check of an edit
      started();
      if (session && session !== chosen) { chosen = session; selection.select(session); }
      const field = problem || !Object.keys(errors).length ? null : block(Object.keys(errors)[0]);
      field?.scrollIntoView({ block: "nearest" });
      field?.querySelector("input:not([role=combobox])")?.focus();   // a list would open over its own error
    };
    show();
    watch("value", show);
  };
})();
