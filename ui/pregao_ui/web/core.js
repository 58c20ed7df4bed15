/* What every part of the page uses: texts, number formats, requests, the session being looked at. */
(() => {
  "use strict";
  if (window.Pregao) return;                       // a page may include a script twice

  const language = window.PregaoPreferences.language;
  const locale = language === "pt-BR" ? "pt-BR" : "en-US";
  const texts = window.PregaoTexts[language];

  /* ---- texts: T(key, {name: value}); an unknown key shows itself, so that a slip is seen */
  const T = (key, values = {}) => (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  const has = (key) => key in texts;
  const translate = (root) => {
    for (const node of root.querySelectorAll("[data-t]")) node.textContent = T(node.dataset.t);
    for (const node of root.querySelectorAll("[data-t-title]")) node.title = T(node.dataset.tTitle);
    for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", T(node.dataset.tLabel));
  };

  /* ---- numbers, dates: one formatter per number of decimals, made once */
  const formats = new Map();
  const number = (value, least = 2, most = least) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    const key = `${least}:${most}`;
    if (!formats.has(key)) {
      formats.set(key, new Intl.NumberFormat(locale, { minimumFractionDigits: least, maximumFractionDigits: most }));
    }
    return formats.get(key).format(value);
  };
  const MINUS = "\u2212";
  const signed = (value, text) => (!/[1-9]/.test(text) ? "" : value > 0 ? "+" : MINUS) + text;   // what is shown as 0 has no sign
  const format = {
    number,
    money: (value) => number(value, 2).replace("-", MINUS),
    signedMoney: (value) => (Number.isFinite(value) ? signed(value, number(Math.abs(value), 2)) : "–"),
    percent: (value, digits = 2) => `${number(value, digits)} %`,
    signedPercent: (value, digits = 2) => (Number.isFinite(value) ? `${signed(value, number(Math.abs(value), digits))} %` : "–"),
    price: (value, decimals) => number(value, Math.min(decimals, 8)),
    quantity: (value, decimals) => number(value, 0, Math.min(decimals, 8)),
    time: (seconds) => {                            // market time is UTC everywhere, as in the data
      const iso = new Date(seconds * 1000).toISOString();
      return `${date(iso)} ${iso.slice(11, 16)}`;
    },
    moment: (seconds) => {                          // without the year: for lists of what happened lately
      const iso = new Date(seconds * 1000).toISOString();
      return `${language === "pt-BR" ? `${iso.slice(8, 10)}/${iso.slice(5, 7)}` : iso.slice(5, 10)} ${iso.slice(11, 16)}`;
    },
    dated: (text) => text.replace(/\d{4}-\d{2}-\d{2}/g, date),
    day: (seconds) => date(new Date(seconds * 1000).toISOString()),
    clock: (seconds) => new Date(seconds * 1000).toISOString().slice(11, 16),
    local: (seconds) => {                           // of what people and programs did: by this machine's clock
      const at = new Date(seconds * 1000);
      const iso = new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString();
      return `${date(iso)} ${iso.slice(11, 16)}`;
    },
    span: (seconds) => (seconds < 120 ? `${Math.round(seconds)} s` : seconds < 7200 ? `${Math.round(seconds / 60)} min`
      : seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`),
  };
  function date(iso) { return language === "pt-BR" ? `${iso.slice(8, 10)}/${iso.slice(5, 7)}/${iso.slice(0, 4)}` : iso.slice(0, 10); }

  /* ---- the document */
  const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const make = (tag, attributes = {}, ...children) => {     // text only: data is never markup
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "class") node.className = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined) node.setAttribute(name, value);
    }
    for (const child of children) if (child !== null && child !== undefined) node.append(child);
    return node;
  };
  const withCode = (text) => text.split("`").map((part, i) => (i % 2 ? make("code", {}, part) : document.createTextNode(part)));
  const bind = (root, name, text, sign) => {
    for (const node of root.querySelectorAll(`[data-bind="${name}"]`)) {
      put(node, text);
      if (sign === undefined) delete node.dataset.sign; else node.dataset.sign = Math.sign(sign);
    }
  };
  const colour = (name) => getComputedStyle(document.body).getPropertyValue(`--pg-${name}`).trim();

  /* ---- requests: an answer that is not good becomes an Error with the server's own sentence */
  async function request(path, body, method = "POST") {        // a file is sent as it is, anything else as JSON
    const file = body instanceof Blob;
    const options = body === undefined ? {} : {
      method, headers: { "content-type": file ? "application/octet-stream" : "application/json" }, body: file ? body : JSON.stringify(body),
    };
    const answer = await fetch(path, options);
    const content = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      const error = new Error([content.message ?? answer.statusText, content.mend].filter(Boolean).join(" "));
      error.status = answer.status;
      error.fields = content.fields;
      throw error;
    }
    return content;
  }

  function say(text, bad = false) {
    let place = document.querySelector("#pg-say");
    if (!place) document.body.append(place = make("div", { id: "pg-say", role: "status", "aria-live": "polite" }));
    const note = make("p", { class: bad ? "bad" : "" }, text);
    place.append(note);
    setTimeout(() => note.remove(), bad ? 12000 : 4000);
  }

  /* Whether a session should be running and its runner has not shown itself for a while. */
  const SILENT = 20;
  const stale = (session) => Boolean(session && ["running", "paused"].includes(session.status)
    && session.heartbeat && Date.now() / 1000 - session.heartbeat > SILENT);

  /* A badge says whose money a session trades with; without one, that of the ticket: simulated. */
  function money(badge, session) {
    if (!badge) return;
    const [kind, broker] = [session?.money ?? "simulated", session?.broker ?? ""];
    badge.dataset.money = kind;
    put(badge, T(`money_${kind}`, { broker }));
    badge.title = T(`money_${kind}_long`, { broker });
  }

  /* ---- what a session trades: an instrument's place is the `b` of its rows, which the first's do not have */
  const traded = (session) => [session.instrument, ...session.also];
  const instrumentOf = (session, row) => traded(session)[row.b ?? 0];
  const symbols = (session) => session.instrument.symbol + (session.also.length ? ` +${session.also.length}` : "");

  async function command(id, kind, body = {}) {
    try {
      if (kind === "start") {
        const { launched, message } = await request(`/api/sessions/${encodeURIComponent(id)}/start`, {});
        say(launched ? T("sent_start") : T("not_launched", { why: message }), !launched);
      } else {
        await request(`/api/sessions/${encodeURIComponent(id)}/commands`, { kind, ...body });
        say(T(`sent_${kind}`));
      }
      return true;
    } catch (error) {
      say(`${T("failed")}: ${error.message}`, true);
      return false;
    }
  }

  /* ---- which session is shown: in the address (a link, a reload) and in the browser (the next visit) */
  const KEY = "pregao.session";
  const watchers = new Set();
  let current = null;
  const selection = {
    get id() { return current; },
    /* The linked one, else that of the last visit ("" is none), else null: this browser has never chosen. */
    remembered() {
      const linked = new URLSearchParams(location.search).get("session");
      if (linked !== null) return linked;
      try { return localStorage.getItem(KEY); } catch { return null; }
    },
    select(id) {
      id = id || null;
      try { localStorage.setItem(KEY, id ?? ""); } catch { /* private window */ }
      const address = new URL(location);
      id ? address.searchParams.set("session", id) : address.searchParams.delete("session");
      history.replaceState(history.state, "", address);
      if (id === current) return;
      current = id;
      document.body.dataset.session = id ?? "";
      for (const watcher of watchers) watcher(id);
    },
    watch(fn) { watchers.add(fn); fn(current); },
  };

  /* What the platform says in English, where the language knows it; a number in it is put in again. */
  const phrases = window.PregaoTexts.phrases?.[language] ?? {};
  const { words = {}, sentences = {} } = window.PregaoTexts.refusals?.[language] ?? {};
  const BLANK = /\{(\w+)\}/g;
  const FIGURE = "[-+~]?\\d(?:[\\d.,]*\\d)?%?";
  const literal = (text) => text.replace(/[.*+?^${}()|[\]\\\/]/g, "\\$&");
  const named = (text) => { let n = 0; return text.replace(/#/g, () => `{figure${n++}}`); };
  const length = (text) => text.replace(BLANK, "").length;
  /* Tells a text piece by piece, as pregao.core.retelling has it; a `#` of a form is a figure. */
  function retelling(pairs, gap, { blank, stop = "", within = ".", otherwise = (piece) => piece }) {
    const forms = Object.entries(pairs).map((pair) => pair.map(named)).sort(([one], [other]) => length(other) - length(one));
    const known = forms.map(([english, into]) => [new RegExp(`^${english.split(/\{(\w+)\}/).map((part, i) => (!(i % 2) ? literal(part)
      : `(?<${part}>${part.startsWith("figure") ? FIGURE : `(?=\\S)(?:${within})+?`})`)).join("")}(?<gap_>${gap}|$)`, "s"), into]);
    const piece = new RegExp(`^(.*?${stop})(${gap}|$)`, "s");
    return (said) => {
      let [text, rest] = ["", said];
      while (rest) {
        let found = null;
        const into = known.find(([form]) => (found = form.exec(rest)))?.[1];
        found ??= piece.exec(rest) ?? [rest, rest, ""];
        text += into ? into.replace(BLANK, (_, name) => blank(found.groups[name])) + found.groups.gap_ : otherwise(found[1]) + found[2];
        rest = rest.slice(found[0].length);
      }
      return text;
    };
  }
  /* What it refuses or warns of, sentence by sentence, as pregao_ui.refusals has it. */
  const inner = retelling(words, "(?!)", { blank: (value) => words[value] ?? value });
  const sentence = retelling(sentences, "\\s+", { blank: inner, stop: "[.!?]" });
  const refusal = (said) => (language === "en" ? said : sentence(said.trim()));
  const phrase = (text) => {
    const numbers = [];
    const key = text.replace(/\d+/g, (digits) => { numbers.push(digits); return "#"; });
    return key in phrases ? phrases[key].replace(/#/g, () => numbers.shift() ?? "") : null;
  };
  const comma = (value) => (new RegExp(`^${FIGURE}$`).test(value) ? value.replace(/[.,]/g, (mark) => (mark === "." ? "," : ".")) : value);
  const GAP = "; |, |: ";
  /* Why a strategy decided so, what became of the data: clause by clause. */
  const clauses = retelling(window.PregaoTexts.clauses?.[language] ?? {}, GAP, { blank: comma, within: `(?!${GAP}).`, otherwise: (piece) => phrase(piece) ?? level(piece) ?? piece });
  const told = (text) => phrase(text) ?? level(text) ?? clauses(text);
  function level(text) {                           // "a feature is above usual", "… is 0.25": of a formula the end alone
    const at = text.lastIndexOf(" is ");
    const what = text.slice(0, at);
    const how = text.slice(at + 1);
    const value = /^is (-?[\d.]+(?:e[-+]?\d+)?)$/.exec(how);
    const end = value ? phrases["is #"]?.replace("#", value[1]) : phrases[how];
    return at > 0 && end ? `${phrase(what) ?? what} ${end}` : null;
  }

  window.Pregao = { language, told, refusal, locale, T, has, translate, format, put, make, withCode, bind, colour, request, say, money, stale, traded, instrumentOf, symbols, command, selection };
})();
