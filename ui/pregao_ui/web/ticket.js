/* The ticket's answers: each error under its field, the summary above Start, and the session that Start made. */
(() => {
  "use strict";
  if (Pregao.verdict) return;
  const { make, withCode, selection } = Pregao;

  /* A figure in a summary is marked **so** by the server. */
  const rich = (text, className) => make("p", { class: className }, ...text.split("**").flatMap((part, i) =>
    (i % 2 ? [make("b", {}, part)] : withCode(part))));

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
      const block = document.getElementById(`f-${field}`);
      if (!block) continue;
      const id = `e-${field}`;
      let node = document.getElementById(id);
      if (!node) block.append(node = make("p", { class: "pg-error", id, role: "alert", "data-field": field }));
      Pregao.put(node, text);
      block.classList.add("pg-invalid");
      for (const input of block.querySelectorAll("input, textarea")) {
        input.setAttribute("aria-invalid", "true");
        input.setAttribute("aria-describedby", id);
      }
    }
  }

  /* One more edit of a strategy's settings: {strategy: {setting: value}}. */
  Pregao.edited = (all, value, strategy, setting) => ({ ...all, [strategy]: { ...(all?.[strategy] ?? {}), [setting]: value } });

  Pregao.verdict = (root, props, watch) => {
    let chosen = null;
    const show = () => {
      const { errors = {}, summary = [], warnings = [], problem = "", session = null, market = null, empty = false, dated = false } = props.value ?? {};
      document.querySelector("#ticket")?.classList.toggle("dated", dated);
      mark(errors);
      const orphans = Object.entries(errors).filter(([field]) => !document.getElementById(`f-${field}`)).map(([, text]) => text);
      root.replaceChildren(
        ...(summary.length ? [rich(summary.join(" "), "")] : []),
        ...warnings.map((text) => rich(text, "warn")),
        ...[problem, ...orphans].filter(Boolean).map((text) => rich(text, "bad")));
      Pregao.market?.(market, empty);
      if (session && session !== chosen) { chosen = session; selection.select(session); }
      const field = problem || !Object.keys(errors).length ? null : document.getElementById(`f-${Object.keys(errors)[0]}`);
      if (props.value?.asked) field?.querySelector("input")?.focus();
    };
    show();
    watch("value", show);
  };
})();
