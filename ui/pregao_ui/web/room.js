/* What the pages Models, Data, Flows and Settings are made of: forms that answer beside the field, a question before
 * what cannot be taken back, pills, and looking again while the page is in view. */
(() => {
  "use strict";
  if (Pregao.room) return;
  const { T, make, withCode, request, say } = Pregao;

  const words = (text) => make("span", {}, ...withCode(text));
  const pill = (text, tone = "") => make("span", { class: "pg-pill", "data-tone": tone }, text);
  const loading = () => make("p", { class: "pg-empty", role: "status" }, T("loading"));
  const panel = (title, ...children) => make("section", { class: "pg-card-panel" }, title ? make("h3", {}, title) : null, ...children);
  const outside = (href, text) => make("a", { class: "small", target: "_blank", rel: "noopener noreferrer", href }, text);

  /* What could not be read, why, and a button that tries again. */
  const broken = (error, again) => make("div", { class: "pg-blank", role: "alert" }, make("b", {}, T("failed")), words(error.message),
    make("p", {}, make("button", { type: "button", class: "small", onclick: again }, T("retry"))));

  /* Call at once and then every `ms`, but only while the page is in view; one call at a time. */
  function watch(look, ms) {
    let busy = false;
    const once = async () => {
      if (busy || document.hidden) return;
      busy = true;
      try { await look(); } finally { busy = false; }
    };
    once();
    setInterval(once, ms);
    return once;
  }

  /* ---- a form: {name, fields, submit, send(values)}; what `send` throws with `fields` is told beside each of them */
  let forms = 0;
  function form({ fields, submit, send, tone = "primary", more = [] }) {
    const number = forms += 1;
    const made = new Map();
    const verdict = make("p", { class: "pg-form-verdict", role: "status", "aria-live": "polite" });
    const button = make("button", { type: "submit", class: tone }, submit);
    for (const field of fields) made.set(field.name, one(field, `room-${number}-${field.name}`));
    const node = make("form", { class: "pg-form", novalidate: "", onsubmit: go },
      ...[...made.values()].map((field) => field.node), make("div", { class: "acts" }, button, ...more), verdict);

    function one({ name, label, kind = "text", options, value = "", hint, required = false, attributes = {} }, id) {
      const named = { id, name, "aria-describedby": `${id}-more`, ...(required ? { "aria-required": "true" } : {}), ...attributes };
      const input = kind === "select" ? make("select", named, ...options.map(([of, text]) => make("option", { value: of }, text)))
        : kind === "textarea" ? make("textarea", { rows: 3, ...named }) : make("input", { type: kind, ...named });
      if (kind === "checkbox") input.checked = Boolean(value); else if (kind !== "file" && value !== "") input.value = value;
      const more = make("div", { id: `${id}-more` });
      const tell = (text) => {
        more.replaceChildren(...(text ? [make("p", { class: "pg-error", role: "alert" }, ...withCode(text))] : []),
          ...(hint ? [make("p", { class: "pg-hint" }, ...withCode(hint))] : []));
        if (text) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
      };
      tell("");
      input.addEventListener("input", () => tell(""));
      const caption = make("label", { for: id }, label);
      const shown = kind === "checkbox" ? [input, caption] : kind === "file" ? [caption, ...picker(input, id)] : [caption, input];
      const box = make("div", { class: `pg-field is-${kind}`, "data-field": name }, ...shown, more);
      const read = () => (kind === "checkbox" ? input.checked : kind === "file" ? input.files[0] ?? null : input.value);
      return { node: box, input, tell, read, required };
    }
    /* A browser tells its own button in its own language: this one is told in the person's. */
    function picker(input, id) {
      const chosen = make("span", {}, T("no_file"));
      input.classList.add("pg-unseen");
      input.addEventListener("change", () => { chosen.textContent = input.files[0]?.name ?? T("no_file"); });
      return [input, make("label", { for: id, class: "pg-file" }, make("b", {}, T("choose_file")), chosen)];
    }
    async function go(event) {
      event.preventDefault();
      verdict.replaceChildren();
      verdict.className = "pg-form-verdict";
      const values = {};
      let missing = null;
      for (const [name, field] of made) {
        values[name] = field.read();
        const lacks = field.required && !field.node.hidden && !String(values[name] ?? "").trim();
        field.tell(lacks ? T("err_required") : "");
        if (lacks) missing ??= field;
      }
      if (missing) { missing.input.focus(); return; }
      button.disabled = true;
      button.setAttribute("aria-busy", "true");
      try {
        tell(await send(values));
      } catch (error) {
        const known = Object.entries(error.fields ?? {}).filter(([name]) => made.has(name));
        for (const [name, why] of known) made.get(name).tell(why);
        if (known.length) made.get(known[0][0]).input.focus(); else tell(error.message, "bad");
      } finally {
        button.disabled = false;
        button.removeAttribute("aria-busy");
      }
    }
    function tell(text, tone = "good") {
      if (text === undefined) return;
      verdict.className = `pg-form-verdict ${tone}`;
      verdict.replaceChildren(...(typeof text === "string" ? withCode(text) : [text]));
    }
    return { node, tell, field: (name) => made.get(name), get: (name) => made.get(name).read(), set: (name, value) => { made.get(name).input.value = value; } };
  }

  /* ---- a question in front of the page; Escape, the veil and the button of refusal leave all as it is */
  function dialog(title, ...children) {
    const close = () => box.close();
    const box = make("dialog", { class: "pg-dialog", "aria-label": title, onclose: () => box.remove() }, make("h3", {}, title), ...children);
    box.addEventListener("click", (event) => { if (event.target === box) close(); });
    document.querySelector("#page").append(box);
    box.showModal();
    return close;
  }
  const cancel = () => make("button", { type: "button", onclick: (event) => event.target.closest("dialog").close() }, T("cancel"));

  Pregao.room = { words, pill, loading, panel, outside, broken, watch, form, dialog, cancel, request, say };
})();
