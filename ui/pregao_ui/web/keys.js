/* Shortcuts of the keyboard, and the window that lists them. None acts while something is typed. */
(() => {
  "use strict";
  if (Pregao.keys) return;
  const { T, make } = Pregao;
  const press = (selector) => () => {
    const node = document.querySelector(selector);
    if (!node || node.hidden || node.disabled || !node.offsetParent) return false;
    node.click();
    return true;
  };
  const focus = (selector) => () => {
    const node = document.querySelector(selector);
    node?.focus();
    node?.select?.();
    return Boolean(node);
  };
  const go = (path) => () => { location.href = path; return true; };
  const KEYS = [
    ["n", "key_ticket", focus("#f-entry_value input")],
    ["p", "key_pause", () => press("[data-command=pause]")() || press("[data-command=resume]")()],
    ["f", "flatten", press("[data-command=flatten]")],
    ["x", "stop", press("[data-command=stop]")],
    ["a", "accept", press("[data-part=proposal] .good")],
    ["r", "refuse", press("[data-part=proposal] .plain")],
    ["/", "search", focus("#page input[type=search]")],
    ["1", "trade", go("/")],
    ["2", "sessions", go("/sessions")],
    ["3", "models", go("/models")],
    ["4", "data", go("/data")],
    ["5", "flows", go("/flows")],
    ["6", "settings", go("/settings")],
    ["t", "theme", press("[data-do=theme]")],
    ["?", "keys", () => { show(); return true; }],
  ];
  let box = null;
  function show() {
    box ??= make("dialog", { id: "pg-keys", "aria-labelledby": "pg-keys-title", onclick: (event) => { if (event.target === box) box.close(); } },
      make("h2", { id: "pg-keys-title" }, T("keys")),
      make("dl", {}, ...KEYS.flatMap(([key, text]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, T(text))]),
        make("dt", {}, make("kbd", {}, "Esc")), make("dd", {}, T("key_escape"))),
      make("form", { method: "dialog" }, make("button", { class: "small" }, T("close"))));
    if (!box.isConnected) document.body.append(box);
    if (!box.open) box.showModal();
  }
  const typing = (node) => node?.closest?.("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable], [role=listbox]");
  Pregao.keys = show;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && typing(event.target)) { event.target.blur(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || box?.open || document.querySelector("dialog[open]")) return;
    const found = KEYS.find(([key]) => key === event.key);
    if (found && found[2]()) event.preventDefault();
  });
})();
